"""A process that keeps no memory that it does not need."""

import subprocess
import sys

import pytest

_MODEST = """
import resource
from pathlib import Path
from threading import Thread
from services.shared.runtime import memory

memory.be_modest()

import pyarrow as pa

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

def use():
    made = [pa.array(range(100_000)) for _ in range(50)], [bytes(5_000) for _ in range(20_000)]

before = resident()
threads = [Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
memory.give_back()
print(pa.default_memory_pool().backend_name, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told so")
def test_what_threads_and_arrow_have_freed_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MODEST], capture_output=True, text=True, check=True
    )
    pool, kept = done.stdout.split()
    assert pool == "system"
    assert int(kept) < 40, "of some hundreds of MB"
