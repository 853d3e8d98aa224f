"""What a job is asked to do, and whether it can be done."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.utils import format_bytes

from scatdask import labels
from scatdask.archive import growth, store
from scatdask.archive import reducing as reduced
from scatdask.archive.abilities import abilities
from scatdask.archive.blocking import States, make_layouts, no_states
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.libraries import library_bytes
from scatdask.archive.locations import Location
from scatdask.archive.plan import Plan
from scatdask.archive.reducing import Reducing
from scatdask.archive.reduction import Reduction
from scatdask.archive.samplings import samplings_of
from scatdask.archive.source_kinds import Source
from scatdask.archive.windows import Windows, windows_of
from scatdask.archive.worker_memory import Room, find_room
from scatdask.blocks import check_dtype
from scatdask.errors import OutputExistsError, ShortBlocksWarning
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import distributed

# So many times as much as fresh blocks do those of a job read that are worth a word.
_MUCH_MORE = 1.5
# What the memory of a job may be exceeded by once its source got longer.
_GROWN = 1.1
_AS_BEGUN = "as the job was begun"


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
    identity : dict
        What a ledger records of the request, given the variables that it comes to.
    source_names : frozenset of str
        All variables of the source.
    differing : list of str
        In which points a ledger records another request than this one, if it records any.
    former : tuple of Layout or None
        The blocks that are recorded, on axes as long as they were then; None where the ledger
        has no such job.
    """

    plan: Plan
    empty: xr.Dataset
    encoding: dict[str, Any]
    digests: dict[str, np.ndarray]
    identity: dict[str, Any]
    source_names: frozenset[str]
    differing: list[str]
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
    room : Room or None
        How much memory the workers have; None while they are not known.
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
    room: Room | None = None
    reduction: Reduction | None = None

    def for_workers(
        self,
        client: distributed.Client | None = None,
        processes: int | None = None,
        *,
        gpus: Collection[str] = (),
        only_gpus: bool = False,
    ) -> Request:
        """Return the request with the room that workers have; parameters as of `find_room`."""
        room = find_room(client, processes, gpus=gpus, only_gpus=only_gpus)
        return replace(self, room=room)

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
        source = self.source.opened()
        whole = source.open(decode_times=True)
        labels.check_dims(whole, self.transform, self.dims)
        chosen, skipped = labels.choose(whole, self.dims, self.variable)
        variables = _as_recorded(chosen, record)
        for name in variables:
            check_dtype(whole[name].dtype, f"variable {name!r}")
        identity = self._identity(source, variables)
        differing = [] if record is None else _differences(record, identity)
        begun = None if differing else record
        if begun is not None:
            identity["variable"] = self._variable_begun_with(begun, whole)
            skipped = _skipped(whole, self.dims, identity["variable"], variables)
        lengths = _lengths(begun) if begun and as_begun else {}
        dataset = whole.isel(lengths)
        if identity["variable"] is not None:
            dataset = dataset[list(variables)]
        samplings, kept = samplings_of(source, dataset, self.dims, begun)
        identity["samplings"] = kept
        labels.check_sizes(self.transform, dataset.sizes, self.dims)
        stored, digests = [], {}
        for name in variables:
            one, digests[name] = source.survey(whole[name], self.missing_chunks)
            stored.append(one)
        former = tuple(Layout.from_dict(fields) for fields in begun["layouts"]) if begun else None
        windows = None
        if self.reduction is not None:
            windows = windows_of(dataset, self.dims[0], self.reduction.window)
        layouts, origin = former, _AS_BEGUN
        if layouts is None or not as_begun:
            named = dict(zip(variables, stored, strict=True))
            layouts, origin = self._layouts(named, former, windows)
        # Labels are copied as they are stored.
        raw = source.open(decode_times=False)[list(dataset.data_vars)]
        raw = raw.isel(lengths)
        statistics = () if self.reduction is None else ("count", *self.reduction.statistics)
        empty, names, encoding = store.template(
            raw, self.transform, layouts, samplings, skipped, statistics
        )
        libraries = library_bytes(self.source, self.target)
        plan = Plan(
            self.transform,
            layouts,
            tuple(stored),
            names,
            libraries=libraries,
            memory_origin=origin,
        )
        if self.reduction is not None and windows is not None:
            needed = tuple(map(windows.slots, layouts))
            # Where there are enough of them, states stay where they are.
            slots = tuple(map(max, needed, begun["slots"])) if begun else needed
            reducing = Reducing(self.reduction, len(windows), slots)
            plan = replace(plan, reducing=reducing, windows=windows)
            empty, encoding = reduced.template(
                empty, encoding, self.transform, layouts, names, reducing, windows
            )
        self._check_memory(plan, record if begun else None)
        source_names = frozenset(map(str, whole.variables))
        return Prospect(plan, empty, encoding, digests, identity, source_names, differing, former)

    def _layouts(
        self,
        stored: dict[str, StoredArray],
        former: tuple[Layout, ...] | None,
        windows: Windows | None,
    ) -> tuple[tuple[Layout, ...], str]:
        """Choose blocks: those of the output, on longer axes maybe, if it was begun.

        Also say which memory they are for.
        """
        longer = [
            growth.extended(self.transform, layout, stored[layout.variable].sizes)
            for layout in former or ()
        ]
        kept = tuple(layout for layout in longer if layout is not None)
        if len(kept) == len(stored):
            return kept, _AS_BEGUN
        room = self.room
        if room is None:
            room = find_room(gpus=["here"] if abilities("auto").gpu else [])
        memory = room.memory if self.memory is None else self.memory
        if memory is None:
            raise ValueError(
                "the workers have no memory limit: say what one may take, such as Job(..., "
                'memory="4GB")'
            )
        origin = room.origin if self.memory is None else "as given"
        layouts = make_layouts(
            self.transform,
            self.dims,
            stored,
            memory,
            room.gpu_memory,
            library_bytes(self.source, self.target),
            self._states(windows),
        )
        return layouts, f"{format_bytes(memory)}, {origin}"

    def _states(self, windows: Windows | None) -> States:
        """Return what the states of a block's windows take, as the plan counts them."""
        reduction = self.reduction
        if reduction is None or windows is None:
            return no_states

        def states(layout: Layout) -> int:
            reducing = Reducing(reduction, len(windows), (windows.slots(layout),))
            return reducing.memory(self.transform, (layout,))

        return states

    def _check_memory(self, plan: Plan, begun: dict[str, Any] | None) -> None:
        """Raise MemoryError if a worker has less than the plan needs.

        The blocks of a job that has begun stay as they are. They are held to what is given, but
        for a tenth where a longer source has filters of more lengths. They are not held to what is
        found, which is never the same twice, and far less than what workers are killed at.
        """
        needed, memory = f"{-(-plan.peak_memory // 2**20)} MiB", self.memory
        if begun is not None and memory is not None:
            allowed = memory if begun["plan"]["peak_memory"] > memory else _GROWN * memory
            if plan.peak_memory > allowed:
                raise MemoryError(
                    f"{self.target.name!r} was begun with blocks for which a worker needs "
                    f"{needed}, and memory allows {format_bytes(memory)}: give at least as much, "
                    "or run with overwrite=True to begin again with smaller blocks"
                )
        if self.room is None:
            return
        limit, gpu_limit = self.room.limit, self.room.gpu_limit
        if limit is not None and plan.peak_memory > limit:
            raise MemoryError(
                f"by the plan a worker takes {needed}, and would be killed at {limit // 2**20} MiB "
                "for each thread: give a smaller memory=, or larger or fewer workers"
            )
        if gpu_limit is not None and plan.gpu_host_memory > gpu_limit:
            raise MemoryError(
                f"by the plan a worker with a GPU takes {-(-plan.gpu_host_memory // 2**20)} MiB of "
                f"its host, and would be killed at {gpu_limit // 2**20} MiB: give a smaller "
                'memory=, or such workers more, or leave the work to CPUs with device="cpu"'
            )

    def warn_of_short_blocks(self, plan: Plan) -> None:
        """Warn if the blocks that a job began with read much more than fresh ones would."""
        stored = dict(zip(plan.variables, plan.stored, strict=True))
        try:
            fresh = replace(plan, layouts=self._layouts(stored, None, plan.windows)[0])
        except (MemoryError, ValueError):  # none would be chosen
            return
        if plan.bytes_read > _MUCH_MORE * fresh.bytes_read:
            warnings.warn(
                f"{self.target.name!r} was begun with blocks of {plan.layouts[0].lengths} samples, "
                f"which read {format_bytes(plan.bytes_read)}, where those that would be chosen now "
                f"read {format_bytes(fresh.bytes_read)}: it keeps them, unless it is run once with "
                "overwrite=True to begin anew",
                ShortBlocksWarning,
                stacklevel=3,
            )

    def _identity(self, source: Source, variables: tuple[str, ...]) -> dict[str, Any]:
        """Return what a ledger records of the request."""
        dataset = source.open(decode_times=False)
        return {
            "transform": {"name": self.transform.name, **self.transform.parameters()},
            "transform_fingerprint": self.transform.fingerprint(),
            "source": source.url,
            "source_fingerprint": source.fingerprint(variables, self.dims),
            "sizes": {name: _sizes(dataset[name]) for name in variables},
            "dims": list(self.dims),
            "variables": list(variables),
            # What it was asked for, which decides on what is copied along.
            "variable": self.variable,
            # No difference: "error" only refuses, and objects that come or go are changes.
            "missing_chunks": self.missing_chunks,
            **({} if self.reduction is None else {"reduction": self.reduction.to_dict()}),
        }

    def _variable_begun_with(self, begun: dict[str, Any], whole: xr.Dataset) -> str | None:
        """Return the variable that a job was asked for when it was begun, None for all."""
        if "variable" in begun or self.variable is None:
            asked: str | None = begun.get("variable")
            return asked
        # A ledger of before does not say. What holds all of the source is taken for all of it.
        try:
            every = labels.choose(whole, self.dims)[0]
        except ValueError:  # only what is asked for by name
            return self.variable
        return None if [*every] == [self.variable] else self.variable

    def check_same(self, prospect: Prospect) -> None:
        """Raise OutputExistsError if the ledger records another request than this one."""
        if prospect.differing:
            raise OutputExistsError(
                f"{self.target.name!r} is the output of another job "
                f"({'; '.join(prospect.differing)}): name another output, or run with "
                "overwrite=True to replace it"
            )


def _skipped(
    whole: xr.Dataset, dims: tuple[str, ...], variable: str | None, variables: tuple[str, ...]
) -> dict[Hashable, str]:
    """Say what is not transformed in a job that was begun with some variables."""
    chosen, skipped = labels.choose(whole, dims, variable)
    later = (name for name in chosen if name not in variables)
    return {**skipped, **dict.fromkeys(later, "not there when the job was begun")}


def _as_recorded(chosen: Iterable[Hashable], record: dict[str, Any] | None) -> tuple[str, ...]:
    """Put variables in recorded order: groups that are not consolidated list them in any."""
    place = {name: n for n, name in enumerate((record or {}).get("variables", ()))}
    return tuple(sorted(map(str, chosen), key=lambda name: place.get(name, len(place))))


def _differences(record: dict[str, Any], mine: dict[str, Any]) -> list[str]:
    """Say in which points another request than ours is recorded in a ledger."""
    differing = []
    theirs = record.get("transform", {})
    for key in sorted({*theirs, *mine["transform"]}):
        if theirs.get(key) != mine["transform"].get(key):
            differing.append(
                f"{key}: {theirs.get(key)!r} there, {mine['transform'].get(key)!r} here"
            )
    for key in ("source", "dims", "variables", "reduction"):
        held = record.get(key)
        if key == "reduction" and held:
            held = Reduction.from_dict(held).to_dict()
        if held != mine.get(key):
            differing.append(f"{key}: {held!r} there, {mine.get(key)!r} here{_way_on(key, held)}")
    if record.get("reduction") and "slots" not in record:
        differing.append("an earlier version of scatdask has laid out its states of windows")
    if record.get("source_fingerprint") != mine["source_fingerprint"]:
        differing.append("the source has changed since")
    for name, sizes in record.get("sizes", {}).items():
        for dim, n in sizes.items():
            if mine["sizes"].get(name, {}).get(dim, 0) < n:
                differing.append(f"{name!r} had {n} samples along {dim!r} and has fewer now")
    if not differing and record.get("transform_fingerprint") != mine["transform_fingerprint"]:
        differing.append("the numbers have another meaning in this version of scatdask")
    return differing


def _way_on(key: str, held: Any) -> str:
    """Say how to go on with a job of one variable where the source has got others."""
    one = key == "variables" and held is not None and len(held) == 1
    return f", unless with variable={held[0]!r}" if one else ""


def _lengths(record: dict[str, Any]) -> dict[str, slice]:
    """Return how much of each dimension there was when a record was made."""
    return {dim: slice(n) for sizes in record["sizes"].values() for dim, n in sizes.items()}


def _sizes(array: xr.DataArray) -> dict[str, int]:
    return {str(dim): n for dim, n in array.sizes.items()}
