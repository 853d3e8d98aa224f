"""A job: Zarr to Zarr, any size, on threads or on a cluster, resumable."""

from __future__ import annotations

import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.system import CPU_COUNT
from dask.utils import format_bytes, parse_bytes
from tqdm import tqdm

from scatdask import labels
from scatdask._version import __version__
from scatdask.archive import source as sources
from scatdask.archive import store
from scatdask.archive.layout import Layout, StoredArray, make_layout
from scatdask.archive.ledger import Ledger
from scatdask.archive.plan import Plan, block_budget
from scatdask.archive.pools import choose_pool
from scatdask.archive.reports import Report, Status, read_status
from scatdask.archive.verify import Verification, verify_blocks
from scatdask.archive.work import Outcome, Task, Work
from scatdask.blocks import check_dtype
from scatdask.errors import BlocksFailedError, NonFiniteWarning, OutputExistsError
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import distributed

# A job whose every block fails should say so soon.
_MOST_FAILURES = 20
# Seconds that a run waits for another one that is making the output, or died doing so.
_PATIENCE = 30.0


class Job:
    """Transform a Zarr archive of any size into another.

    Every block is read with its halo, transformed, and written as whole chunks that it alone
    owns; what is done is recorded in a ledger beside the output, so that a run that was
    interrupted, however hard, goes on where it was. With ``T="global"`` a block is whole signals:
    a single long one runs on one core, and starts over if it is killed.

    Parameters
    ----------
    source : path or URL
        Zarr group to read.
    target : path or URL
        Zarr group to write; a folder ``<target>.ledger`` appears beside it.
    transform : Transform
        Such as `Scattering1D`.
    dim : str
        Core dimension.
    variable : str, optional
        Variable to transform; by default all numeric ones that have the dimension, and those
        that lack it are copied along if they have at most 16 MiB.
    memory : int or str, default "2 GiB"
        Resident memory that a worker process of one thread may take.
    missing_chunks : {"error", "fill"}
        Whether a source with chunks that do not exist is an error, or those hold the fill value.
        Of a sharded source shards are looked for, not the chunks in them.

    Raises
    ------
    ValueError
        If `target` is, holds, or lies inside `source`.

    Examples
    --------
    >>> import tempfile, numpy as np, xarray as xr, scatdask
    >>> folder = tempfile.mkdtemp()
    >>> noise = np.random.default_rng(0).standard_normal((2, 5000))
    >>> _ = xr.Dataset({"noise": (("station", "time"), noise)}).to_zarr(
    ...     f"{folder}/in.zarr", zarr_format=2)
    >>> job = Job(f"{folder}/in.zarr", f"{folder}/out.zarr", scatdask.Scattering1D(J=6), dim="time")
    >>> job.plan().output_shapes()
    {'noise': (2, 26, 79)}
    >>> job.run().computed
    1
    >>> print(job.status())
    1 of 1 blocks done (100.0%)
    """

    def __init__(
        self,
        source: str | PathLike[str],
        target: str | PathLike[str],
        transform: Transform,
        *,
        dim: str,
        variable: str | None = None,
        memory: int | str = "2 GiB",
        missing_chunks: str = "error",
    ) -> None:
        if not isinstance(transform, Transform):
            raise TypeError(f"transform must be a Transform, got {transform!r}")
        if missing_chunks not in ("error", "fill"):
            raise ValueError(f'missing_chunks must be "error" or "fill", got {missing_chunks!r}')
        self.source, self.target = store.absolute(source), store.absolute(target)
        self.transform, self.dim, self.variable = transform, dim, variable
        self.memory, self.missing_chunks = parse_bytes(memory), missing_chunks
        self._ledger = Ledger(self.target)
        store.check_locations(self.source, self.target)

    def __repr__(self) -> str:
        return f"Job({self.source!r}, {self.target!r}, {self.transform}, dim={self.dim!r})"

    # Before

    def plan(self) -> Plan:
        """Work out blocks, bytes, memory and hours; nothing is computed or written.

        Returns
        -------
        Plan
            Its `print` is meant for people. A job that has begun keeps the blocks it began with.

        Raises
        ------
        FileNotFoundError
            If there is no Zarr group at the source.
        KeyError
            If the dimension or variable does not exist.
        TypeError
            If samples are not real numbers.
        ValueError
            If nothing is numeric, or the axis not uniform or too short for the transform.
        MissingChunksError
            If chunks of the source do not exist.
        MemoryError
            If not even a single signal's halo fits the memory, or not the blocks of the job that
            has begun.
        """
        return self._plan(self._ledger.read())[0]

    def _plan(self, record: dict[str, Any] | None) -> tuple[Plan, xr.Dataset, dict[str, Any]]:
        """Return the plan, and the labelled but empty output with its encoding."""
        dataset = sources.open_source(self.source, decode_times=True)
        chosen, skipped = self._choose(dataset)
        variables = tuple(map(str, chosen))
        if self.variable is not None:
            dataset = dataset[list(chosen)]
        sampling = labels.sampling(dataset.coords.get(self.dim), self.dim)
        self.transform.check_length(dataset.sizes[self.dim])
        stored = []
        for name in variables:
            check_dtype(dataset[name].dtype, f"variable {name!r}")
            if self.missing_chunks == "error":
                sources.check_chunks(self.source, name)
            stored.append(self._stored(dataset[name], name))
        begun = record if record and not self._differences(record, variables) else None
        if begun:
            layouts = tuple(Layout.from_dict(fields) for fields in begun["layouts"])
        else:
            budget = block_budget(self.memory)
            layouts = tuple(
                make_layout(self.transform, name, self.dim, one, budget)
                for name, one in zip(variables, stored, strict=True)
            )
        empty, names, encoding = store.template(dataset, self.transform, layouts, sampling, skipped)
        plan = Plan(self.transform, layouts, tuple(stored), names)
        if begun and plan.peak_memory > self.memory:
            raise MemoryError(
                f"{self.target!r} was begun with blocks for which a worker needs "
                f"{-(-plan.peak_memory // 2**20)} MiB, and memory allows "
                f"{format_bytes(self.memory)}: give at least as much, or run with overwrite=True "
                "to begin again with smaller blocks"
            )
        return plan, empty, encoding

    def _choose(
        self, dataset: xr.Dataset
    ) -> tuple[dict[Hashable, xr.DataArray], dict[Hashable, str]]:
        if self.dim not in dataset.dims:
            raise KeyError(
                f"dim={self.dim!r} is not a dimension of {self.source!r}, which has "
                f"{', '.join(map(repr, map(str, dataset.dims)))}"
            )
        return labels.choose(dataset, self.dim, self.variable)

    def _stored(self, array: xr.DataArray, name: str) -> StoredArray:
        on_disk = sources.stored_array(self.source, name)
        chunks = sources.chunk_shape(on_disk)
        dims = [str(dim) for dim in array.dims]
        return StoredArray(
            dict(zip(dims, array.shape, strict=True)),
            dict(zip(dims, chunks, strict=True)),
            np.dtype(on_disk.dtype).itemsize,
            array.dtype.itemsize,
        )

    # The ledger

    def _identity(self, variables: tuple[str, ...]) -> dict[str, Any]:
        return {
            "transform": {"name": self.transform.name, **self.transform.parameters()},
            "transform_fingerprint": self.transform.fingerprint(),
            "source": self.source,
            "source_fingerprint": sources.fingerprint(self.source, variables, self.dim),
            "dim": self.dim,
            "variables": list(variables),
        }

    def _differences(self, record: dict[str, Any], variables: tuple[str, ...]) -> list[str]:
        """Say in which points another job than this one wrote a ledger."""
        mine = self._identity(variables)
        differing = []
        theirs = record.get("transform", {})
        for key in sorted({*theirs, *mine["transform"]}):
            if theirs.get(key) != mine["transform"].get(key):
                differing.append(
                    f"{key}: {theirs.get(key)!r} there, {mine['transform'].get(key)!r} here"
                )
        for key in ("source", "dim", "variables"):
            if record.get(key) != mine[key]:
                differing.append(f"{key}: {record.get(key)!r} there, {mine[key]!r} here")
        if record.get("source_fingerprint") != mine["source_fingerprint"]:
            differing.append("the source has changed since")
        if not differing and record.get("transform_fingerprint") != mine["transform_fingerprint"]:
            differing.append("the numbers have another meaning in this version of scatdask")
        return differing

    def _prepare(self, overwrite: bool) -> tuple[Work, Plan]:
        """Make the output, or find the one that an earlier run began."""
        is_there = store.exists(self.target)  # asked first: a run writes its record before
        record = None if overwrite else self._ledger.read()
        plan, empty, encoding = self._plan(record)
        if overwrite:  # only now, when nothing is wrong with the job
            if not self._ledger.exists():
                store.check_replaceable(self.target)
            self._ledger.remove()
            store.remove(self.target)
        elif record is not None:
            variables = tuple(layout.variable for layout in plan.layouts)
            if differing := self._differences(record, variables):
                raise OutputExistsError(
                    f"{self.target!r} is the output of another job ({'; '.join(differing)}): name "
                    "another output, or run with overwrite=True to replace it"
                )
            if self._is_made(record["output"]):
                return self._work(plan, record["output"]), plan
        elif is_there:
            raise OutputExistsError(
                f"{self.target!r} exists, and no ledger beside it says that a job wrote it: name "
                "another output, or run with overwrite=True to replace it"
            )
        left = None if record is None else record["output"]
        output = self._begin(plan, left)
        if output is None:
            if not _wait_for(lambda: (self._ledger.read() or {}).get("output", left) != left):
                raise OutputExistsError(
                    f"another run is making {self.target!r}, or died doing so: wait for it, or "
                    "run with overwrite=True"
                )
            return self._prepare(overwrite=False)
        store.create(self.target, empty, encoding)
        self._ledger.mark_created(output)
        return self._work(plan, output), plan

    def _is_made(self, output: str) -> bool:
        """Say whether an output is there, after a wait for another run that may be making it."""
        return _wait_for(lambda: self._ledger.is_created(output)) and store.exists(self.target)

    def _begin(self, plan: Plan, left: str | None) -> str | None:
        """Begin the ledger of a new output; None if another run was first."""
        record = {
            **self._identity(tuple(layout.variable for layout in plan.layouts)),
            "layouts": [layout.to_dict() for layout in plan.layouts],
            "output": uuid.uuid4().hex,
            "scatdask_version": __version__,
        }
        return record["output"] if self._ledger.begin(record, after=left) else None

    def _work(self, plan: Plan, output: str) -> Work:
        run = uuid.uuid4().hex
        return Work(self.source, self.target, self.transform, plan.layouts, plan.names, run, output)

    # Doing it

    def run(
        self,
        client: distributed.Client | None = None,
        *,
        workers: int | None = None,
        overwrite: bool = False,
        progress: bool | None = None,
    ) -> Report:
        """Compute all blocks that are not done yet.

        Parameters
        ----------
        client : distributed.Client, optional
            Cluster to run on.
        workers : int, optional
            Without a client: start a `LocalCluster` of so many processes. By default the blocks
            run in threads of this process, one for each core as far as memory allows.
        overwrite : bool, default False
            Replace an output that exists, whoever wrote it; what is not Zarr is left alone.
        progress : bool, optional
            Whether to show a bar; by default where standard error is a terminal.

        Returns
        -------
        Report

        Raises
        ------
        OutputExistsError
            If the output is not this job's.
        BlocksFailedError
            If blocks raised. All others are done; run again to try those.
        WorkersLostError
            If the cluster went away.

        Warns
        -----
        NonFiniteWarning
            If blocks of this run hold NaN outputs.
        """
        work, plan = self._prepare(overwrite)
        done = self._ledger.done(work.output, work.n_blocks)
        found = int(done.sum())
        start = time.perf_counter()
        totals, spoilt = np.zeros(6), 0
        failures: list[tuple[int, str]] = []
        with contextlib.ExitStack() as stack:
            hidden = None if progress is None else not progress
            bar = stack.enter_context(
                tqdm(total=work.n_blocks, initial=found, unit="block", disable=hidden)
            )
            outcomes: Iterable[tuple[Task, Outcome]] = ()
            if found < work.n_blocks:  # no cluster is started for nothing
                pool = stack.enter_context(choose_pool(client, workers, plan.block_memory))
                tasks = _tasks(done, plan.blocks_per_task(pool.threads or int(CPU_COUNT)))
                outcomes = stack.enter_context(contextlib.closing(pool(work, tasks)))
            for _, outcome in outcomes:
                failures += outcome.failures
                for receipt in outcome.receipts:
                    totals += np.array(receipt[2:], dtype=np.float64)
                    spoilt += receipt.missing > 0
                elapsed = max(time.perf_counter() - start, 1e-9)
                bar.set_postfix_str(f"{format_bytes(int(totals[3] / elapsed))}/s", refresh=False)
                bar.update(len(outcome.receipts))
                if len(failures) >= _MOST_FAILURES:
                    break
        computed = int(self._ledger.done(work.output, work.n_blocks).sum()) - found
        if spoilt:
            warnings.warn(
                f"{spoilt} of {computed} blocks hold NaN outputs, since samples there are missing, "
                "NaN or infinite. Of integers in a Zarr 2 array, xarray takes those that equal "
                "the array's fill_value as missing",
                NonFiniteWarning,
                stacklevel=2,
            )
        if failures:
            number, reason = failures[0]
            raise BlocksFailedError(
                f"{len(failures)} of {work.n_blocks} blocks failed, first block {number}: "
                f"{reason}. The {found + computed} blocks that are done are recorded; run again "
                "to try the others"
            )
        itemsize = np.dtype(self.transform.dtype).itemsize
        return Report(
            blocks=work.n_blocks,
            found_done=found,
            computed=computed,
            seconds=time.perf_counter() - start,
            read=float(totals[0]),
            compute=float(totals[1]),
            write=float(totals[2]),
            bytes_read=int(totals[3]),
            bytes_written=int(totals[4]),
            nan_outputs=totals[5] * itemsize / totals[4] if totals[4] else 0.0,
        )

    # After

    def status(self) -> Status:
        """Say how many blocks are done; reads the ledger only.

        Raises
        ------
        FileNotFoundError
            If no run has begun.
        """
        return read_status(self.target)

    def verify(self, blocks: int = 8, *, seed: int = 0) -> Verification:
        """Compute some blocks anew, cut in another way, and compare with what is stored.

        Parameters
        ----------
        blocks : int, default 8
            How many, drawn at random from those that are done.
        seed : int, default 0
            Seed of the draw.

        Returns
        -------
        Verification
            Its ``is_good`` says whether all agree and no chunk of a finished block is missing.

        Raises
        ------
        FileNotFoundError
            If no run has begun.
        OutputExistsError
            If the output is not this job's.
        """
        self.status()
        record = self._ledger.read() or {}
        plan = self._plan(record)[0]
        variables = tuple(layout.variable for layout in plan.layouts)
        if differing := self._differences(record, variables):
            raise OutputExistsError(
                f"{self.target!r} is the output of another job ({'; '.join(differing)})"
            )
        work = self._work(plan, record["output"])
        return verify_blocks(work, self._ledger.done(work.output, work.n_blocks), blocks, seed)


def _wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False if it does not within the patience of a run."""
    until = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _tasks(done: np.ndarray, blocks_per_task: int) -> Iterator[Task]:
    """Cut the blocks that are not done into tasks of consecutive ones."""
    todo = np.flatnonzero(~done)
    start = 0
    while start < len(todo):
        stop = start + 1
        while (
            stop < len(todo) and stop - start < blocks_per_task and todo[stop] == todo[stop - 1] + 1
        ):
            stop += 1
        yield Task(int(todo[start]), int(todo[stop - 1]))
        start = stop
