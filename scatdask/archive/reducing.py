"""A job that reduces: states of blocks in a group beside the output, and their merge into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import xarray as xr
import zarr

from scatdask.archive import commits, store
from scatdask.archive.chunking import Chunking, chunking
from scatdask.archive.files import Folder
from scatdask.archive.layout import Layout
from scatdask.archive.locations import Location
from scatdask.archive.reduction import Reduction, State
from scatdask.archive.source import chunk_shape, stored_array
from scatdask.archive.stores import readable_store, writable_store
from scatdask.archive.windows import Windows
from scatdask.labels import QUANTILE, statistic_name
from scatdask.transforms import Output, Transform

if TYPE_CHECKING:
    from scatdask.archive.ledger import Ledger
    from scatdask.archive.lock import Lock
    from scatdask.archive.plan import Plan
    from scatdask.archive.work import Work

# Bytes of states that a merge holds at once, about; it takes a few times as much.
_MERGED = 2**25
# Bytes for which a chunk of the output has room however few windows there are: sources get longer,
# and outputs keep their chunks.
_CHUNK = 2**20

# An array that blocks write to: where it is, its name, and the place of each block.
Place = tuple[Location, str, Callable[[int], tuple[slice, ...]]]


@dataclass(frozen=True)
class Reducing:
    """What workers need to know of a reduction.

    Attributes
    ----------
    reduction : Reduction
    n_windows : int
        Windows over the whole axis.
    slots : tuple of int
        For each layout, how many windows a block touches at most.
    """

    reduction: Reduction
    n_windows: int
    slots: tuple[int, ...]

    def memory(self, transform: Transform, layouts: tuple[Layout, ...]) -> int:
        """Return the bytes of the states of a block, as they are and as they are encoded."""
        return 2 * max(
            layout.rows * slots * self.reduction.state_bytes * _numbers(transform)
            for layout, slots in zip(layouts, self.slots, strict=True)
        )

    def windows_at_once(self, layout: Layout, output: Output) -> int:
        """Return how many windows are merged at once, at most."""
        box = layout.rows * math.prod(output.shape) * self.reduction.state_bytes
        return max(1, _MERGED // max(box, 1))

    def windows_in_chunk(self, layout: Layout, output: Output) -> int:
        """Return how many windows a chunk of the output has room for."""
        window = layout.rows * math.prod(output.shape) * np.dtype(np.float64).itemsize
        wanted = max(self.n_windows, _CHUNK // max(window, 1), 1)
        return min(wanted, self.windows_at_once(layout, output))

    def outputs(
        self,
        transform: Transform,
        layouts: tuple[Layout, ...],
        names: tuple[tuple[str, ...], ...],
    ) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the shape and the chunks of each output array."""
        found = {}
        for layout, each in zip(layouts, names, strict=True):
            for name, output in zip(each, transform.outputs, strict=True):
                in_chunk = self.windows_in_chunk(layout, output)
                shape = (*layout.batch_shape, *output.shape, self.n_windows)
                chunk = tuple(max(c, 1) for c in (*layout.batch_block, *output.shape, in_chunk))
                for what in ("count", *self.reduction.statistics):
                    first = (len(self.reduction.quantiles),) if what == "quantiles" else ()
                    found[statistic_name(name, what)] = ((*first, *shape), (*first, *chunk))
        return found

    def bytes_written(self, transform: Transform, layouts: tuple[Layout, ...]) -> int:
        """Return the bytes of the states of all blocks, uncompressed."""
        return sum(
            math.prod(layout.batch_shape) * len(layout.grid) * slots * self.reduction.state_bytes
            for layout, slots in zip(layouts, self.slots, strict=True)
        ) * _numbers(transform)


def _numbers(transform: Transform) -> int:
    """Return how many numbers there are for one signal at one time."""
    return sum(math.prod(output.shape) for output in transform.outputs)


def check_reducible(transform: Transform) -> None:
    """Raise ValueError where a transform has no axis of time to reduce over."""
    if transform.ndim > 1:
        raise ValueError(
            f"{transform.name} goes over {transform.ndim} dimensions: reduce is for transforms "
            "over one"
        )
    if transform.outputs[0].stride is None:
        raise ValueError(
            "there is one number for a whole signal, and nothing to reduce: leave out reduce, or "
            'take another T than "global"'
        )


def partials(target: Location) -> Location:
    """Return where the states of an output's blocks are."""
    return target.beside(".partials")


def template(
    full: xr.Dataset,
    encoding: dict[str, dict[str, Any]],
    transform: Transform,
    layouts: tuple[Layout, ...],
    names: tuple[tuple[str, ...], ...],
    reducing: Reducing,
    windows: Windows,
) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """Describe the reduced output without its numbers.

    Parameters
    ----------
    full, encoding, names
        Of the output with all coefficients, see `store.template`.

    Returns
    -------
    dataset : xarray.Dataset
    encoding : dict
    """
    (dim,), reduction = layouts[0].dims, reducing.reduction
    long = {full[name].dims[-1] for each in names for name in each}
    labels = full.coords.to_dataset()
    along = [name for name, coord in labels.coords.items() if long & {*coord.dims}]
    times = labels[dim].attrs if dim in labels.coords and windows.starts.dtype.kind == "f" else {}
    coords = labels.drop_vars(along).assign_coords({dim: (dim, windows.starts, times)})
    if "quantiles" in reduction.statistics:
        coords = coords.assign_coords({QUANTILE: list(reduction.quantiles)})
    variables: dict[Hashable, Any] = {
        name: full.variables[name]
        for name in full.data_vars
        if not any(name in each for each in names)
    }
    encodings = {name: how for name, how in encoding.items() if name in coords.coords}
    outputs = reducing.outputs(transform, layouts, names)
    for each in names:
        for name in each:
            for what in ("count", *reduction.statistics):
                one = statistic_name(name, what)
                shape, chunk = outputs[one]
                first = (QUANTILE,) if what == "quantiles" else ()
                dims = (*first, *full[name].dims[:-1], dim)
                dtype = np.dtype("i8") if what == "count" else np.dtype(transform.dtype)
                empty = dask.array.empty(shape, dtype=dtype, chunks=-1)
                variables[one] = (dims, empty, _attrs(full[name], what, reduction))
                encodings[one] = {
                    "chunks": chunk,
                    "compressors": store.COMPRESSORS,
                    "fill_value": 0 if what == "count" else np.nan,
                }
    return xr.Dataset(variables, coords=coords.coords, attrs=full.attrs), encodings


def _attrs(array: xr.DataArray, what: str, reduction: Reduction) -> dict[str, Any]:
    """Return the attributes of a statistic of an array."""
    of = array.attrs.get("long_name", "scattering coefficients")
    said = {"window": reduction.window, "window_statistic": what}
    if what == "count":
        return {"long_name": f"number of {of}", **said}
    attrs = {**array.attrs, "long_name": f"{what} of {of}", **said}
    if what == "variance" and "units" in attrs:
        attrs["units"] = f"({attrs['units']})^2"
    return {name: value for name, value in attrs.items() if not name.startswith("edge_affected")}


def create_partials(target: Location, plan: Plan) -> None:
    """Make the group that takes the states of blocks, or remove one where a plan has none.

    Raises
    ------
    OutputExistsError
        If there is something else in the place of the one to be made.
    """
    where = partials(target)
    if plan.windows is None:
        if Folder(where).exists("samples/zarr.json"):  # one of ours, of an output replaced
            store.remove(where)
        return
    store.check_replaceable(where)
    store.remove(where)
    group = zarr.open_group(writable_store(where), mode="w", zarr_format=3)
    group.create_array("samples", data=plan.windows.samples)
    for path, (dtype, shape, cut) in _states(plan).items():
        group.create_array(
            path,
            shape=shape,
            dtype=dtype,
            chunks=cut.chunk,
            shards=cut.shard if cut.is_sharded else None,
            compressors=store.COMPRESSORS,
            fill_value=0,
        )


def extend_partials(target: Location, plan: Plan) -> bool:
    """Make the states' arrays longer, if a plan reduces; False if they must be made anew."""
    if plan.windows is None:
        return True
    where, states = partials(target), _states(plan)
    if any(
        chunk_shape(stored_array(where, path)) != cut.shard for path, (*_, cut) in states.items()
    ):
        return False
    group = zarr.open_group(writable_store(where), mode="r+")
    for path, (_, shape, _) in states.items():
        array = group[path]
        assert isinstance(array, zarr.Array)
        array.resize(shape)
    del group["samples"]
    group.create_array("samples", data=plan.windows.samples)
    return True


def _states(plan: Plan) -> dict[str, tuple[np.dtype, tuple[int, ...], Chunking]]:
    """Return type, shape and shards of the arrays that hold the states of blocks."""
    assert plan.reducing is not None
    found = {}
    for layout, names, slots in zip(plan.layouts, plan.names, plan.reducing.slots, strict=True):
        n_slots = len(layout.grid) * slots
        for name, output in zip(names, plan.transform.outputs, strict=True):
            for part, (dtype, axes) in plan.reducing.reduction.parts.items():
                shape = (*layout.batch_shape, *output.shape, n_slots, *axes)
                cut = chunking(layout.batch_block, output.shape, (slots, *axes), dtype.itemsize)
                found[f"{name}/{part}"] = (dtype, shape, cut)
    return found


@lru_cache(maxsize=4)
def _windows(where: Location, run: str) -> Windows:
    """Read where windows begin, once a run."""
    array = zarr.open_group(readable_store(where), mode="r")["samples"]
    assert isinstance(array, zarr.Array)
    samples = np.asarray(array[...])
    return Windows(np.arange(len(samples) - 1), samples)


def places(work: Work, layout: Layout, name: str, output: Output) -> list[Place]:
    """Return the arrays that blocks write to: where, its name, and the place of each block."""
    if work.reducing is None:
        return [(work.target, name, lambda block: store.region(layout, block, output))]
    slots = work.reducing.slots[work.layouts.index(layout)]
    whole = slice(None)

    def place(block: int, axes: tuple[int, ...]) -> tuple[slice, ...]:
        first = block % len(layout.grid) * slots
        before = (*layout.batch(block).values(), *(whole,) * len(output.shape))
        return (*before, slice(first, first + slots), *(whole,) * len(axes))

    return [
        (partials(work.target), f"{name}/{part}", partial(place, axes=axes))
        for part, (_, axes) in work.reducing.reduction.parts.items()
    ]


def values_of(
    work: Work, layout: Layout, block: int, output: Output, values: np.ndarray
) -> list[np.ndarray]:
    """Return what a block writes to each of its `places`.

    Parameters
    ----------
    work : Work
    layout : Layout
    block : int
        Of this layout.
    output : Output
    values : array, shape (*signals, *paths, frames)
        All coefficients that the block owns.
    """
    if work.reducing is None:
        return [values]
    assert output.stride is not None
    windows = _windows(partials(work.target), work.run)
    ranges = windows.of_block(layout, block, output.stride)[1]
    slots = work.reducing.slots[work.layouts.index(layout)]
    ranges += [(0, 0)] * (slots - len(ranges))
    return list(work.reducing.reduction.reduce(values, ranges).values())


def merge(work: Work) -> None:
    """Merge the states of all blocks into the output, window by window, in bounded memory.

    Blocks are merged in their order, so that the same blocks give the same bits; a merge that was
    interrupted starts over.
    """
    assert work.reducing is not None
    windows = _windows(partials(work.target), work.run)
    for layout, names, slots in zip(work.layouts, work.names, work.reducing.slots, strict=True):
        for name, output in zip(names, work.transform.outputs, strict=True):
            for box in range(0, layout.n_blocks, len(layout.grid)):
                signals = tuple(layout.batch(box).values())
                _merge_box(work, windows, layout, slots, name, output, signals)


def merge_if_complete(work: Work, ledger: Ledger, lock: Lock, *, computed: int) -> None:
    """Merge the states of all blocks, if they are all there and not merged as they are.

    Raises
    ------
    OutputBusyError
        If another run has taken the lock over.
    """
    record = ledger.read() or {}
    if work.reducing is None or (record.get("is_merged") and not computed):
        return
    if ledger.done(work.output, work.n_blocks).all():
        with commits.merged(work) as here:
            merge(here)
            lock.check()  # it may have taken long
        ledger.amend(work.output, is_merged=True)


def note_changes(work: Work, ledger: Ledger) -> None:
    """Record that blocks will be computed that what was merged does not hold."""
    if (ledger.read() or {}).get("is_merged"):
        ledger.amend(work.output, is_merged=False)


def _merge_box(
    work: Work,
    windows: Windows,
    layout: Layout,
    slots: int,
    name: str,
    output: Output,
    signals: tuple[slice, ...],
) -> None:
    """Merge the states of the signals that share blocks."""
    assert work.reducing is not None
    before = (*signals, *(slice(None),) * len(output.shape))
    counts = stored_array(work.target, f"{name}_count")
    chunk = int(counts.chunks[-1])  # of before the source got longer, maybe: whole ones at once
    at_once = max(chunk, work.reducing.windows_at_once(layout, output) // chunk * chunk)
    for first in range(0, len(windows), at_once):
        last = min(first + at_once, len(windows))
        state = _merged(work, windows, layout, slots, name, output, signals, first, last)
        _write(work, work.reducing.reduction, name, (*before, slice(first, last)), state)


def _merged(
    work: Work,
    windows: Windows,
    layout: Layout,
    slots: int,
    name: str,
    output: Output,
    signals: tuple[slice, ...],
    first: int,
    last: int,
) -> State:
    """Return the states of the windows [first, last) of the signals that share blocks."""
    assert work.reducing is not None
    reduction = work.reducing.reduction
    where = replace(partials(work.target), is_complete=True)
    arrays = {part: stored_array(where, f"{name}/{part}") for part in reduction.parts}
    before = (*signals, *(slice(None),) * len(output.shape))
    shape = (*(part.stop - part.start for part in signals), *output.shape)
    box = math.prod(shape) * reduction.state_bytes
    (length,), (n,) = layout.lengths, layout.shape
    blocks_at_once = max(1, _MERGED // max(box * slots, 1))
    state = reduction.nothing((*shape, last - first))
    if "bins" in state:  # the sum may be beyond 32 bits
        state["bins"] = state["bins"].astype(np.int64)
    start, stop = (int(windows.samples[place]) for place in (first, last))
    blocks = range(start // length, -(-stop // length) if stop > start else start // length)
    for low in blocks[::blocks_at_once]:
        some = range(low, min(low + blocks_at_once, blocks.stop))
        place = slice(some.start * slots, some.stop * slots)
        read = {part: np.asarray(array[(*before, place)]) for part, array in arrays.items()}
        for block in some:
            own = (block * length, min((block + 1) * length, n))
            a, b = windows.touched(*own)
            offset = (block - low) * slots - a
            a, b = max(a, first), min(b + 1, last)
            into = (*(slice(None),) * len(shape), slice(a - first, b - first))
            of = (*into[:-1], slice(a + offset, b + offset))
            merged = reduction.merge(
                {part: values[into] for part, values in state.items()},
                {part: values[of] for part, values in read.items()},
            )
            for part, values in merged.items():
                state[part][into] = values
    return state


def windows_touched(work: Work, layout: Layout, block: int) -> tuple[int, int]:
    """Return the first and last window that a block touches."""
    return _windows(partials(work.target), work.run).touched(*layout.bounds(block)[0])


def merged_anew(
    work: Work, layout: Layout, name: str, output: Output, block: int, first: int, last: int
) -> Iterator[tuple[str, tuple[slice, ...], np.ndarray]]:
    """Merge the windows [first, last) of a block's signals; of many windows the first ones.

    Yields each statistic's array, the place in it, and what it should hold.
    """
    assert work.reducing is not None
    windows = _windows(partials(work.target), work.run)
    slots = work.reducing.slots[work.layouts.index(layout)]
    signals = tuple(layout.batch(block).values())
    last = min(last, first + work.reducing.windows_at_once(layout, output))
    state = _merged(work, windows, layout, slots, name, output, signals, first, last)
    region = (*signals, *(slice(None),) * len(output.shape), slice(first, last))
    yield from _statistics(work, work.reducing.reduction, name, region, state)


def _statistics(
    work: Work, reduction: Reduction, name: str, region: tuple[slice, ...], state: State
) -> Iterator[tuple[str, tuple[slice, ...], np.ndarray]]:
    for what, values in reduction.finish(state).items():
        place = (slice(None), *region) if what == "quantiles" else region
        dtype = np.int64 if what == "count" else np.dtype(work.transform.dtype)
        yield statistic_name(name, what), place, values.astype(dtype)


def _write(
    work: Work, reduction: Reduction, name: str, region: tuple[slice, ...], state: State
) -> None:
    for array, place, values in _statistics(work, reduction, name, region, state):
        store.write(work.target, array, work.run, place, values)
