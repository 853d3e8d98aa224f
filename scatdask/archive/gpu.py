"""Blocks on a GPU: one thread computes, while others read the next block and write the last."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache

import numpy as np

from scatdask.arrays import (
    accelerators,
    from_numpy,
    is_device_failure,
    is_out_of_memory,
    to_numpy,
)
from scatdask.blocks import Block, tell, transform_block
from scatdask.blocks.function import Pieces
from scatdask.errors import DeviceFailedWarning, DeviceMemoryWarning
from scatdask.transforms import Transform

# Blocks under way in a process with a GPU: one is read, one computed, one written. All three are
# held in the host's memory.
BLOCKS_UNDER_WAY = 3


def transform_on_gpu(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> tuple[list[np.ndarray], float, str]:
    """Transform one block on the GPU of this process, or on its CPU where that fails.

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
    device : {"gpu", "cpu"}
        Which did it.

    Warns
    -----
    DeviceFailedWarning
        If the GPU failed. After most errors of CUDA a process cannot use it any more.
    DeviceMemoryWarning
        If the GPU had too little memory.
    """
    run = copy_context().run  # who listens to warnings here, does so there
    return _compute_thread().submit(run, _transform, transform, block, shape, pieces).result()


@cache
def _compute_thread() -> ThreadPoolExecutor:
    # CuPy keeps plans of FFTs, and their work areas, for each thread.
    return ThreadPoolExecutor(1, "scatdask-gpu")


def _transform(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> tuple[list[np.ndarray], float, str]:
    start = time.perf_counter()
    try:
        moved = _moved(pieces)
        arrays = [to_numpy(array) for array in transform_block(transform, block, shape, moved)]
        return arrays, time.perf_counter() - start, "gpu"
    except Exception as error:
        tell(_notice(error))
    # Only now, since while the error was handled it held what is on the GPU.
    arrays = transform_block(transform, block, shape, pieces)
    return arrays, time.perf_counter() - start, "cpu"


def _notice(error: Exception) -> Warning:
    """Return what is to be said of an error, or raise it if it is not the GPU's."""
    where = f"the GPU of process {os.getpid()} on {platform.node()}"
    if is_out_of_memory(error):
        return DeviceMemoryWarning(
            f"{where} has too little free memory for a block, which is computed on the CPU there: "
            "free memory, or use smaller blocks"
        )
    if is_device_failure(error):
        return DeviceFailedWarning(
            f"{where} failed ({type(error).__name__}: {error}): its blocks are computed on the CPU "
            "there; start that worker anew to have it use the GPU again"
        )
    raise error


def _moved(pieces: Pieces) -> Pieces:
    if isinstance(pieces, list):
        return [_moved(piece) for piece in pieces]
    return from_numpy(pieces, like=accelerators.find_accelerator().like)
