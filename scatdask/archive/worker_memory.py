"""How much memory workers have: what is there, less room to never spill."""

from __future__ import annotations

import platform
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import dask
from dask.system import CPU_COUNT
from dask.utils import format_bytes, parse_bytes

from scatdask.archive.memory import PROCESS_BYTES

if TYPE_CHECKING:
    import distributed

# What a worker does when its memory fills, each at a share of its limit.
_MEASURES = ("target", "spill", "pause", "terminate")
# Of this machine, where dask takes no measures.
_MOST = 0.9


@dataclass(frozen=True)
class Room:
    """How much memory the processes have that are to compute.

    Attributes
    ----------
    memory : int or None
        Resident bytes that a process of one thread may take. Of a worker with several threads,
        each has an equal share of what is left beside the process. None without any limit.
    limit : int or None
        Beyond which such a process would be killed.
    gpu_memory, gpu_limit : int or None
        The same of a process with a GPU, on its host, with all blocks that are under way there,
        see `gpu.BLOCKS_UNDER_WAY`; None where there is none, or no limit.
    origin : str
        Where `memory` is from.
    """

    memory: int | None
    limit: int | None
    gpu_memory: int | None = None
    gpu_limit: int | None = None
    origin: str = ""


class _Process(NamedTuple):
    limit: int
    threads: int  # that share it; with a GPU it is one
    has_gpu: bool


def find_room(
    client: distributed.Client | None = None,
    processes: int | None = None,
    *,
    gpus: Collection[str] = (),
    only_gpus: bool = False,
) -> Room:
    """Return how much memory there is, the least of the workers.

    A worker takes at most the share of its limit at which dask would begin to move data to disk
    (``distributed.worker.memory.target`` as this process has it configured, 60 % by default), and
    is killed at another (``distributed.worker.memory.terminate``, 95 %).

    Parameters
    ----------
    client : distributed.Client, optional
        Of its workers. Before it has any, and without one, of this machine.
    processes : int, optional
        Without a client: worker processes of one thread that share this machine. By default one
        process that has a thread for each core.
    gpus : collection of str
        Addresses of the workers that compute on a GPU; of this machine any, if it has one.
    only_gpus : bool
        Whether the others compute nothing.
    """
    found = [] if client is None else [*_workers(client, gpus).values()]
    origin = f"the least of {len(found)} workers" if len(found) > 1 else "the worker"
    if not found:
        found, origin = _this_machine(processes, bool(gpus))
    if only_gpus:
        found = [process for process in found if process.has_gpu] or found
    on_gpu = [process for process in found if process.has_gpu]
    # Where GPUs alone compute, a block that a device is too small for has the process to itself.
    on_cpu = [process for process in found if not process.has_gpu] or on_gpu
    share = min((at for name in _MEASURES if (at := _measure(name))), default=_MOST)
    deadly = _measure("terminate") or 1.0
    killed = on_cpu
    if client is None and processes is None:  # nobody watches, and threads are as few as fit
        deadly, killed = 1.0, [process._replace(threads=1) for process in on_cpu]
    return Room(
        _least(on_cpu, share),
        _least(killed, deadly),
        _least(on_gpu, share),
        _least(on_gpu, deadly),
        _origin(on_cpu, share, origin),
    )


def _workers(client: distributed.Client, gpus: Collection[str]) -> dict[str, _Process]:
    workers = client.scheduler_info(n_workers=-1)["workers"].items()
    return {
        address: _Process(worker["memory_limit"] or 0, 1, True)
        if address in gpus
        else _Process(worker["memory_limit"] or 0, max(worker["nthreads"], 1), False)
        for address, worker in workers
    }


def deadly_limits(client: distributed.Client, gpus: Collection[str] = ()) -> dict[str, int]:
    """Return at which memory each worker is killed that is killed at all.

    As in `Room`: of a thread, with the process beside it; of those that compute on a GPU the whole.
    """
    deadly = _measure("terminate") or 1.0
    workers = _workers(client, gpus).items()
    limits = {address: _least([worker], deadly) for address, worker in workers}
    return {address: limit for address, limit in limits.items() if limit is not None}


def _this_machine(processes: int | None, has_gpu: bool) -> tuple[list[_Process], str]:
    """Return processes of this machine, one of them with its GPU, and how to call their memory."""
    from distributed.system import MEMORY_LIMIT

    here = f"this machine ({platform.node()})"
    if processes is None:
        return [_Process(MEMORY_LIMIT, 1 if has_gpu else int(CPU_COUNT), has_gpu)], here
    alike = [_Process(MEMORY_LIMIT // processes, 1, False)] * processes
    if has_gpu:
        alike[0] = alike[0]._replace(has_gpu=True)
    return alike, f"one of {processes} processes on {here}"


def _measure(name: str) -> float:
    """Return at which share of its limit a worker does something, 0 for never."""
    return float(dask.config.get(f"distributed.worker.memory.{name}", None) or 0)


def _least(processes: list[_Process], share: float) -> int | None:
    """Return what a process of one thread needs to hold as large blocks as each of all threads."""
    return min(
        (
            PROCESS_BYTES + int(share * process.limit - PROCESS_BYTES) // process.threads
            for process in processes
            if process.limit
        ),
        default=None,
    )


def _origin(processes: list[_Process], share: float, whose: str) -> str:
    """Say what `_least` is a part of."""
    limited = [process for process in processes if process.limit]
    if not limited:
        return ""
    least = min(limited, key=lambda process: process.limit / process.threads)
    shared = f", shared by {least.threads} threads" if least.threads > 1 else ""
    return f"{share:.0%} of the {format_bytes(least.limit)} of {whose}{shared}"


def parsed_memory(memory: int | float | str | None) -> int | None:
    """Return bytes from what a user gives, such as "4GB"; None is to be found from the workers.

    Raises
    ------
    ValueError
        If it is no size, or not positive.
    """
    if memory is None:
        return None
    try:
        size = int(parse_bytes(memory))
    except (ValueError, TypeError):
        size = 0
    if size <= 0:
        raise ValueError(
            f'memory={memory!r} is not a size in bytes, such as 4_000_000_000, "4GB" or "2.5 GiB"'
        )
    return size
