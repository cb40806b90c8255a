"""How the interpreter and the C library handle memory in a process that handles columns all day."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ticktrail.clock import SystemClock

__all__ = ["settled_memory"]

# Containers made and not freed, until the collector looks for cycles among the youngest; then how many of
# those looks until it looks at older ones, and at all. Python's 700 would look at each batch dozens of times.
# All are looked at often enough for the driver's futures, which are cycles and hold what was read.
_GC_THRESHOLDS = (10_000, 5, 5)

# Numbers of ``mallopt`` in glibc's ``malloc.h``, and what they are set to, bytes. By default the kernel gives
# fresh memory for every large array, and first fills it with zeros.
_MALLOC = {
    -1: 64 * 1024**2,  # M_TRIM_THRESHOLD: give the end of the heap back from so much on
    -2: 4 * 1024**2,  # M_TOP_PAD: take so much more than is needed
    -3: 32 * 1024**2,  # M_MMAP_THRESHOLD: larger pieces come from the kernel
}


# Columns of all sizes come and go, and leave holes that the C library keeps: bars were seen to hold 255 MiB
# of which 50 were in use. Giving the holes back takes some 20 ms, while other threads may wait for memory.
_TRIM_EVERY_S = 60.0


@contextmanager
def settled_memory() -> Iterator[None]:
    """Handle batches of columns well within the block; to be entered when everything is imported.

    Measured on persist at full speed: about a third less processor time a record. What is free is given back
    to the system once a minute.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is here now stays, and need not be looked at again
    gc.set_threshold(*_GC_THRESHOLDS)
    library = ctypes.CDLL(None)
    is_over = threading.Event()
    if hasattr(library, "mallopt"):  # glibc; elsewhere it only is slower, and larger
        for number, size_bytes in _MALLOC.items():
            library.mallopt(number, size_bytes)
        threading.Thread(target=_trim, args=(library, is_over), name="memory", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _trim(library: ctypes.CDLL, is_over: threading.Event) -> None:
    clock = SystemClock()
    while not clock.wait(is_over, _TRIM_EVERY_S):
        library.malloc_trim(0)
