"""Blocks on a GPU: one thread computes, while others read the next block and write the last."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from scatdask.arrays import accelerators, from_numpy, to_numpy
from scatdask.blocks import Block, transform_block
from scatdask.blocks.function import Pieces
from scatdask.transforms import Transform

# Blocks under way in a process with a GPU: one is read, one computed, one written. All three are
# held in the host's memory.
BLOCKS_UNDER_WAY = 3


def transform_on_gpu(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> tuple[list[np.ndarray], float]:
    """Transform one block on the GPU of this process.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
    shape : tuple of int
    pieces : list of array
        On the host, as for `transform_block`.

    Returns
    -------
    list of array
        On the host.
    seconds : float
        Which it took, both moves included, but not how long it had to wait.
    """
    return _compute_thread().submit(_transform, transform, block, shape, pieces).result()


@cache
def _compute_thread() -> ThreadPoolExecutor:
    # CuPy keeps plans of FFTs, and their work areas, for each thread.
    return ThreadPoolExecutor(1, "scatdask-gpu")


def _transform(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> tuple[list[np.ndarray], float]:
    start = time.perf_counter()
    moved = _moved(pieces)
    arrays = [to_numpy(array) for array in transform_block(transform, block, shape, moved)]
    return arrays, time.perf_counter() - start


def _moved(pieces: Pieces) -> Pieces:
    if isinstance(pieces, list):
        return [_moved(piece) for piece in pieces]
    return from_numpy(pieces, like=accelerators.find_accelerator().like)
