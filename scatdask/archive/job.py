"""A job: Zarr to Zarr, any size, on threads or on a cluster, resumable."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.system import CPU_COUNT

from scatdask.archive.arguments import (
    block_range,
    check_changed,
    check_client,
    check_job,
    check_number,
    existing_blocks,
)
from scatdask.archive.beginning import find, prepare
from scatdask.archive.commits import note_draft, publish_if_complete, to_read
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import target_of
from scatdask.archive.places import check_place, choose_pool
from scatdask.archive.plan import Plan
from scatdask.archive.preflight import check_folder
from scatdask.archive.progress import progress_bar
from scatdask.archive.reducing import merge_if_complete, note_changes
from scatdask.archive.reduction import Reduction
from scatdask.archive.report.notebook import job_html
from scatdask.archive.reports import Report, Status, read_status
from scatdask.archive.request import Request
from scatdask.archive.running import (
    Tally,
    check_failures,
    noted,
    report,
    run_blocks,
    storage_errors,
    warn_of_missing,
)
from scatdask.archive.source_kinds import source_of
from scatdask.archive.statistics import verify_statistics
from scatdask.archive.verify import Verification, drawn_blocks, verify_blocks
from scatdask.archive.worker_memory import parsed_memory
from scatdask.errors import OutputBusyError
from scatdask.labels import as_dims
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import distributed

    from scatdask.archive.locations import Place


class Job:
    """Transform a Zarr archive of any size into another.

    Every block is read with its halo, transformed, and written as whole chunks that it alone
    owns; what is done is recorded in a ledger beside the output, so that a run that was
    interrupted, however hard, goes on where it was. Where there is one number for a whole signal,
    as with ``T="global"`` or the integrals over a volume, a block is whole signals, read part by
    part: a single large one runs on one core, and starts over if it is killed.

    Parameters
    ----------
    source : path, URL, store, or sequence of paths
        Zarr group to read; or files of netCDF, HDF5, GRIB, whatever `xarray.open_dataset` opens:
        one, several, or a pattern such as ``"2024/*.nc"``. A store is an `S3Store`, `GCSStore` or
        `AzureStore` of obstore, or zarr's `ObjectStore`, `FsspecStore` or `LocalStore`.
    target : path, URL, store or icechunk.Repository
        Zarr group to write, in a folder that exists; another ``<target>.ledger`` appears beside it.
        The URL of an Icechunk repository is ``icechunk+file:///path``, or
        ``icechunk+s3://bucket/prefix`` with what the environment says of S3; it is written to as a
        whole: the branch ``main`` shows the output once all of it is there.
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
    memory : int or str, optional
        Resident memory that a worker process of one thread may take, such as "4GB". By default
        what there is, less what keeps dask from spilling: of the workers of the client that
        `run` and `plan` are given, and of this machine, shared by its cores, without one; `init`
        knows this machine only. A GPU's blocks are held to all that its worker has.
    missing_chunks : {"error", "fill"}
        Whether a source with chunks that do not exist is an error, or those hold the fill value.
        Of a sharded source shards are looked for, not the chunks in them.
    reduce : Reduction, optional
        Write statistics over windows of time in place of the coefficients, which are never
        written. A group ``<target>.partials`` appears beside the output.
    engine : str, optional
        Of xarray for files that are not Zarr, such as "h5netcdf" or "cfgrib"; by default xarray
        finds one.
    ledger : path or URL, optional
        Where the ledger is, a name that ends in ``.ledger``, if the target is an
        `icechunk.Repository`: the file system is asked for with `target_options`.
    source_options, target_options : mapping, optional
        What the file system of a URL takes, such as ``{"endpoint_url": ...}``, or for files
        `xarray.open_dataset` and `xarray.open_mfdataset`; they go to the workers, but not into
        the ledger.

    Raises
    ------
    TypeError
        If not exactly one of `dim` and `dims` is given, `transform` or `reduce` is something else,
        or a store or an option cannot be sent to workers.
    ValueError
        If `target` is, holds, or lies inside `source`, or has a ledger of another name.

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
        source: Place | Sequence[str | PathLike[str]],
        target: Place,
        transform: Transform,
        *,
        dim: str | None = None,
        dims: Sequence[str] | None = None,
        variable: str | None = None,
        memory: int | str | None = None,
        missing_chunks: str = "error",
        reduce: Reduction | None = None,
        engine: str | None = None,
        ledger: str | PathLike[str] | None = None,
        source_options: Mapping[str, Any] | None = None,
        target_options: Mapping[str, Any] | None = None,
    ) -> None:
        check_job(transform, missing_chunks, reduce)
        if (dim is None) == (dims is None):
            raise TypeError(
                f"give the core dimensions of {transform.name} as dim, if it is one, or as dims"
            )
        names = tuple(map(str, as_dims(dim if dims is None else dims)))
        self.request = Request(
            source_of(source, source_options, engine),
            target_of(target, ledger, target_options),
            transform,
            names,
            variable,
            parsed_memory(memory),
            missing_chunks,
            reduction=reduce,
        )
        self._ledger = Ledger(self.request.target)
        self.request.source.check_apart(self.request.target)

    def __repr__(self) -> str:
        asked = self.request
        places = f"{asked.source.url!r}, {asked.target.name!r}"
        return f"Job({places}, {asked.transform}, dims={asked.dims!r})"

    def _repr_html_(self) -> str:
        asked = self.request
        return job_html(asked.source.url, asked.target, str(asked.transform))

    def plan(self, client: distributed.Client | None = None) -> Plan:
        """Work out blocks, bytes, memory and hours; nothing is computed or written.

        Parameters
        ----------
        client : distributed.Client, optional
            The cluster that is to run it, if its workers are to say how much memory there is.

        Returns
        -------
        Plan
            Its `print` is meant for people. A job that has begun keeps the blocks it began with.

        Raises
        ------
        FileNotFoundError
            If there is no Zarr group at the source, or no folder on a disk for the output.
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
            has begun, or the workers have less than the plan needs.
        WorkerVersionError
            If a worker has no scatdask, or another version of it or of Zarr than this process.

        Warns
        -----
        ShortBlocksWarning
            If the blocks of the job that has begun read much more than fresh ones would.
        NoWorkersWarning
            If the cluster has no workers yet: then it is planned for this machine.
        """
        check_client(client)
        check_folder(self.request.target)
        request = self.request
        if client is not None:
            gpus = check_place(client, None, None, "auto", self.request.memory)
            request = request.for_workers(client, gpus=gpus)
        prospect = request.consider(self._ledger.read())
        if prospect.former is not None:
            request.warn_of_short_blocks(prospect.plan)
        return prospect.plan

    def init(self, *, overwrite: bool = False, changed: str = "error") -> Plan:
        """Make the output and its ledger, without computing anything.

        For runs that share the blocks among them, such as the tasks of a job array: each then
        calls ``run(blocks=(first, stop))``, in any order, and one calls `finalise` at the end.
        This machine need not be like theirs: give the job the `memory` that a thread has where
        they run, or blocks are chosen for what this one has.

        Parameters
        ----------
        overwrite : bool, default False
            Replace an output that exists, whoever wrote it; what is not Zarr is left alone.
        changed : {"error", "recompute"}
            What to do where chunks of the source were written anew, as for `run`.

        Raises
        ------
        OutputExistsError
            If the output is not this job's.
        OutputBusyError
            If a run is writing it.
        SourceChangedError
            If chunks of the source were written anew since the job began.
        """
        check_changed(changed)
        with self._ledger.lock(uuid.uuid4().hex) as lock:
            return prepare(self.request, lock, overwrite=overwrite, changed=changed)[1]

    def run(
        self,
        client: distributed.Client | None = None,
        *,
        workers: int | None = None,
        scheduler: str | None = None,
        device: str = "auto",
        blocks: tuple[int, int] | None = None,
        overwrite: bool = False,
        changed: str = "error",
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
        scheduler : {"threads", "synchronous"}, optional
            Without a client: "synchronous" computes one block after the other in this very
            thread, for a debugger.
        device : {"auto", "cpu", "gpu"}
            What computes. By default a GPU where a process has one, and the CPUs of workers that
            have none; of several processes that share a GPU one uses it.
        blocks : tuple of two int, optional
            Compute the blocks from the first to before the second only, as far as there are so
            many, of an output that `init` made. Any number of such runs may share an output.
        overwrite : bool, default False
            Replace an output that exists, whoever wrote it; what is not Zarr is left alone.
        changed : {"error", "recompute"}
            What to do where chunks of the source were written anew since the job began: say so,
            or compute the blocks again that read from them. A source that got longer is no
            change: its new blocks are computed, and those that its former end touched.
        progress : bool, optional
            Whether to show a bar; by default in Jupyter, and where standard error is a terminal.

        Returns
        -------
        Report

        Raises
        ------
        OutputExistsError
            If the output is not this job's, or others have committed to the branch ``main`` of an
            Icechunk repository meanwhile.
        OutputBusyError
            If another run is writing it.
        BlocksFailedError
            If blocks raised. All others are done; run again to try those.
        StorageError
            If a store refuses, or does not answer. What is done is recorded.
        WorkersLostError
            If the cluster went away, or with "gpu" the last worker that has one.
        WorkerVersionError
            If a worker has no scatdask, or another version of it or of Zarr than this process.
        MemoryError
            As from `plan`, before anything is computed or written.
        FileNotFoundError
            If `blocks` are given and there is no output yet, or the folder on a disk in which the
            output is to lie does not exist.
        SourceChangedError
            If chunks of the source were written anew since the job began.
        ValueError
            If there are no such `blocks`, more than one place to run is named, or there is no GPU
            where one is asked for.

        Warns
        -----
        NonFiniteWarning
            If blocks of this run hold NaN outputs.
        NoWorkersWarning
            If the cluster has no workers yet.
        WorkerMemoryWarning
            If a worker that came late would be killed at less memory than the plan needs.
        DeviceLostWarning
            If the last worker with a GPU went away, and CPUs compute its blocks.
        DeviceFailedWarning, DeviceMemoryWarning
            If a GPU failed or had too little memory, and the CPU of its worker computed instead.
        """
        check_changed(changed)
        check_client(client)
        asked = None if blocks is None else block_range(blocks)
        if blocks is not None and (overwrite or changed != "error"):
            raise ValueError(
                "overwrite=True and changed= concern the blocks of others too: call init() with "
                "them first"
            )
        gpus = check_place(client, workers, scheduler, device, self.request.memory)
        start = time.perf_counter()
        request = self.request.for_workers(client, workers, gpus=gpus, only_gpus=device == "gpu")
        with contextlib.ExitStack() as stack:
            lock = None
            if blocks is None:
                lock = stack.enter_context(self._ledger.lock(uuid.uuid4().hex))
                work, plan = prepare(request, lock, overwrite=overwrite, changed=changed)
            else:
                work, plan = find(request)
            first, stop = existing_blocks(asked, work.n_blocks)
            stack.enter_context(storage_errors(work.target.name))
            done = self._ledger.done(work.output, work.n_blocks)
            todo = first + np.flatnonzero(~done[first:stop])
            failed = [failure.block for failure in self._ledger.failures(work.output, done)]
            # Those that failed before come last, where they keep no others from being done.
            todo = todo[np.argsort(np.isin(todo, failed), kind="stable")]
            found = stop - first - len(todo)
            bar = stack.enter_context(progress_bar(total=stop - first, done=found, shown=progress))
            tally = Tally()
            if len(todo) and lock is not None:
                note_changes(work, self._ledger)
                note_draft(work.target, work.output, self._ledger)
            if len(todo):  # no cluster is started for nothing
                note = stack.enter_context(
                    noted(self._ledger, work.run, blocks=len(todo), range=asked)
                )
                pool = stack.enter_context(
                    choose_pool(
                        client,
                        workers,
                        scheduler,
                        plan.block_memory,
                        device,
                        plan.memory_needed,
                    )
                )
                threads = pool.threads or int(CPU_COUNT)
                note["pool"] = str(pool)
                self._ledger.note_run(note)  # now, for if it is killed
                tally = run_blocks(
                    work,
                    todo,
                    pool,
                    self._ledger,
                    blocks_per_task=plan.blocks_per_task(threads),
                    lock=lock,
                    bar=bar,
                )
                warn_of_missing(tally)
                check_failures(tally, work.n_blocks, int(done.sum()) + tally.computed)
            if lock is not None:
                lock.check()
                self._ledger.compact(work.output, all_receipts=True)
                merge_if_complete(work, self._ledger, lock, computed=tally.computed)
                publish_if_complete(work, self._ledger, lock)
        return report(tally, work, found, time.perf_counter() - start)

    def finalise(self) -> Status:
        """Put the records of shared runs together, and show the output where all of it is there.

        They are of the source as it was for `init`, if it is longer now.

        Returns
        -------
        Status
            Its ``is_complete`` says whether every block is done.

        Raises
        ------
        FileNotFoundError
            If there is no output.
        OutputBusyError
            If a run is writing it.
        """
        with self._ledger.lock(uuid.uuid4().hex) as lock:
            self.status()  # nothing is locked where nothing is
            lock.acquire()
            work = find(self.request, as_begun=True)[0]
            self._ledger.compact(work.output, all_receipts=True)
            merge_if_complete(work, self._ledger, lock, computed=work.n_blocks)
            publish_if_complete(work, self._ledger, lock)
        return self.status()

    def status(self) -> Status:
        """Say how many blocks are done; reads the ledger only.

        Raises
        ------
        FileNotFoundError
            If no run has begun.
        """
        return read_status(self.request.target)

    def verify(self, blocks: int = 8, *, seed: int = 0) -> Verification:
        """Look at all that is stored, and compare some blocks with ones cut in another way.

        Blocks whose chunks are missing or torn, and such as differ, count as not done from then
        on, where the ledger can be written and no run is at work: the next run computes them
        again. Those that cannot be computed anew, such as where the source does not answer or is
        torn, are named, and count as done as before. Of a source that got longer, no more is
        looked at than the output is of.

        Parameters
        ----------
        blocks : int, default 8
            How many, drawn at random from those that are done.
        seed : int, default 0
            Seed of the draw.

        Returns
        -------
        Verification
            Its ``is_good`` says whether all that were drawn were compared and agree, and no chunk
            of a finished block is missing.

        Raises
        ------
        FileNotFoundError
            If no run has begun.
        OutputExistsError
            If the output is not this job's.
        ValueError
            If `blocks` is less than 1.
        OSError
            If the output's store does not answer or refuses. Nothing is recorded then.
        """
        check_number(blocks)
        self.status()
        work, plan = find(self.request, check_source=False, as_begun=True)
        done = self._ledger.done(work.output, work.n_blocks)
        rows = self._ledger.history(work.output, work.n_blocks)
        # Looked at after the receipts, which come after what they speak of.
        work = replace(work, target=to_read(work.target, work.output))
        found = verify_blocks(work, done, rows, blocks, seed)
        if work.reducing is not None and (self._ledger.read() or {}).get("is_merged"):
            drawn = drawn_blocks(done, blocks, seed)
            found = verify_statistics(found, work, plan.output_shapes(), drawn)
        if not found.problems:
            return found
        bad = np.zeros(work.n_blocks, dtype=bool)
        bad[list(found.bad)] = True
        try:
            with self._ledger.lock(uuid.uuid4().hex) as lock:
                lock.acquire()
                self._ledger.forget(work.output, bad)
                note_changes(work, self._ledger)
                note_draft(self.request.target, work.output, self._ledger)
        except (OutputBusyError, OSError):  # a run is at work, or it is another's to write
            return found
        return replace(found, is_recorded=True)
