"""Where tasks run: threads of this process, or the workers of a dask cluster.

Either way a bounded window of tasks is under way, so that neither client nor scheduler ever holds
the whole job.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import dask
from dask.system import CPU_COUNT
from threadpoolctl import threadpool_limits

from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.metrics import run_annotations
from scatdask.archive.work import Outcome, Task, Work, ends_the_run, run_task, run_task_on_worker
from scatdask.errors import WorkersLostError

if TYPE_CHECKING:
    import distributed

# Tasks under way for each thread that works on them: one running, one ready.
_TASKS_PER_THREAD = 2
# A worker that was killed needs some seconds to be started anew.
_GRACE_SECONDS = 60.0
_POLL_SECONDS = 5.0
_DEADLY = (
    "every worker that computed it died, perhaps of too little memory: give workers more, or the "
    "job less (memory=)"
)

Outcomes = Generator[tuple[Task, Outcome], None, None]


class Pool(Protocol):
    """Where tasks run."""

    @property
    def threads(self) -> int:
        """How many work at the same time, as far as is known."""

    def __call__(self, work: Work, tasks: Iterator[Task]) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""


@dataclass(frozen=True)
class ThreadPool:
    """Threads of this process.

    Attributes
    ----------
    threads : int
    """

    threads: int

    def __str__(self) -> str:
        return f"{self.threads} threads of one process"

    def __call__(self, work: Work, tasks: Iterator[Task]) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""
        executor = concurrent.futures.ThreadPoolExecutor(self.threads, "scatdask")
        pending: dict[concurrent.futures.Future[Outcome], Task] = {}
        # The cores are for the blocks: a matrix product of one takes one thread. Only while the
        # pool is at work, since the process is the user's.
        with threadpool_limits(1):
            try:
                while True:
                    room = self.threads * _TASKS_PER_THREAD - len(pending)
                    for task in itertools.islice(tasks, room):
                        pending[executor.submit(run_task, work, task)] = task
                    if not pending:
                        return
                    done, _ = concurrent.futures.wait(
                        pending, return_when=concurrent.futures.FIRST_COMPLETED
                    )
                    for future in done:
                        yield pending.pop(future), future.result()
            finally:
                executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class SameThread:
    """The thread that asks, one task after the other."""

    threads: int = 1

    def __str__(self) -> str:
        return "one process, one block at a time"

    def __call__(self, work: Work, tasks: Iterator[Task]) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""
        with threadpool_limits(1):
            for task in tasks:
                yield task, run_task(work, task)


class ClientPool:
    """The workers that a client is connected to.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        self._threads = 0
        self._counted: float | None = None
        self._has_seen_workers = False
        self._alone_since: float | None = None

    def __str__(self) -> str:
        return f"{self._threads} threads of dask workers"

    @property
    def threads(self) -> int:
        """Threads of all workers, counted every few seconds.

        Raises
        ------
        WorkersLostError
            If the scheduler has gone, or workers have gone and not come back. Those that have
            never been there may be in the queue of a cluster yet.
        """
        now = time.monotonic()
        try:
            if self._client.status != "running":
                raise OSError(f"client is {self._client.status}")
            if self._counted is None or now - self._counted >= _POLL_SECONDS:
                self._threads, self._counted = sum(self._client.nthreads().values()), now
        except OSError as error:
            raise WorkersLostError(
                f"the connection to the scheduler is lost ({error}); what is done is recorded: "
                "run again to do the rest"
            ) from error
        if self._threads:
            self._has_seen_workers, self._alone_since = True, None
        elif self._has_seen_workers:
            self._alone_since = now if self._alone_since is None else self._alone_since
            if now - self._alone_since > _GRACE_SECONDS:
                raise WorkersLostError(
                    f"the cluster has had no workers for {_GRACE_SECONDS:.0f} s; what is done is "
                    "recorded: start workers and run again to do the rest"
                )
        return self._threads

    def __call__(self, work: Work, tasks: Iterator[Task]) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""
        pending: dict[distributed.Future, Task] = {}
        again: deque[Task] = deque()
        annotations = run_annotations()
        try:
            while True:
                room = max(self.threads, 1) * _TASKS_PER_THREAD
                while len(pending) < room:
                    task = again.popleft() if again else next(tasks, None)
                    if task is None:
                        break
                    key = (f"scat-block-{work.run}", *task)
                    with dask.annotate(**annotations):
                        future = self._client.submit(
                            run_task_on_worker, work, task, key=key, pure=False
                        )
                    pending[future] = task
                if not pending:
                    return
                for future in self._some_done(list(pending)):
                    task = pending.pop(future)
                    outcome = _outcome(future)
                    future.release()
                    if outcome is None and task.last > task.first:
                        # Which block the workers died of is found by halving.
                        middle = (task.first + task.last) // 2
                        again += [Task(task.first, middle), Task(middle + 1, task.last)]
                        continue
                    yield task, outcome or Outcome([], [(task.first, _DEADLY)])
        finally:
            if pending and self._client.status == "running":
                self._client.cancel(list(pending))

    def _some_done(self, futures: list[Any]) -> list[Any]:
        """Wait until a future is done, or until there is nobody left to do it."""
        import distributed

        while True:
            try:
                done, _ = distributed.wait(
                    futures, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED"
                )
                return list(done)
            except (TimeoutError, distributed.TimeoutError):
                _ = self.threads  # raises if there are none, and none will come
            except concurrent.futures.CancelledError:
                return [future for future in futures if future.cancelled()]


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
        with _interrupts_ignored():
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


def _outcome(future: Any) -> Outcome | None:
    """Return what became of a task, None where the workers that it was given to died."""
    import distributed

    if future.cancelled():
        raise WorkersLostError(
            "the scheduler has gone, and with it the tasks under way; what is done is recorded: "
            "run again to do the rest"
        )
    if future.status == "error":
        reason = future.exception()
        if isinstance(reason, distributed.KilledWorker):
            return None
        # Blocks report their own errors: this one is the cluster's.
        task = Task(*future.key[1:])
        if reason is not None and ends_the_run(reason):
            raise reason
        return Outcome(
            [],
            [(b, f"{type(reason).__name__}: {reason}") for b in range(task.first, task.last + 1)],
        )
    outcome: Outcome = future.result()
    return outcome
