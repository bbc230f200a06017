"""Decoding recorded events: the typed struct and the whole of `parse` against the standard library.

`python -m bench.bench_decode FOLDER`. The struct is the like-for-like peer of `json.loads`:
both turn the same bytes into fields. `parse` does all that follows as well: checks, id, day, classes.
"""

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.shared import decode

ROUNDS = 5


def recorded(folder: Path) -> list[bytes]:
    files = sorted(folder.glob("events-*.jsonl.gz"))
    return [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]


def best(work: Callable[[bytes], object], payloads: list[bytes]) -> float:
    """Seconds an event, in the best of some rounds."""
    return min(_round(work, payloads) for _ in range(ROUNDS)) / len(payloads)


def _round(work: Callable[[bytes], object], payloads: list[bytes]) -> float:
    start = time.perf_counter()
    for payload in payloads:
        work(payload)
    return time.perf_counter() - start


def report(folder: Path) -> dict[str, float]:
    """Microseconds an event, and ratios to `json.loads`."""
    payloads = recorded(folder)
    struct = msgspec.json.Decoder(decode._Event).decode  # noqa: SLF001 - the part that is compared
    library, typed, whole = (best(work, payloads) for work in (json.loads, struct, decode.parse))
    return {
        "events": len(payloads),
        "json_us": library * 1e6,
        "struct_us": typed * 1e6,
        "parse_us": whole * 1e6,
        "struct_against_json": library / typed,
        "parse_against_json": library / whole,
    }


if __name__ == "__main__":
    for name, value in report(Path(sys.argv[1])).items():
        print(f"{name:<20} {value:>10.2f}")
