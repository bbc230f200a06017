"""Memory that is not needed any more goes back to the system.

A batch run needs several times the memory that the process needs between runs, on threads that come and go.
By default Arrow's allocator and glibc's arenas, one or more for each thread, keep what was freed; that made
820 MB of what takes 430. So Arrow allocates by malloc, malloc has few arenas, and large pieces are mapped
on their own, which are unmapped when they are freed.

Python's collector of cycles, on the other hand, looks at everything that lives whenever that has grown by a
quarter, and holds up all threads for it, 0.2 s a time. The young generation is larger here: what a batch of
events needs is freed before it is full.
"""

import contextlib
import ctypes
import gc
import os
from typing import Final

_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3
_ARENAS: Final = 2
_LARGE: Final = 256 * 1024
_YOUNG: Final = 50_000


def be_modest() -> None:
    """To be called before Arrow is imported and threads are started; does what the C library can."""
    os.putenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Returns freed memory to the system, where the C library is one that can."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
