"""Where tasks run: the protocol, and threads of this process.

A bounded window of tasks is under way, so that neither client nor scheduler ever holds the whole
job.
"""

from __future__ import annotations

import concurrent.futures
import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from scatdask.archive.process import trim_memory
from scatdask.archive.work import Outcome, Task, Work, run_task

# Tasks under way for each thread that works on them: one running, one ready.
TASKS_PER_THREAD = 2

Outcomes = Generator[tuple[Task, Outcome], None, None]
Late = Callable[[Outcome], None]


def forgotten(outcome: Outcome) -> None:
    """Leave it at what a task has recorded itself."""


class Pool(Protocol):
    """Where tasks run."""

    @property
    def threads(self) -> int:
        """How many work at the same time, as far as is known."""

    def __call__(self, work: Work, tasks: Iterator[Task], late: Late = forgotten) -> Outcomes:
        """Run tasks, and yield what became of each as it ends.

        Parameters
        ----------
        work : Work
        tasks : iterator of Task
        late : callable
            Is given outcomes that came in when nobody asked for them any more.
        """


@dataclass(frozen=True)
class ThreadPool:
    """Threads of this process.

    Attributes
    ----------
    threads : int
    device : {"cpu", "gpu"}
        Where blocks are transformed.
    """

    threads: int
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.threads} threads of one process{_with(self.device)}"

    def __call__(self, work: Work, tasks: Iterator[Task], late: Late = forgotten) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""
        work = _on(self.device, work)
        executor = concurrent.futures.ThreadPoolExecutor(self.threads, "scatdask")
        pending: dict[concurrent.futures.Future[Outcome], Task] = {}
        trim_memory()  # what planning took and freed
        try:
            while True:
                room = self.threads * TASKS_PER_THREAD - len(pending)
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
            for future in pending:
                if not future.cancelled() and future.exception() is None:
                    late(future.result())


@dataclass(frozen=True)
class SameThread:
    """The thread that asks, one task after the other.

    Attributes
    ----------
    threads : int
    device : {"cpu", "gpu"}
        Where blocks are transformed.
    """

    threads: int = 1
    device: str = "cpu"

    def __str__(self) -> str:
        return f"one process, one block at a time{_with(self.device)}"

    def __call__(self, work: Work, tasks: Iterator[Task], late: Late = forgotten) -> Outcomes:
        """Run tasks, and yield what became of each as it ends."""
        work = _on(self.device, work)
        for task in tasks:
            yield task, run_task(work, task)


def _with(device: str) -> str:
    return " with a GPU" if device == "gpu" else ""


def _on(device: str, work: Work) -> Work:
    return work if device == "cpu" else replace(work, device=device)
