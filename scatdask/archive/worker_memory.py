"""How much memory a worker has, where nobody said: what is there, less room to never spill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes

from scatdask.archive.memory import PROCESS_BYTES

if TYPE_CHECKING:
    import distributed

# What a worker does when its memory fills, each at a share of its limit.
_MEASURES = ("target", "spill", "pause", "terminate")
# Of this machine, where dask takes no measures.
_MOST = 0.9


def worker_memory(client: distributed.Client | None = None, processes: int | None = None) -> int:
    """Return the resident memory that a worker process of one thread may take.

    Of a worker with several threads, each has an equal share of what is left beside the process.
    A worker takes at most the share of its limit at which dask would begin to move data to disk
    (``distributed.worker.memory.target`` as this process has it configured, 60 % by default).

    Parameters
    ----------
    client : distributed.Client, optional
        The least of its workers counts.
    processes : int, optional
        Without a client: worker processes of one thread that share this machine. By default one
        process that has a thread for each core.

    Raises
    ------
    ValueError
        If workers have no limit.
    """
    measures = (dask.config.get(f"distributed.worker.memory.{name}", None) for name in _MEASURES)
    share = min((float(at) for at in measures if at), default=_MOST)
    found = _of_one_thread(_limits(client, processes), share)
    if found is None:
        raise ValueError(
            "the workers have no memory limit: say what one may take, such as Job(..., "
            'memory="4GB")'
        )
    return found


def worker_limit(
    client: distributed.Client | None = None, processes: int | None = None
) -> int | None:
    """Return what a worker process of one thread can take at all, or None if there is no limit.

    Parameters are those of `worker_memory`; threads of this process are as few as fit.
    """
    if client is None and processes is None:
        processes = 1
    return _of_one_thread(_limits(client, processes), 1.0)


def _limits(
    client: distributed.Client | None, processes: int | None
) -> list[tuple[int | None, int]]:
    """Return the memory limit and the threads of each worker."""
    if client is not None:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if workers:
            return [(worker["memory_limit"], worker["nthreads"]) for worker in workers]
    from distributed.system import MEMORY_LIMIT

    if processes is not None:
        return [(MEMORY_LIMIT // max(processes, 1), 1)]
    return [(MEMORY_LIMIT, int(CPU_COUNT))]


def _of_one_thread(limits: list[tuple[int | None, int]], share: float) -> int | None:
    """Return what a process of one thread needs to hold as large blocks as each of all threads."""
    return min(
        (
            PROCESS_BYTES + int(share * limit - PROCESS_BYTES) // max(threads, 1)
            for limit, threads in limits
            if limit
        ),
        default=None,
    )


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
