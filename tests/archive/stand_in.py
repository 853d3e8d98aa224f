"""A stand-in for a GPU: the arrays of another library, which NumPy's functions refuse."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
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
    times_faster : int
        How many blocks the stand-in does while a CPU does one: each waits for the other.
    blocks : int
        Until so many are done in all.
    failure : str
        Class of an error that the stand-in ends with, by CuPy's name for it.
    """

    name = "stand-in"

    def __init__(
        self,
        socket: Path,
        seconds: float = 0.0,
        times_faster: int = 0,
        blocks: int = 0,
        failure: str = "",
    ) -> None:
        self.socket, self.seconds, self.failure = socket, seconds, failure
        self.times_faster, self.blocks = times_faster, blocks

    def setup(self, worker: distributed.Worker) -> None:
        from scatdask.archive import gpu, work

        has_one = worker.name == "gpu" and self.socket.exists()
        accelerators.find_accelerator = find_stand_in if has_one else find_none
        gpu.transform_block = self._on_gpu
        work.transform_block = self._on_cpu
        self._give_up = time.monotonic() + 120

    def _on_gpu(self, *arguments: Any) -> Any:
        time.sleep(self.seconds)
        self._wait(lambda gpu, cpu: gpu < self.times_faster * (cpu + 1))
        pieces = arguments[-1]
        if self.failure and not isinstance(pieces[0], np.ndarray):
            raise cuda_error(self.failure)
        arrays = transform_block(*arguments)
        self._count(self.socket)
        return arrays

    def _on_cpu(self, *arguments: Any) -> Any:
        time.sleep(self.seconds)
        self._wait(lambda gpu, cpu: gpu >= self.times_faster * (cpu + 1))
        arrays = transform_block(*arguments)
        self._count(self._of_cpu)
        return arrays

    @property
    def _of_cpu(self) -> Path:
        return self.socket.with_suffix(".cpu")

    def _count(self, file: Path) -> None:
        """Make a file longer by one, where there is a socket."""
        if self.socket.exists():
            with file.open("a") as counted:
                counted.write(".")

    def _wait(self, is_turn: Callable[[int, int], bool]) -> None:
        """Wait until it is one's turn, going by how many blocks each device has done.

        Not for ever: where blocks come in other proportions, it is never.
        """
        while self.times_faster and time.monotonic() < self._give_up:
            gpu, cpu = (f.stat().st_size if f.exists() else 0 for f in (self.socket, self._of_cpu))
            if is_turn(gpu, cpu) or gpu + cpu >= self.blocks:
                return
            time.sleep(0.005)
