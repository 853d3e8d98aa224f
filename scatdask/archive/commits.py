"""When what blocks write comes to count: at once in plain Zarr, with a commit in a repository."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from scatdask.archive.receipts import Receipt, merge

if TYPE_CHECKING:
    from scatdask.archive.ledger import Ledger
    from scatdask.archive.locations import Location
    from scatdask.archive.lock import Lock
    from scatdask.archive.repositories import Draft
    from scatdask.archive.work import Outcome, Work

# A client that is killed costs what came in since the last commit: a minute of work, later on a
# twentieth of the time so far, at most ten minutes.
_LEAST_SECONDS, _MOST_SECONDS, _SHARE_OF_RUN = 60.0, 600.0, 1 / 20
# A commit may take so much of the time between two.
_SHARE_OF_COMMITS = 1 / 20


def draft_of(target: Location, output: str) -> Draft | None:
    """Return the draft of an output that is an Icechunk repository."""
    if target.repository is None:
        return None
    from scatdask.archive.repositories import Draft

    return Draft(target, output)


def check_held(target: Location, output: str) -> None:
    """Raise OutputExistsError if a repository does not hold the output that the ledger records."""
    draft = draft_of(target, output)
    if draft is not None:
        draft.check()


def to_read(target: Location, output: str) -> Location:
    """Return the location from which what blocks have written is read."""
    draft = draft_of(target, output)
    return target if draft is None else draft.look()


@contextlib.contextmanager
def made(target: Location, output: str, former: str | None = None) -> Iterator[Location]:
    """Yield the location to which the arrays of an output are written.

    Parameters
    ----------
    target : Location
    output : str
        Identity of the output.
    former : str, optional
        Of the one that it continues.
    """
    draft = draft_of(target, output)
    if draft is None:
        yield target
        return
    written = draft.begin(former)
    yield written
    draft.commit(written, "output made" if former is None else "output extended")


def discard(target: Location, output: str) -> None:
    """Forget what of an output is not published, and is part of another one by now."""
    draft = draft_of(target, output)
    if draft is not None:
        draft.discard()


@contextlib.contextmanager
def merged(work: Work) -> Iterator[Work]:
    """Yield work whose target takes what is written by this process."""
    draft = draft_of(work.target, work.output)
    if draft is None:
        yield work
        return
    written = draft.open()
    yield replace(work, target=written)
    draft.commit(written, "statistics merged")


@contextlib.contextmanager
def recorded(work: Work, ledger: Ledger) -> Iterator[tuple[Work, Callable[[Outcome], None]]]:
    """Yield work for tasks, and what takes their outcomes; at the end all of them count."""
    draft = draft_of(work.target, work.output)
    if draft is None:
        yield work, lambda outcome: None
        return
    commits = _Commits(draft, work, ledger)
    try:
        yield commits.work, commits.add
    finally:
        commits.commit()


def note_draft(target: Location, output: str, ledger: Ledger) -> None:
    """Record that blocks will be computed that what is published does not hold."""
    if target.repository is not None:
        ledger.amend(output, is_published=False)


def publish_if_complete(work: Work, ledger: Ledger, lock: Lock) -> None:
    """Show readers of a repository the output, if all of it is there.

    Raises
    ------
    OutputBusyError
        If another run has taken the lock over.
    """
    draft = draft_of(work.target, work.output)
    if draft is None or not ledger.done(work.output, work.n_blocks).all():
        return
    lock.check()
    with ledger.committing():
        draft.publish()
    ledger.amend(work.output, is_published=True)


def interval(elapsed: float, took: float) -> float:
    """Return the seconds from one commit to the next.

    Parameters
    ----------
    elapsed : float
        Seconds since the run began.
    took : float
        Seconds that the last commit took.
    """
    wanted = min(max(_LEAST_SECONDS, elapsed * _SHARE_OF_RUN), _MOST_SECONDS)
    return max(wanted, took / _SHARE_OF_COMMITS)


class _Commits:
    """The commits of a run to a repository.

    Parameters
    ----------
    draft : Draft
    work : Work
    ledger : Ledger
    """

    def __init__(self, draft: Draft, work: Work, ledger: Ledger) -> None:
        from scatdask.archive import repositories

        self._draft, self._ledger, self._output = draft, ledger, work.output
        self._written = draft.open()
        self.work = replace(work, target=repositories.forked(self._written))
        # Written down only when it is committed what they speak of.
        self._receipts: list[Receipt] = []
        self._begun = self._ended = time.monotonic()
        self._seconds = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take what became of a task."""
        from scatdask.archive import repositories

        if outcome.changes is not None:
            repositories.merge(self._written, outcome.changes)
            self._receipts += merge(outcome.receipts)
        now = time.monotonic()
        if now - self._ended >= interval(now - self._begun, self._seconds):
            self.commit()

    def commit(self) -> None:
        """Make what has come in count."""
        if not self._receipts:
            return
        started = time.monotonic()
        blocks = sum(receipt.last - receipt.first + 1 for receipt in self._receipts)
        # In turns, since repositories on a disk lose one of two commits at the same time.
        with self._ledger.committing():
            self._draft.commit(self._written, f"{blocks} of {self.work.n_blocks} blocks")
        self._ledger.mark(self._output, self._receipts)
        self._receipts = []
        self._written = self._draft.open()
        self._ended = time.monotonic()
        self._seconds = self._ended - started
