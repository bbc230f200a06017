"""A run needs several times the memory that the process needs between runs.

Arrow's allocator and the C library keep what was freed, in case the next minute needs it too; a process
that also serves pages gives it back instead.
"""

import contextlib
import ctypes

import pyarrow as pa


def give_back() -> None:
    """Returns freed memory to the system, where the C library is one that can (glibc)."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
