"""How much memory a worker has, where nobody said: what is there, less room to never spill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
from dask.system import CPU_COUNT

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
    if client is not None:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if workers:
            return min(_of_worker(address, worker) for address, worker in workers.items())
    from distributed.system import MEMORY_LIMIT

    if processes is not None:
        return _of_one_thread(MEMORY_LIMIT // max(processes, 1), 1)
    return _of_one_thread(MEMORY_LIMIT, int(CPU_COUNT))


def _of_worker(address: str, worker: dict[str, Any]) -> int:
    if not worker["memory_limit"]:
        raise ValueError(
            f"the worker at {address} has no memory limit: say what a worker may take, such as "
            'memory="4GB"'
        )
    return _of_one_thread(worker["memory_limit"], worker["nthreads"])


def _of_one_thread(limit: int, threads: int) -> int:
    """Return what a process of one thread would need to hold as large blocks as each of these."""
    measures = (dask.config.get(f"distributed.worker.memory.{name}", None) for name in _MEASURES)
    share = min((float(at) for at in measures if at), default=_MOST)
    return PROCESS_BYTES + int(share * limit - PROCESS_BYTES) // threads


def parsed_memory(memory: int | float | str | None) -> int | None:
    """Return bytes from what a user gives, such as "4GB"; None is to be found from the workers.

    Raises
    ------
    ValueError
        If it is no size, or not positive.
    """
    if memory is None:
        return None
    from dask.utils import parse_bytes

    try:
        size = int(parse_bytes(memory))
    except (ValueError, TypeError):
        size = 0
    if size <= 0:
        raise ValueError(
            f'memory={memory!r} is not a size in bytes, such as 4_000_000_000, "4GB" or "2.5 GiB"'
        )
    return size
