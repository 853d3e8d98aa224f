"""Rows of a block in parts that fit the memory of a device, smaller ones where it runs out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from scatdask.arrays import CACHE_BYTES, AnyArray, batch_bytes, free_memory, is_out_of_memory
from scatdask.blocks.geometry import Block
from scatdask.errors import DeviceMemoryWarning
from scatdask.transforms import Transform

# Share of a device's free memory that one part may take: allocators hand memory out in steps.
SHARE = 0.8
# Arrays of the size of a batch that a kernel holds beside its workspace as a CPU needs it:
# products, moduli and spectra, and the work areas of FFTs.
BATCHES = 6

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
        Number of rows, and how many to try first; 0 if not even one would fit.
    release : callable
        Gives the device's unused memory back, before another try.
    on_host : callable
        As `compute`, without the device: for rows that do not fit by themselves.

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
        stop = min(start + (at_once or rows), rows)
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


def rows_at_once(
    transform: Transform,
    block: Block,
    rows: int,
    shapes: tuple[tuple[int, ...], ...],
    *,
    like: AnyArray,
) -> int:
    """Return how many rows of a block to take in one pass; 0 if a device cannot take even one.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
    rows : int
    shapes : tuple of tuple of int
        Shapes of the outputs of one row.
    like : array
        Of the library and on the device of the rows.
    """
    lengths = tuple(slab.length for slab in block)
    n_bytes = np.dtype(transform.dtype).itemsize
    at_once, batch = transform.rows_at_once(rows, lengths), batch_bytes(like)
    if batch > CACHE_BYTES:
        fits = batch // (2 * n_bytes * math.prod(lengths))
        at_once = min(max(at_once, fits), max(rows, 1))
    free = free_memory(like)
    if free is None:
        return at_once
    kept = n_bytes * sum(math.prod(shape) for shape in shapes)
    # Before any part there are the outputs of all.
    free = int(SHARE * free) - transform.filter_memory(lengths) - BATCHES * batch - rows * kept
    # Each row in float64, extended and then filled up, and its half spectrum in both precisions.
    each = 5 * 8 * math.prod(lengths) + kept
    while at_once and at_once * each + transform.workspace(at_once, lengths) > free:
        at_once //= 2
    return at_once
