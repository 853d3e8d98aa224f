"""A stand-in for a GPU: the arrays of another library, which NumPy's functions refuse."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import distributed
import numpy as np

from scatdask.arrays import accelerators
from scatdask.arrays.accelerators import Accelerator
from scatdask.blocks import transform_block

NAME = "stand-in"


def find_stand_in() -> Accelerator:
    """Return what takes the place of `find_accelerator`."""
    import array_api_strict

    return Accelerator(
        name=NAME,
        identity=f"{NAME} of process {os.getpid()}",
        memory=2**30,
        versions={"array_api_strict": array_api_strict.__version__},
        like=array_api_strict.empty(0),
    )


def find_none() -> Accelerator:
    """Find nothing, whatever this machine has."""
    raise LookupError("no device is plugged in")


def cuda_error(name: str) -> Exception:
    """Return an error as CuPy's are."""
    return type(name, (RuntimeError,), {"__module__": "cupy"})("cudaErrorIllegalAddress")


class StandIn(distributed.WorkerPlugin):
    """Plug a stand-in into the worker of the name "gpu", as long as a file exists.

    Parameters
    ----------
    socket : path
        The file.
    seconds : float
        How long a block is to take, at least.
    times_slower : int
        How many blocks the stand-in is to have done for each of a CPU.
    failure : str
        Class of an error that the stand-in ends with, by CuPy's name for it.
    """

    name = "stand-in"

    def __init__(
        self, socket: Path, seconds: float = 0.0, times_slower: int = 0, failure: str = ""
    ) -> None:
        self.socket, self.seconds, self.times_slower = socket, seconds, times_slower
        self.failure = failure

    def setup(self, worker: distributed.Worker) -> None:
        from scatdask.archive import gpu, work

        has_one = worker.name == "gpu" and self.socket.exists()
        accelerators.find_accelerator = find_stand_in if has_one else find_none
        gpu.transform_block = self._on_gpu
        work.transform_block = self._on_cpu
        self._blocks = 0

    def _on_gpu(self, *arguments: Any) -> Any:
        time.sleep(self.seconds)
        pieces = arguments[-1]
        if self.failure and not isinstance(pieces[0], np.ndarray):
            raise cuda_error(self.failure)
        arrays = transform_block(*arguments)
        if self.socket.exists():
            with self.socket.open("a") as file:
                file.write(".")
        return arrays

    def _on_cpu(self, *arguments: Any) -> Any:
        time.sleep(self.seconds)
        self._blocks += 1
        count, since = -1, time.monotonic()
        while count < self.times_slower * self._blocks and time.monotonic() - since < 3:
            last, count = count, self.socket.stat().st_size if self.socket.exists() else 0
            since = time.monotonic() if count > last else since
            time.sleep(0.01)
        return transform_block(*arguments)
