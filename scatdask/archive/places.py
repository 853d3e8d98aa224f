"""Which pool a run uses, and what is started for it on this machine."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dask
from dask.system import CPU_COUNT

from scatdask.archive.client_pool import ClientPool
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.pools import Pool, SameThread, ThreadPool

if TYPE_CHECKING:
    import distributed


@contextlib.contextmanager
def choose_pool(
    client: distributed.Client | None,
    workers: int | None,
    scheduler: str | None,
    block_memory: int,
) -> Iterator[Pool]:
    """Yield the pool that a run was asked to use, and stop what was started for it.

    Parameters
    ----------
    client : distributed.Client or None
        A cluster that is there already.
    workers : int or None
        Processes of a cluster of its own; without either, threads of this process.
    scheduler : {"threads", "synchronous"} or None
        Of this process: threads, or one block after the other in this very thread.
    block_memory : int
        Resident bytes of one block, of which each of these threads has one.

    Raises
    ------
    ValueError
        If more than one place is named, or the scheduler is unknown.
    """
    if scheduler not in (None, "threads", "synchronous"):
        raise ValueError(f'scheduler must be "threads" or "synchronous", got {scheduler!r}')
    if sum(place is not None for place in (client, workers, scheduler)) > 1:
        raise ValueError("give a client, a number of workers, or a scheduler, only one of these")
    if client is not None:
        yield ClientPool(client)
    elif workers is not None:
        with local_client(workers) as own:
            yield ClientPool(own)
    elif scheduler == "synchronous":
        yield SameThread()
    else:
        yield ThreadPool(_threads_that_fit(block_memory))


def _threads_that_fit(block_memory: int) -> int:
    """Return the number of cores, or of blocks that this machine's memory holds at a time."""
    from distributed.system import MEMORY_LIMIT

    return max(1, min(int(CPU_COUNT), (MEMORY_LIMIT - PROCESS_BYTES) // max(block_memory, 1)))


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[distributed.Client]:
    """Start worker processes on this machine, and stop them at the end."""
    import distributed

    with contextlib.ExitStack() as stack:
        # The profiler keeps what it saw in every second of an hour: memory that no plan counts.
        with _interrupts_ignored(), dask.config.set({"distributed.worker.profile.enabled": False}):
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
            )
            stack.enter_context(cluster)
        yield stack.enter_context(distributed.Client(cluster))


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C, and have processes that are started meanwhile ignore it for good.

    A terminal sends it to workers too, which are to be stopped by the client, not to die of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
