"""What a job is asked to do, and whether it can be done."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.utils import format_bytes

from scatdask import labels
from scatdask.archive import growth, store
from scatdask.archive import reducing as reduced
from scatdask.archive.blocking import make_layouts
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.locations import Location
from scatdask.archive.plan import Plan
from scatdask.archive.reducing import Reducing
from scatdask.archive.reduction import Reduction
from scatdask.archive.source_kinds import Source
from scatdask.archive.windows import windows_of
from scatdask.archive.worker_memory import worker_limit, worker_memory
from scatdask.blocks import check_dtype
from scatdask.errors import OutputExistsError, ShortBlocksWarning
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import distributed

# So many times as much as fresh blocks do those of a job read that are worth a word.
_MUCH_MORE = 1.5


@dataclass(frozen=True)
class Prospect:
    """What doing a request comes to.

    Attributes
    ----------
    plan : Plan
    empty : Dataset
        The output with its labels and without its numbers.
    encoding : dict
        Of each array of the output.
    digests : dict of array
        Of the objects of each variable of the source, see `changes`.
    former : tuple of Layout or None
        The blocks that are recorded, on axes as long as they were then; None where the ledger
        has no such job.
    """

    plan: Plan
    empty: xr.Dataset
    encoding: dict[str, Any]
    digests: dict[str, np.ndarray]
    former: tuple[Layout, ...] | None


@dataclass(frozen=True)
class Request:
    """What a job is asked to do.

    Attributes
    ----------
    source : Source
    target : Location
    transform : Transform
    dims : tuple of str
        Core dimensions.
    variable : str or None
        The variable to transform; None for all that can be.
    memory : int or None
        Resident bytes that a worker process of one thread may take; None for what there is.
    missing_chunks : {"error", "fill"}
        Whether a source with chunks that do not exist is an error.
    limit : int or None
        Resident bytes beyond which such a process would be killed, as far as is known.
    reduction : Reduction or None
        What is written in place of the coefficients.
    """

    source: Source
    target: Location
    transform: Transform
    dims: tuple[str, ...]
    variable: str | None
    memory: int | None
    missing_chunks: str
    limit: int | None = None
    reduction: Reduction | None = None

    def for_workers(
        self, client: distributed.Client | None = None, processes: int | None = None
    ) -> Request:
        """Return the request with the memory that the workers have, unless it names another."""
        limit = worker_limit(client, processes)
        found = worker_memory(client, processes) if self.memory is None else self.memory
        return replace(self, memory=found, limit=limit)

    def consider(self, record: dict[str, Any] | None, *, as_begun: bool = False) -> Prospect:
        """Check everything and work out the blocks; what a ledger records of them holds.

        Parameters
        ----------
        record : dict or None
            Of the ledger beside the output.
        as_begun : bool
            Look at no more of the source than there was when the record was made.
        """
        if self.reduction is not None:
            reduced.check_reducible(self.transform)
        whole = self.source.open(decode_times=True)
        labels.check_dims(whole, self.transform, self.dims)
        chosen, skipped = labels.choose(whole, self.dims, self.variable)
        variables = tuple(map(str, chosen))
        begun = record if record and not self.differences(record, variables) else None
        lengths = _lengths(begun) if begun and as_begun else {}
        dataset = whole.isel(lengths)
        if self.variable is not None:
            dataset = dataset[list(chosen)]
        samplings = labels.samplings(dataset, self.dims)
        labels.check_sizes(self.transform, dataset.sizes, self.dims)
        stored, digests = [], {}
        for name in variables:
            check_dtype(dataset[name].dtype, f"variable {name!r}")
            one, digests[name] = self.source.survey(whole[name], self.missing_chunks)
            stored.append(one)
        former = tuple(Layout.from_dict(fields) for fields in begun["layouts"]) if begun else None
        layouts = former if as_begun else None
        if layouts is None:
            layouts = self._layouts(dict(zip(variables, stored, strict=True)), former)
        # Labels are copied as they are stored.
        raw = self.source.open(decode_times=False)[list(dataset.data_vars)]
        raw = raw.isel(lengths)
        empty, names, encoding = store.template(raw, self.transform, layouts, samplings, skipped)
        plan = Plan(self.transform, layouts, tuple(stored), names)
        if self.reduction is not None:
            windows = windows_of(dataset, self.dims[0], self.reduction.window)
            needed = tuple(map(windows.slots, layouts))
            # Where there are enough of them, states stay where they are.
            slots = tuple(map(max, needed, begun["slots"])) if begun else needed
            reducing = Reducing(self.reduction, len(windows), slots)
            plan = replace(plan, reducing=reducing, windows=windows)
            empty, encoding = reduced.template(
                empty, encoding, self.transform, layouts, names, reducing, windows
            )
            if not begun and self.memory is not None and plan.peak_memory > self.memory:
                states = plan.memory_parts()["states"]
                raise MemoryError(
                    f"a worker needs {-(-plan.peak_memory // 2**20)} MiB, "
                    f"{-(-states // 2**20)} MiB of them for the statistics of windows, and memory "
                    f"allows {format_bytes(self.memory)}: allow more memory, or leave out quantiles"
                )
        if begun and self.memory is not None and plan.peak_memory > self.memory:
            raise MemoryError(
                f"{self.target.url!r} was begun with blocks for which a worker needs "
                f"{-(-plan.peak_memory // 2**20)} MiB, and memory allows "
                f"{format_bytes(self.memory)}: give at least as much, or run with overwrite=True "
                "to begin again with smaller blocks"
            )
        if self.limit is not None and plan.peak_memory > self.limit:
            raise MemoryError(
                f"by the plan a worker takes {-(-plan.peak_memory // 2**20)} MiB, and would be "
                f"killed at {self.limit // 2**20} MiB for each thread: give a smaller memory=, or "
                "larger or fewer workers"
            )
        return Prospect(plan, empty, encoding, digests, former)

    def _layouts(
        self, stored: dict[str, StoredArray], former: tuple[Layout, ...] | None
    ) -> tuple[Layout, ...]:
        """Choose blocks: those of the output, on longer axes maybe, if it was begun."""
        longer = [
            growth.extended(self.transform, layout, stored[layout.variable].sizes)
            for layout in former or ()
        ]
        kept = tuple(layout for layout in longer if layout is not None)
        if len(kept) == len(stored):
            return kept
        memory = worker_memory() if self.memory is None else self.memory
        return make_layouts(self.transform, self.dims, stored, memory)

    def warn_of_short_blocks(self, plan: Plan) -> None:
        """Warn if the blocks that a job began with read much more than fresh ones would."""
        stored = dict(zip(plan.variables, plan.stored, strict=True))
        try:
            fresh = replace(plan, layouts=self._layouts(stored, None))
        except MemoryError:
            return
        if plan.bytes_read > _MUCH_MORE * fresh.bytes_read:
            warnings.warn(
                f"{self.target.url!r} was begun with blocks of {plan.layouts[0].lengths} samples, "
                f"which read {format_bytes(plan.bytes_read)}, where those that would be chosen now "
                f"read {format_bytes(fresh.bytes_read)}: it keeps them, unless it is run once with "
                "overwrite=True to begin anew",
                ShortBlocksWarning,
                stacklevel=3,
            )

    def identity(self, variables: tuple[str, ...]) -> dict[str, Any]:
        """Return what a ledger records of the request, given the variables that it comes to."""
        dataset = self.source.open(decode_times=False)
        return {
            "transform": {"name": self.transform.name, **self.transform.parameters()},
            "transform_fingerprint": self.transform.fingerprint(),
            "source": self.source.url,
            "source_fingerprint": self.source.fingerprint(variables, self.dims),
            "sizes": {name: _sizes(dataset[name]) for name in variables},
            "dims": list(self.dims),
            "variables": list(variables),
            **({} if self.reduction is None else {"reduction": self.reduction.to_dict()}),
        }

    def check_same(self, record: dict[str, Any], variables: tuple[str, ...]) -> None:
        """Raise OutputExistsError if a ledger records another request than this one."""
        if differing := self.differences(record, variables):
            raise OutputExistsError(
                f"{self.target.url!r} is the output of another job ({'; '.join(differing)}): name "
                "another output, or run with overwrite=True to replace it"
            )

    def differences(self, record: dict[str, Any], variables: tuple[str, ...]) -> list[str]:
        """Say in which points another request than this one is recorded in a ledger."""
        mine = self.identity(variables)
        differing = []
        theirs = record.get("transform", {})
        for key in sorted({*theirs, *mine["transform"]}):
            if theirs.get(key) != mine["transform"].get(key):
                differing.append(
                    f"{key}: {theirs.get(key)!r} there, {mine['transform'].get(key)!r} here"
                )
        for key in ("source", "dims", "variables", "reduction"):
            if record.get(key) != mine.get(key):
                differing.append(f"{key}: {record.get(key)!r} there, {mine.get(key)!r} here")
        if record.get("source_fingerprint") != mine["source_fingerprint"]:
            differing.append("the source has changed since")
        for name, sizes in record.get("sizes", {}).items():
            for dim, n in sizes.items():
                if mine["sizes"].get(name, {}).get(dim, 0) < n:
                    differing.append(f"{name!r} had {n} samples along {dim!r} and has fewer now")
        if not differing and record.get("transform_fingerprint") != mine["transform_fingerprint"]:
            differing.append("the numbers have another meaning in this version of scatdask")
        return differing


def _lengths(record: dict[str, Any]) -> dict[str, slice]:
    """Return how much of each dimension there was when a record was made."""
    return {dim: slice(n) for sizes in record["sizes"].values() for dim, n in sizes.items()}


def _sizes(array: xr.DataArray) -> dict[str, int]:
    return {str(dim): n for dim, n in array.sizes.items()}
