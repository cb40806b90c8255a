"""How the interpreter and the C library handle memory in a process that handles columns all day."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def settled_memory() -> Iterator[None]:
    """Handle batches of columns well within the block; to be entered when everything is imported.

    Measured on persist at full speed: about a third less processor time a record.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is here now stays, and need not be looked at again
    gc.set_threshold(*_GC_THRESHOLDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc; elsewhere it only is slower
        for number, size_bytes in _MALLOC.items():
            mallopt(number, size_bytes)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
