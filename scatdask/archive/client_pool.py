"""Where tasks run: the workers of a dask cluster, those with a GPU and those without."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import dask

from scatdask.archive.backlog import Backlog
from scatdask.archive.crew import Crew, resource
from scatdask.archive.files import Folder
from scatdask.archive.ledger import Ledger
from scatdask.archive.metrics import run_annotations
from scatdask.archive.pools import TASKS_PER_THREAD, Late, Outcomes, forgotten
from scatdask.archive.receipts import Receipt
from scatdask.archive.work import Outcome, Task, Work, ends_the_run, run_task_on_worker
from scatdask.errors import WorkersLostError

if TYPE_CHECKING:
    import distributed

_GONE = (
    "the scheduler has gone, and with it the tasks under way; what is done is recorded: run again "
    "to do the rest"
)
# Where there are devices of several kinds, each gets tasks of about so many seconds.
_TASK_SECONDS = 1.0
# What a new receipt counts for in what is known of a device's pace.
_NEWS = 0.3
# As often may a task be on the last worker of a device when that dies, before it is suspected.
_ALLOWED_LOSSES = 3
# What comes from a worker is some hundred bytes.
_RESULT_SECONDS = 5.0
_DEADLY = (
    "every worker that computed it died, perhaps of too little memory: give workers more, or the "
    "job less (memory=)"
)


@dataclass
class _Window:
    """Tasks under way on one device, and how large they should be there."""

    work: Work
    pending: dict[Any, Task] = field(default_factory=dict)
    seconds_a_block: float | None = None

    @property
    def blocks_per_task(self) -> int | None:
        """Blocks of a task, None while nothing is known."""
        if self.seconds_a_block is None:
            return None
        return max(1, round(_TASK_SECONDS / max(self.seconds_a_block, 1e-9)))

    def learn(self, receipts: list[Receipt]) -> None:
        """See how long blocks took."""
        for receipt in receipts:
            blocks = receipt.last - receipt.first + 1
            seconds = (receipt.ended - receipt.started) / blocks
            known = seconds if self.seconds_a_block is None else self.seconds_a_block
            self.seconds_a_block = (1 - _NEWS) * known + _NEWS * seconds


class ClientPool:
    """The workers that a client is connected to.

    Each kind of device has a window of tasks of its own, and draws blocks as fast as it finishes
    them.

    Parameters
    ----------
    client : distributed.Client
    device : {"auto", "cpu", "gpu"}
        What computes: GPUs and CPUs, or only one kind. With "cpu" all workers do, on their CPUs.
    needed : mapping of str to int, optional
        Resident bytes that a process takes by the plan: of one thread, "cpu"; with a GPU, "gpu".
    """

    def __init__(
        self,
        client: distributed.Client,
        device: str = "auto",
        needed: Mapping[str, int] | None = None,
    ) -> None:
        self._client = client
        self._crew = Crew(client, device, needed)

    def __str__(self) -> str:
        return str(self._crew)

    @property
    def threads(self) -> int:
        """How many tasks are worked on at the same time, see `Crew.look` for what it may raise."""
        self._crew.look()
        return sum(self._crew.slots.values())

    def __call__(self, work: Work, tasks: Iterator[Task], late: Late = forgotten) -> Outcomes:
        """Run tasks, and yield what became of each as it ends; what is under way is called off."""
        ledger = Folder(Ledger(work.target).location)
        sent = replace(work, source=work.source.to_send(ledger, work.output))
        run = _Run(self._client, self._crew, sent, Backlog(tasks))
        try:
            yield from run.outcomes()
        finally:
            run.cancel()


class _Run:
    """What is under way of one run."""

    def __init__(
        self, client: distributed.Client, crew: Crew, work: Work, backlog: Backlog
    ) -> None:
        self._client, self._crew, self._backlog = client, crew, backlog
        self._windows = {d: _Window(replace(work, device=d)) for d in ("gpu", "cpu")}
        # Tasks that were given to workers that died: no others run beside them.
        self._suspects: deque[Task] = deque()
        self._losses: Counter[Task] = Counter()
        self._routed: set[Any] = set()
        self._numbers = itertools.count()
        self._annotations = run_annotations()

    def outcomes(self) -> Outcomes:
        """Run all, and yield what became of each task as it ends."""
        while True:
            self._crew.look()
            yield from self._withdraw_stranded()
            self._fill()
            if not self._pending():
                return
            for future in self._some_done():
                window = next(w for w in self._windows.values() if future in w.pending)
                task = window.pending[future]
                try:
                    outcome = _outcome(future, task)
                except TimeoutError:
                    continue  # it is computed again, or asked for
                del window.pending[future]
                future.release()
                self._routed.discard(future)
                if outcome is None:
                    outcome = self._suspect(task)
                elif self._is_alone(task):
                    self._suspects.popleft()
                if outcome is not None:
                    window.learn(outcome.receipts)
                    yield task, outcome

    def cancel(self) -> None:
        """Call off what is under way."""
        pending = self._pending()
        if pending and self._client.status == "running":
            with contextlib.suppress(OSError):  # it may be gone, too recently to show
                self._client.cancel(pending)

    def _pending(self) -> list[Any]:
        return [future for window in self._windows.values() for future in window.pending]

    def _fill(self) -> None:
        slots = self._crew.slots
        if not any(slots.values()):
            # A cluster that grows with its tasks must see some.
            slots["gpu" if self._crew.is_routed else "cpu"] = 1
        if self._suspects:
            device = "cpu" if slots["cpu"] else "gpu"
            if not self._pending():
                self._submit(device, self._suspects[0])
            return
        for device, window in self._windows.items():
            while len(window.pending) < slots[device] * TASKS_PER_THREAD:
                most = window.blocks_per_task if self._crew.is_routed else None
                task = self._backlog.take(most)
                if task is None:
                    return
                self._submit(device, task)

    def _submit(self, device: str, task: Task) -> None:
        window = self._windows[device]
        resources = {resource(device): 1} if self._crew.is_routed else None
        key = (f"scat-block-{window.work.run}", *task, next(self._numbers))
        with dask.annotate(**self._annotations):
            future = self._client.submit(
                run_task_on_worker, window.work, task, key=key, pure=False, resources=resources
            )
        window.pending[future] = task
        if resources:
            self._routed.add(future)

    def _suspect(self, task: Task) -> Outcome | None:
        """Find out which block its workers died of; return an outcome where it is known."""
        if task.last > task.first:
            middle = (task.first + task.last) // 2
            self._backlog.give_back(Task(task.first, middle))
            self._backlog.give_back(Task(middle + 1, task.last))
            return None
        if self._is_alone(task):
            self._suspects.popleft()
            return Outcome([], [(task.first, _DEADLY)])
        # It may have waited on workers that died of another one. Alone, it shows.
        self._suspects.append(task)
        return None

    def _is_alone(self, task: Task) -> bool:
        """Say whether a task under way is one beside which no others run."""
        return bool(self._suspects) and self._suspects[0] == task

    def _withdraw_stranded(self) -> Outcomes:
        """Take back the tasks of devices that have lost all workers."""
        for device, was_there in self._crew.stranded().items():
            window = self._windows[device]
            for future in self._routed & set(window.pending):
                task = window.pending.pop(future)
                self._routed.discard(future)
                self._client.cancel([future])
                self._losses[task] += was_there
                if self._losses[task] > _ALLOWED_LOSSES:
                    del self._losses[task]
                    outcome = self._suspect(task)
                    if outcome is not None:
                        yield task, outcome
                elif not self._is_alone(task):
                    self._backlog.give_back(task)

    def _some_done(self) -> list[Any]:
        """Wait some seconds for a task to end."""
        import distributed

        futures = self._pending()
        try:
            with self._client.as_current():  # it need not be the default one, or there may be more
                done, _ = distributed.wait(
                    futures, timeout=self._crew.seconds_to_look, return_when="FIRST_COMPLETED"
                )
            return list(done)
        except (TimeoutError, distributed.TimeoutError):
            return []
        except concurrent.futures.CancelledError:
            return [future for future in futures if future.cancelled()]


def _outcome(future: Any, task: Task) -> Outcome | None:
    """Return what became of a task, None where the workers that it was given to died."""
    import distributed

    if future.cancelled():
        raise WorkersLostError(_GONE)
    if future.status == "error":
        reason = future.exception()
        if isinstance(reason, distributed.KilledWorker):
            return None
        # Blocks report their own errors: this one is the cluster's.
        if reason is not None and ends_the_run(reason):
            raise reason
        return Outcome(
            [],
            [(b, f"{type(reason).__name__}: {reason}") for b in range(task.first, task.last + 1)],
        )
    try:
        outcome: Outcome = future.result(_RESULT_SECONDS)
    except TimeoutError:  # also where its worker died before it could hand out what it had done
        raise
    except (OSError, concurrent.futures.CancelledError) as error:
        # The task has ended well: it is the way from the scheduler to here that has not.
        raise WorkersLostError(_GONE) from error
    return outcome
