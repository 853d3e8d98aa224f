"""A job: Zarr to Zarr, any size, on threads or on a cluster, resumable."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.system import CPU_COUNT
from dask.utils import format_bytes, parse_bytes
from tqdm import tqdm

from scatdask.archive.beginning import make_work, prepare
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location, check_apart
from scatdask.archive.plan import Plan
from scatdask.archive.pools import choose_pool
from scatdask.archive.reports import Report, Status, read_status
from scatdask.archive.request import Request
from scatdask.archive.verify import Verification, verify_blocks
from scatdask.archive.work import Outcome, Task
from scatdask.errors import BlocksFailedError, NonFiniteWarning, OutputExistsError
from scatdask.labels import as_dims
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import distributed

# A job whose every block fails should say so soon.
_MOST_FAILURES = 20


class Job:
    """Transform a Zarr archive of any size into another.

    Every block is read with its halo, transformed, and written as whole chunks that it alone
    owns; what is done is recorded in a ledger beside the output, so that a run that was
    interrupted, however hard, goes on where it was. Where there is one number for a whole signal,
    as with ``T="global"`` or the integrals over a volume, a block is whole signals, read part by
    part: a single large one runs on one core, and starts over if it is killed.

    Parameters
    ----------
    source : path or URL
        Zarr group to read.
    target : path or URL
        Zarr group to write; a folder ``<target>.ledger`` appears beside it.
    transform : Transform
        Such as `Scattering1D`.
    dim : str
        Core dimension of a transform over one.
    dims : sequence of str
        Core dimensions of a transform over several, in the order of its core axes; they may lie
        anywhere among the dimensions of a variable. Give this or `dim`.
    variable : str, optional
        Variable to transform; by default all numeric ones that have the core dimensions, and
        those that have none of them are copied along if they have at most 16 MiB.
    memory : int or str, default "2 GiB"
        Resident memory that a worker process of one thread may take.
    missing_chunks : {"error", "fill"}
        Whether a source with chunks that do not exist is an error, or those hold the fill value.
        Of a sharded source shards are looked for, not the chunks in them.
    source_options, target_options : mapping, optional
        What the file system of a URL takes, such as ``{"endpoint_url": ...}``; they go to the
        workers, but not into the ledger.

    Raises
    ------
    TypeError
        If not exactly one of `dim` and `dims` is given.
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
        dim: str | None = None,
        dims: Sequence[str] | None = None,
        variable: str | None = None,
        memory: int | str = "2 GiB",
        missing_chunks: str = "error",
        source_options: Mapping[str, Any] | None = None,
        target_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(transform, Transform):
            raise TypeError(f"transform must be a Transform, got {transform!r}")
        if (dim is None) == (dims is None):
            raise TypeError(
                f"give the core dimensions of {transform.name} as dim, if it is one, or as dims"
            )
        if missing_chunks not in ("error", "fill"):
            raise ValueError(f'missing_chunks must be "error" or "fill", got {missing_chunks!r}')
        names = tuple(map(str, as_dims(dim if dims is None else dims)))
        self.request = Request(
            Location.of(source, source_options),
            Location.of(target, target_options),
            transform,
            names,
            variable,
            parse_bytes(memory),
            missing_chunks,
        )
        self._ledger = Ledger(self.request.target)
        check_apart(self.request.source, self.request.target)

    def __repr__(self) -> str:
        asked = self.request
        places = f"{asked.source.url!r}, {asked.target.url!r}"
        return f"Job({places}, {asked.transform}, dims={asked.dims!r})"

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
            If a dimension or the variable does not exist.
        TypeError
            If samples are not real numbers.
        ValueError
            If the transform is over another number of dimensions, one is named twice, nothing is
            numeric, or an axis not uniform or too short for the transform.
        MissingChunksError
            If chunks of the source do not exist.
        MemoryError
            If not even a single signal's halo fits the memory, or not the blocks of the job that
            has begun.
        """
        return self.request.plan(self._ledger.read())[0]

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
        work, plan = prepare(self.request, overwrite=overwrite)
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
        itemsize = np.dtype(work.transform.dtype).itemsize
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

    def status(self) -> Status:
        """Say how many blocks are done; reads the ledger only.

        Raises
        ------
        FileNotFoundError
            If no run has begun.
        """
        return read_status(self.request.target)

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
        plan = self.request.plan(record)[0]
        if differing := self.request.differences(record, plan.variables):
            raise OutputExistsError(
                f"{self.request.target.url!r} is the output of another job ({'; '.join(differing)})"
            )
        work = make_work(self.request, plan, record["output"])
        return verify_blocks(work, self._ledger.done(work.output, work.n_blocks), blocks, seed)


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
