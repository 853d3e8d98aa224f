"""Which pool a run uses, and what is started for it on this machine."""

from __future__ import annotations

import contextlib
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dask
from dask.system import CPU_COUNT
from dask.utils import format_bytes

from scatdask.archive.abilities import DEVICES, abilities
from scatdask.archive.client_pool import ClientPool
from scatdask.archive.crew import Crew
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.pools import Pool, SameThread, ThreadPool
from scatdask.archive.worker_memory import find_room
from scatdask.errors import NoWorkersWarning

if TYPE_CHECKING:
    import distributed


def check_place(
    client: distributed.Client | None,
    workers: int | None,
    scheduler: str | None,
    device: str,
    memory: int | None = None,
) -> frozenset[str]:
    """Find out before anything is done whether there is such a place, and what it lacks.

    Parameters
    ----------
    client, workers, scheduler, device
        As for `choose_pool`.
    memory : int, optional
        For which blocks are to be chosen, where it is given.

    Returns
    -------
    frozenset of str
        Addresses of the workers that compute on a GPU; "here" if this machine has one.

    Raises
    ------
    ValueError
        If more than one place is named, the scheduler or the device is unknown, or there is no GPU
        where one is asked for.
    WorkerVersionError
        If a worker has no scatdask, or another version of it or of Zarr.

    Warns
    -----
    NoWorkersWarning
        If the cluster has no workers yet.
    """
    if scheduler not in (None, "threads", "synchronous"):
        raise ValueError(f'scheduler must be "threads" or "synchronous", got {scheduler!r}')
    if sum(place is not None for place in (client, workers, scheduler)) > 1:
        raise ValueError("give a client, a number of workers, or a scheduler, only one of these")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if device not in DEVICES:
        raise ValueError(f'device must be "auto", "cpu" or "gpu", got {device!r}')
    if client is None:
        here = abilities(device)
        if device == "gpu" and here.without_gpu:
            raise ValueError(f'device="gpu", but {here.without_gpu}')
        return frozenset(["here"] if here.gpu else [])
    crew = Crew(client, device)
    crew.look()
    answers = [answer for answer in crew.workers.values() if answer is not None]
    if not crew.workers:
        warnings.warn(
            f"the cluster at {client.scheduler_info(n_workers=0)['address']} has no workers yet: "
            f"the run waits for them{_guess(memory)}",
            NoWorkersWarning,
            stacklevel=3,
        )
    elif device == "gpu" and answers and not any(answer.gpu for answer in answers):
        reasons = sorted({answer.without_gpu for answer in answers})
        raise ValueError(
            f'device="gpu", but none of the {len(answers)} workers has one: {"; ".join(reasons)}'
        )
    return crew.gpus


def _guess(memory: int | None) -> str:
    """Say for which memory blocks are chosen before there are workers, unless it was given."""
    if memory is not None or (room := find_room()).memory is None:
        return ""
    return (
        f". A job that begins now gets blocks for {format_bytes(room.memory)}, {room.origin}, "
        "which workers may not have: give the job what a thread of theirs has, memory="
    )


@contextlib.contextmanager
def choose_pool(
    client: distributed.Client | None,
    workers: int | None,
    scheduler: str | None,
    block_memory: int,
    device: str = "auto",
    needed: Mapping[str, int] | None = None,
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
        Resident bytes of one block, of which each of these threads has one. With a GPU it does
        not matter: plans for one hold as many blocks as are under way.
    device : {"auto", "cpu", "gpu"}
        What computes. With "auto" a GPU where there is one; workers without one compute too.
    needed : mapping of str to int, optional
        Resident bytes that a process takes by the plan: of one thread, "cpu"; with a GPU, "gpu".
        Workers that come late and have less are warned of.
    """
    if client is not None:
        yield ClientPool(client, device, needed)
        return
    if workers is not None:
        with local_client(workers) as own:
            yield ClientPool(own, device)
        return
    here = "gpu" if abilities(device).gpu else "cpu"
    if scheduler == "synchronous":
        yield SameThread(device=here)
        return
    yield ThreadPool(
        BLOCKS_UNDER_WAY if here == "gpu" else _threads_that_fit(block_memory), device=here
    )


def _threads_that_fit(block_memory: int) -> int:
    """Return the number of cores, or of blocks that this machine's memory holds at a time."""
    from distributed.system import MEMORY_LIMIT

    return max(1, min(int(CPU_COUNT), (MEMORY_LIMIT - PROCESS_BYTES) // max(block_memory, 1)))


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[distributed.Client]:
    """Start worker processes on this machine, and stop them at the end."""
    import distributed

    with contextlib.ExitStack() as stack:
        # Of blocks the profiler would see nothing, see `call_unseen`: it would take time alone.
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
