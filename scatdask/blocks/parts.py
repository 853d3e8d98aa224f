"""Rows of a block in parts that fit the memory of a device, smaller ones where it runs out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from scatdask.arrays import is_out_of_memory
from scatdask.blocks.geometry import Block
from scatdask.errors import DeviceMemoryWarning
from scatdask.transforms import Transform

# Share of a device's free memory that one part may take: the estimate knows nothing of the work
# areas of FFTs, and allocators hand memory out in steps.
SHARE = 0.6

Result = TypeVar("Result")


def in_parts(
    compute: Callable[[int, int], Result],
    rows: int,
    at_once: int,
    *,
    release: Callable[[], None],
    on_host: Callable[[int, int], Result],
) -> Iterator[tuple[int, Result]]:
    """Compute rows in parts; halve them while a device runs out of memory.

    Parameters
    ----------
    compute : callable
        Takes rows [start, stop) and returns their outputs.
    rows, at_once : int
        Number of rows, and how many to try first; 0 for none, if not even one would fit.
    release : callable
        Gives the device's unused memory back, before another try.
    on_host : callable
        As `compute`, without the device: for a row that does not fit by itself.

    Yields
    ------
    first : int
        First row of a part.
    outputs
        What was computed of it.

    Warns
    -----
    DeviceMemoryWarning
        Once, if rows were computed on the host.
    """
    start, has_warned = 0, False
    while start < rows:
        stop = min(start + max(at_once, 1), rows)
        outputs = None
        if at_once:
            try:
                outputs = compute(start, stop)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
        if outputs is None:
            # Only now, since while the error was handled it held what had been allocated.
            release()
            if at_once > 1:
                at_once = min(at_once, stop - start) // 2
                continue
            if not has_warned:
                warnings.warn(
                    "a device has too little free memory for one signal of a block, which is "
                    "computed on the CPU: free memory there, or use smaller blocks",
                    DeviceMemoryWarning,
                    stacklevel=2,
                )
                has_warned = True
            outputs = on_host(start, stop)
        yield start, outputs
        del outputs
        start = stop


def rows_that_fit(
    transform: Transform, block: Block, rows: int, shapes: tuple[tuple[int, ...], ...], free: int
) -> int:
    """Return how many rows of a block a device with `free` bytes can take at once; it may be 0.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
    rows : int
    shapes : tuple of tuple of int
        Shapes of the outputs of one row.
    free : int
        Bytes, by `free_memory`, before anything was allocated.
    """
    lengths = tuple(slab.length for slab in block)
    padded = math.prod(lengths)
    kept = np.dtype(transform.dtype).itemsize * sum(math.prod(shape) for shape in shapes)
    free = int(SHARE * free) - transform.filter_memory(lengths)
    while rows:
        # Padded twice in float64 (extended, then ramped), and its half spectrum, also once in
        # the transform's dtype; then what the kernel needs.
        needed = rows * (4 * 8 * padded + kept) + transform.workspace(rows, lengths)
        if needed <= free:
            break
        # Work that does not grow with the rows makes this no simple division.
        rows = min(rows - 1, max(int(rows * free / needed), 0))
    return rows
