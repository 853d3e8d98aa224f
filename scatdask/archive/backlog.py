"""What is still to be handed out, in tasks of any size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from scatdask.archive.work import Task


class Backlog:
    """Tasks that several pools draw from, each cut or joined to the size that suits it.

    Parameters
    ----------
    tasks : iterator of Task
        Drawn as they are needed.
    """

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks = tasks
        self._next: Task | None = None
        self._again: deque[Task] = deque()

    def take(self, most: int | None = None) -> Task | None:
        """Return the next task, or None where all are handed out.

        Parameters
        ----------
        most : int, optional
            How many blocks it is to have, if as many follow each other; by default, what comes.
        """
        task = self._again.popleft() if self._again else self._drawn(most or 1)
        if task is None or most is None or task.last - task.first < most:
            return task
        self._again.appendleft(Task(task.first + most, task.last))
        return Task(task.first, task.first + most - 1)

    def give_back(self, task: Task) -> None:
        """Have a task handed out again, before those that were not yet, and joined to no other."""
        self._again.append(task)

    def _drawn(self, least: int) -> Task | None:
        """Return the next of the iterator, joined until it has enough blocks."""
        task = self._next or next(self._tasks, None)
        self._next = None
        if task is None:
            return None
        while task.last - task.first + 1 < least:
            following = next(self._tasks, None)
            if following is None or following.first != task.last + 1:
                self._next = following
                break
            task = Task(task.first, following.last)
        return task
