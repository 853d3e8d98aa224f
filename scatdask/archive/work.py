"""What a worker does: read a slab, transform it, write whole chunks, leave a receipt."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import distributed
import numpy as np

from scatdask.archive import store
from scatdask.archive.environment import environment, identity
from scatdask.archive.faults import Fault, fault_of
from scatdask.archive.gpu import transform_on_gpu
from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.metrics import meter_receipts
from scatdask.archive.process import (
    call_unseen,
    prepare_process,
    products_in_one_thread,
    release_memory,
)
from scatdask.archive.receipts import Receipt, merge
from scatdask.archive.reducing import Reducing, places, values_of
from scatdask.archive.retries import retries_so_far
from scatdask.archive.source import read_block
from scatdask.archive.source_kinds import Readable
from scatdask.blocks import combine_sums, listening, transform_block
from scatdask.blocks.function import Pieces
from scatdask.errors import OutputExistsError
from scatdask.transforms import Transform


@dataclass(frozen=True)
class Work:
    """All that a worker needs to know: a few hundred bytes.

    Attributes
    ----------
    source : Readable
    target : Location
    transform : Transform
    layouts : tuple of Layout
        One for each variable; blocks are numbered through them.
    names : tuple of tuple of str
        Output arrays of each variable.
    run : str
        Identity of this run, 32 hexadecimal digits.
    output : str
        Identity of the output, 32 hexadecimal digits.
    reducing : Reducing, optional
        How blocks are reduced to states of windows, where they are.
    device : {"cpu", "gpu"}
        Where blocks are transformed.
    """

    source: Readable
    target: Location
    transform: Transform
    layouts: tuple[Layout, ...]
    names: tuple[tuple[str, ...], ...]
    run: str
    output: str
    reducing: Reducing | None = None
    device: str = "cpu"

    @property
    def n_blocks(self) -> int:
        """Number of blocks of all variables."""
        return sum(layout.n_blocks for layout in self.layouts)

    def locate(self, block: int) -> tuple[Layout, tuple[str, ...], int]:
        """Return the layout, output arrays and own number of a block."""
        for layout, names in zip(self.layouts, self.names, strict=True):
            if block < layout.n_blocks:
                return layout, names, block
            block -= layout.n_blocks
        raise IndexError(f"there is no block {block} past the last")


class Task(NamedTuple):
    """Consecutive blocks [first, last], both included."""

    first: int
    last: int


class Outcome(NamedTuple):
    """What became of a task: receipts of its blocks, and the failed ones with their reasons.

    What it has written to an Icechunk repository comes with it, and is committed by the client.
    What there is to warn of is shown by the client too.
    """

    receipts: list[Receipt]
    failures: list[tuple[int, str]]
    changes: bytes | None = None
    notices: tuple[Warning, ...] = ()


@products_in_one_thread()
def run_task(work: Work, task: Task) -> Outcome:
    """Compute the blocks of a task.

    A block that raises does not keep the others from being done. What is done is recorded in the
    ledger however the task ends; in an Icechunk repository, once it is committed.

    Raises
    ------
    OutputExistsError
        If the output was replaced since the run began.
    Exception
        Any that concerns more than a block, see `ends_the_run`.
    """
    receipts: list[Receipt] = []
    failures = []
    own = _in_session_of_its_own(work)
    try:
        with listening() as heard:
            for block in range(task.first, task.last + 1):
                try:
                    receipts.append(run_block(own, block))
                except Exception as error:
                    if ends_the_run(error):
                        raise
                    failures.append((block, f"{type(error).__name__}: {error}"))
    finally:
        for name in {receipt.environment for receipt in receipts}:
            _note_environment(work, name)
        if own is work:
            Ledger(work.target).mark(work.output, merge(receipts))
        release_memory()
    return Outcome(receipts, failures, None if own is work else _written(own), tuple(heard))


def _in_session_of_its_own(work: Work) -> Work:
    """Return work that writes to a session of its own, where it goes to a repository."""
    fork = work.target.repository
    return (
        work if fork is None else replace(work, target=replace(work.target, repository=fork.open()))
    )


def _written(work: Work) -> bytes:
    """Return what was written to the session of a task."""
    from scatdask.archive import repositories

    return repositories.changes(work.target)


def ends_the_run(error: BaseException) -> bool:
    """Say whether other blocks would end like this one, such as where a disk is full."""
    return isinstance(error, OutputExistsError) or fault_of(error) is Fault.FATAL


@lru_cache(maxsize=64)
def _note_environment(work: Work, name: str) -> None:
    """Record an environment of this process, once a run."""
    described = next(e for e in map(environment, ("cpu", work.device)) if identity(e) == name)
    Ledger(work.target).note_environment(name, described)


def run_task_on_worker(work: Work, task: Task) -> Outcome:
    """Compute the blocks of a task in a process that is there for such work."""
    prepare_process()
    if work.device == "gpu":
        # Such tasks wait for each other most of the time, and as many of them are let in as there
        # are to be blocks under way: they need no thread of the worker's own.
        distributed.secede()
    outcome = call_unseen(run_task, work, task)
    meter_receipts(outcome.receipts)
    return outcome


def run_block(work: Work, block: int) -> Receipt:
    """Compute and write one block.

    Raises
    ------
    OutputExistsError
        If the output was replaced since the run began.
    """
    started, repeated = time.time(), retries_so_far()
    layout, names, own = work.locate(block)
    arrays, read, compute, n_bytes, device = compute_block(
        work.source, work.transform, layout, own, work.run, work.device
    )
    start = time.perf_counter()
    Ledger(work.target).check(work.output)
    written = stored = coefficients = missing = 0
    for name, array, output in zip(names, arrays, work.transform.outputs, strict=True):
        arrays_of = values_of(work, layout, own, output, array)
        for (where, path, place), values in zip(
            places(work, layout, name, output), arrays_of, strict=True
        ):
            stored += store.write(where, path, work.run, place(own), values)
            written += values.nbytes
        coefficients += array.size
        missing += int(np.count_nonzero(np.isnan(array)))
    return Receipt(
        block,
        block,
        started=started,
        ended=time.time(),
        read=read,
        compute=compute,
        write=time.perf_counter() - start,
        bytes_read=n_bytes,
        bytes_written=written,
        bytes_stored=stored,
        coefficients=coefficients,
        missing=missing,
        retries=retries_so_far() - repeated,
        environment=identity(environment(device)),
    )


def compute_block(
    source: Readable,
    transform: Transform,
    layout: Layout,
    block: int,
    run: str | None = None,
    device: str = "cpu",
) -> tuple[list[np.ndarray], float, float, int, str]:
    """Read and transform one block, in a run or by itself.

    Returns
    -------
    arrays : list of array
        One for each output, in the shape in which it is stored.
    read, compute : float
        Seconds.
    n_bytes : int
        Bytes read, decoded.
    where : {"cpu", "gpu"}
        Which device did it: the CPU also where the other one failed.
    """
    batch = layout.batch(block)
    read = compute = 0.0
    n_bytes, where = 0, device
    total: list[np.ndarray] | None = None
    for part in layout.parts(transform, block):
        t0 = time.perf_counter()
        pieces = read_block(source, layout.variable, layout.dims, part, batch, run)
        t1 = time.perf_counter()
        if device == "gpu":
            arrays, seconds, did = transform_on_gpu(transform, part, layout.shape, pieces)
            where = min(where, did)
        else:
            arrays = transform_block(transform, part, layout.shape, pieces)
            seconds = time.perf_counter() - t1
        read, compute = read + t1 - t0, compute + seconds
        n_bytes += _n_bytes(pieces)
        if transform.outputs[0].stride is None:
            sums = arrays[0].astype(np.float64)
            total = [sums] if total is None else [total[0] + sums]
        else:
            total = arrays
    assert total is not None
    if transform.outputs[0].stride is None:
        total = [combine_sums(transform, total[0], layout.shape)]
    lengths = tuple(part.stop - part.start for part in batch.values())
    return [a.reshape(*lengths, *a.shape[1:]) for a in total], read, compute, n_bytes, where


def _n_bytes(pieces: Pieces) -> int:
    return sum(map(_n_bytes, pieces)) if isinstance(pieces, list) else int(pieces.nbytes)
