"""Where tasks run: the workers of a dask cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dask

from scatdask.archive.metrics import run_annotations
from scatdask.archive.pools import TASKS_PER_THREAD, Outcomes
from scatdask.archive.work import Outcome, Task, Work, ends_the_run, run_task_on_worker
from scatdask.errors import WorkersLostError

if TYPE_CHECKING:
    import distributed

# A worker that was killed needs some seconds to be started anew.
_GRACE_SECONDS = 60.0
_POLL_SECONDS = 5.0
_GONE = (
    "the scheduler has gone, and with it the tasks under way; what is done is recorded: run again "
    "to do the rest"
)
_DEADLY = (
    "every worker that computed it died, perhaps of too little memory: give workers more, or the "
    "job less (memory=)"
)


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
                room = max(self.threads, 1) * TASKS_PER_THREAD
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
                with contextlib.suppress(OSError):  # it may be gone, too recently to show
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


def _outcome(future: Any) -> Outcome | None:
    """Return what became of a task, None where the workers that it was given to died."""
    import distributed

    if future.cancelled():
        raise WorkersLostError(_GONE)
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
    try:
        outcome: Outcome = future.result()
    except (OSError, concurrent.futures.CancelledError) as error:
        # The task has ended well: it is the way from the scheduler to here that has not.
        raise WorkersLostError(_GONE) from error
    return outcome
