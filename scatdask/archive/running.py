"""A run: the blocks that are not done yet go through a pool, and what becomes of them is kept."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dask.utils import format_bytes
from tqdm import tqdm

from scatdask.archive.commits import recorded
from scatdask.archive.faults import Fault, fault_of, storage_error
from scatdask.archive.ledger import Ledger
from scatdask.archive.lock import Lock
from scatdask.archive.pools import Pool
from scatdask.archive.receipts import SUMS
from scatdask.archive.reports import Report
from scatdask.archive.work import Outcome, Task, Work
from scatdask.errors import BlocksFailedError, NonFiniteWarning, ScatdaskError

# A job of whose blocks nine in ten fail should say so soon.
_MOST_FAILURES = 20
# Tasks after which receipts are put together, if there are enough of them.
_TASKS_BETWEEN = 200


@dataclass
class Tally:
    """What has come in so far."""

    totals: Counter[str] = field(default_factory=Counter)
    computed: int = 0
    spoilt: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome, and warn of what is new in it."""
        for receipt in outcome.receipts:
            self.computed += receipt.last - receipt.first + 1
            self.spoilt += receipt.missing > 0
            self.totals.update({name: getattr(receipt, name) for name in SUMS})
        self.failures.update(outcome.failures)
        for notice in outcome.notices:
            if str(notice) not in self.told:
                self.told.add(str(notice))
                warnings.warn(notice, stacklevel=4)

    @property
    def is_hopeless(self) -> bool:
        """Whether so many blocks have failed that the others hardly fare better."""
        return len(self.failures) >= max(_MOST_FAILURES, 9 * self.computed)


def run_blocks(
    work: Work,
    todo: np.ndarray,
    pool: Pool,
    ledger: Ledger,
    *,
    blocks_per_task: int,
    lock: Lock | None,
    bar: tqdm,
) -> Tally:
    """Compute blocks, and record what becomes of them.

    Parameters
    ----------
    work : Work
    todo : array of int
        Blocks, in order.
    pool : Pool
    ledger : Ledger
    blocks_per_task : int
    lock : Lock or None
        On the output; without it, as in runs that share one, receipts stay as they are.
    bar : tqdm
        Moved by one for each block.

    Raises
    ------
    StorageError
        If a store says that nothing more can be read or written, or does not answer.
    OutputBusyError
        If another run has taken the lock over.
    """
    tally, start, tasks_ended = Tally(), time.perf_counter(), 0
    with (
        storage_errors(work.target.name),
        recorded(work, ledger) as (given, add),
        contextlib.closing(pool(given, _tasks(todo, blocks_per_task), add)) as outcomes,
    ):
        for _, outcome in outcomes:
            add(outcome)
            tally.add(outcome)
            if outcome.failures:
                ledger.fail(work.output, dict(outcome.failures), time.time())
            elapsed = max(time.perf_counter() - start, 1e-9)
            rate = format_bytes(int(tally.totals["bytes_read"] / elapsed))
            bar.set_postfix_str(f"{rate}/s", refresh=False)
            bar.update(len(outcome.receipts))
            tasks_ended += 1
            if lock is not None and tasks_ended % _TASKS_BETWEEN == 0:
                lock.check()
                ledger.compact(work.output)
            if tally.is_hopeless:
                break
    return tally


@contextlib.contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Raise StorageError where a store refuses, or does not answer however often it is asked."""
    try:
        yield
    except ScatdaskError:
        raise
    except Exception as error:
        if fault_of(error) is Fault.BLOCK:
            raise
        raise storage_error(error, place) from error


@contextlib.contextmanager
def noted(ledger: Ledger, run: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Record that a run has begun, and how it ended."""
    note = {"run": run, "started": time.time(), "ended": None, "state": "running", **fields}
    ledger.note_run(note)
    try:
        yield note
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        note.update(state="stopped" if stopped else "failed", message=str(error))
        raise
    else:
        note["state"] = "finished"
    finally:
        note["ended"] = time.time()
        with contextlib.suppress(OSError):  # such as a full disk, which the error itself tells
            ledger.note_run(note)


def warn_of_missing(tally: Tally) -> None:
    """Warn if blocks hold NaN outputs."""
    if tally.spoilt:
        warnings.warn(
            f"{tally.spoilt} of {tally.computed} blocks hold NaN outputs, since samples there are "
            "missing, NaN or infinite. Of integers in a Zarr 2 array, xarray takes those that "
            "equal the array's fill_value as missing",
            NonFiniteWarning,
            stacklevel=3,
        )


def check_failures(tally: Tally, n_blocks: int, n_done: int) -> None:
    """Raise BlocksFailedError if blocks failed."""
    if tally.failures:
        block, reason = min(tally.failures.items())
        raise BlocksFailedError(
            f"{len(tally.failures)} of {n_blocks} blocks failed, first block {block}: {reason}. "
            f"The {n_done} blocks that are done are recorded; run again to try the others"
        )


def report(tally: Tally, work: Work, found: int, seconds: float) -> Report:
    """Return what a run did."""
    totals = tally.totals
    return Report(
        blocks=work.n_blocks,
        found_done=found,
        computed=tally.computed,
        seconds=seconds,
        read=float(totals["read"]),
        compute=float(totals["compute"]),
        write=float(totals["write"]),
        bytes_read=int(totals["bytes_read"]),
        bytes_written=int(totals["bytes_written"]),
        nan_outputs=totals["missing"] / max(totals["coefficients"], 1),
        retries=int(totals["retries"]),
    )


def _tasks(todo: np.ndarray, blocks_per_task: int) -> Iterator[Task]:
    """Cut blocks into tasks of consecutive ones."""
    start = 0
    while start < len(todo):
        stop = start + 1
        while (
            stop < len(todo) and stop - start < blocks_per_task and todo[stop] == todo[stop - 1] + 1
        ):
            stop += 1
        yield Task(int(todo[start]), int(todo[stop - 1]))
        start = stop
