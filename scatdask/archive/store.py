"""The output of a job: how it is made, and how a block is written to it."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Collection, Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import dask.array
import numpy as np
import xarray as xr
import zarr
import zarr.codecs
from zarr.abc.store import Store
from zarr.storage import MemoryStore

from scatdask.archive.layout import Layout
from scatdask.archive.locations import Location
from scatdask.archive.retries import patient, tally, try_again
from scatdask.archive.source import chunk_shape
from scatdask.archive.stores import writable_store
from scatdask.errors import OutputExistsError
from scatdask.labels import (
    QUANTILE,
    Sampling,
    assemble_dataset,
    describe_taken,
    output_names,
    taken_names,
)
from scatdask.transforms import Output, Transform

# A variable without core dimensions is copied along if it has at most so many bytes: it goes
# through the memory of the client.
_MOST_COPIED = 16 * 2**20

# Labels in a chunk and in a shard of a coordinate.
_LABELS = 2**17, 2**22
# Smaller than plain Zstandard, and faster (tests/benchmarks/storage.py). The checksum finds what
# a disk made of a chunk.
COMPRESSORS = (
    zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
    zarr.codecs.Crc32cCodec(),
)


def check_replaceable(target: Location) -> None:
    """Raise OutputExistsError if a location holds something that is not Zarr."""
    if target.repository is not None or not target.exists:
        return
    held = [key.rsplit("/", 1)[-1] for key in target.filesystem.ls(target.path, detail=False)]
    if held and not {"zarr.json", ".zgroup", ".zarray"} & set(held):
        raise OutputExistsError(
            f"{target.name!r} holds something that is not Zarr ({', '.join(sorted(held)[:3])}), "
            "which is not replaced: name another output, or remove it first"
        )


@patient
def remove(target: Location) -> None:
    """Remove an output; of a repository, the one that is written next takes its place."""
    if target.repository is None and target.exists:
        target.filesystem.rm(target.path, recursive=True)


def template(
    source: xr.Dataset,
    transform: Transform,
    layouts: tuple[Layout, ...],
    samplings: tuple[Sampling, ...],
    skipped: Mapping[Hashable, str],
    statistics: tuple[str, ...] = (),
) -> tuple[xr.Dataset, tuple[tuple[str, ...], ...], dict[str, dict[str, Any]]]:
    """Describe the output without its numbers; `statistics` may take their place.

    Returns
    -------
    dataset : xarray.Dataset
        Labelled placeholders, and small variables of the source that have no core dimension.
    names : tuple of tuple of str
        For each layout, the arrays that its blocks write to, one for each output.
    encoding : dict
        Chunks, fill value and codec of each of these.

    Raises
    ------
    ValueError
        If the source has a name that the output or one of its statistics needs.
    """
    dims = layouts[0].dims
    arrays: dict[Any, Any] = {}
    names, encoding = [], {}
    for layout in layouts:
        arrays[layout.variable] = [
            dask.array.empty(shape, dtype=transform.dtype, chunks=-1)
            for shape in layout.output_shapes(transform)
        ]
        names.append(output_names(layout.variable, transform))
        for name, chunks in zip(names[-1], layout.output_chunks(transform), strict=True):
            encoding[name] = {
                "chunks": chunks.chunk,
                "shards": chunks.shard if chunks.is_sharded else None,
                # A chunk of NaN is written too, so that a chunk that is not there is a hole.
                "fill_value": np.nan,
                "compressors": COMPRESSORS,
            }
    large = [
        name
        for name, variable in source.data_vars.items()
        if not {*dims} & {*variable.dims} and variable.nbytes > _MOST_COPIED
    ]
    source = source.drop_vars(large)
    taken = taken_names(source, transform, dims, samplings, arrays, statistics)
    if taken:
        remedy = "rename it in the source"
        if {*taken} <= {*source.data_vars} - {*arrays}:
            remedy += f", or ask for variable {layouts[0].variable!r} alone"
        elif {*taken} == {QUANTILE}:
            remedy += ", or leave quantiles out of the statistics"
        raise ValueError(f"{describe_taken(taken)}: {remedy}")
    dataset = assemble_dataset(
        source,
        transform,
        dims,
        arrays,
        samplings=samplings,
        skipped={**skipped, **dict.fromkeys(large, "too large to be copied along")},
    )
    for name in map(str, dataset.coords):
        coord = dataset[name]
        if coord.ndim and coord.dtype.kind in "iuf" and coord.size > _LABELS[0]:
            chunk, shard = ((*(1,) * (coord.ndim - 1), size) for size in _LABELS)
            shards = shard if coord.size > shard[-1] else None
            encoding[name] = {"chunks": chunk, "shards": shards, "compressors": COMPRESSORS}
    return dataset.drop_encoding(), tuple(names), encoding


def create(target: Location, dataset: xr.Dataset, encoding: dict[str, dict[str, Any]]) -> None:
    """Write everything of an output but its numbers; long coordinates piece by piece.

    Raises
    ------
    OSError
        If the location cannot be written to.
    """
    _write(target, dataset, encoding, mode="w")


def _write(
    target: Location,
    dataset: xr.Dataset,
    encoding: dict[str, dict[str, Any]],
    mode: Literal["w", "a"],
) -> None:
    long: dict[Hashable, xr.DataArray] = {
        name: dataset[name] for name in dataset.coords if name in encoding
    }
    _write_small(
        writable_store(target),
        dataset.assign_coords(_placeholders(long)),
        encoding,
        mode=mode,
        consolidated=target.repository is None,
    )
    if not long:
        return
    group = zarr.open_group(writable_store(target), mode="r+")
    for name, coord in long.items():
        array = group[str(name)]
        assert isinstance(array, zarr.Array)
        array = array.with_config({"write_empty_chunks": True})
        for part in _boxes(array.shape, array.shards or array.chunks):
            array[part] = coord.variable[part].values


def _write_small(
    place: Store, dataset: xr.Dataset, encoding: dict[str, dict[str, Any]], **options: Any
) -> None:
    """Write metadata, and what is no placeholder."""
    with young_parts_of_zarr():
        dataset.to_zarr(place, compute=False, encoding=encoding, **options)


@contextlib.contextmanager
def young_parts_of_zarr() -> Iterator[None]:
    """Say nothing of young parts of Zarr 3 that xarray reads: string types, joint metadata."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        warnings.filterwarnings("ignore", category=zarr.errors.UnstableSpecificationWarning)
        yield


def _placeholders(coords: Mapping[Hashable, xr.DataArray]) -> xr.Coordinates:
    """Return coordinates without numbers, and without the index that would ask for them."""
    empty = {
        name: (coord.dims, dask.array.empty(coord.shape, dtype=coord.dtype, chunks=-1), coord.attrs)
        for name, coord in coords.items()
    }
    return xr.Coordinates(empty, indexes={})


def extend(
    target: Location,
    dataset: xr.Dataset,
    encoding: dict[str, dict[str, Any]],
    names: tuple[tuple[str, ...], ...],
    sources: Collection[str],
) -> None:
    """Make the arrays of an output longer, and write its labels and attributes anew.

    Parameters
    ----------
    target : Location
    dataset, encoding
        The longer output, by `template`.
    names : tuple of tuple of str
        Its arrays that blocks write to.
    sources : collection of str
        Names that the source has: a copy of those that is none of the longer output goes.

    Raises
    ------
    OutputExistsError
        If there are arrays of others along what gets longer, which could not be opened with it.
    """
    group = zarr.open_group(writable_store(target), mode="r+")
    outdated = _outdated(group, dataset)
    if strange := sorted(outdated - {*sources}):
        raise OutputExistsError(
            f"{target.name!r} gets longer, and holds {', '.join(map(repr, strange))} of the length "
            "of before, which this job did not write: keep that elsewhere and remove it from the "
            "group, then run again"
        )
    written = list(itertools.chain(*names))
    attributes = _attributes(dataset, encoding, written, group.metadata.zarr_format)
    labels = dataset.drop_vars(written)
    with young_parts_of_zarr():
        for name in written:
            array = group[name]
            assert isinstance(array, zarr.Array)
            array.resize(dataset[name].shape)
            array.attrs.put(attributes[name])
        for label in {*map(str, labels.variables), *outdated}:
            if label in group:
                del group[label]
    _write(target, labels, {k: v for k, v in encoding.items() if k in labels}, mode="a")


def _outdated(group: zarr.Group, dataset: xr.Dataset) -> set[str]:
    """Return the arrays that are none of a longer output, and are along what gets longer."""
    held = xr.backends.ZarrStore(group, mode="r+").get_variables()  # type: ignore[no-untyped-call]
    return {
        str(name)
        for name, variable in held.items()
        if name not in dataset.variables
        and any(dataset.sizes.get(dim, n) != n for dim, n in variable.sizes.items())
    }


def _attributes(
    dataset: xr.Dataset, encoding: dict[str, dict[str, Any]], names: list[str], zarr_format: int
) -> dict[str, dict[str, Any]]:
    """Return the attributes of arrays as xarray stores them."""
    plain = {name: coord for name, coord in dataset.coords.items() if coord.dtype.kind in "iuf"}
    empty = dataset.assign_coords(_placeholders(plain))
    place = MemoryStore()
    chosen = {name: encoding[name] for name in names}
    _write_small(place, empty[names], chosen, consolidated=False, zarr_format=zarr_format)
    group = zarr.open_group(place, mode="r")
    return {name: dict(group[name].attrs) for name in names}


@lru_cache(maxsize=64)
def _opened(target: Location, name: str, run: str) -> zarr.Array:
    """Open an array for writing; `run` keeps an output made anew from being taken for the old."""
    return _open(target, name)


def _open(target: Location, name: str) -> zarr.Array:
    store = writable_store(target)
    array = try_again(lambda: zarr.open_group(store, mode="r+")[name], is_known_to_exist=True)
    assert isinstance(array, zarr.Array)
    return array.with_config({"write_empty_chunks": True})


def _array(target: Location, name: str, run: str) -> zarr.Array:
    """Return an array to write to, opened once a run, or session of a repository."""
    if target.repository is None:
        return _opened(target, name, run)
    arrays: dict[str, zarr.Array] = target.repository.arrays
    if name not in arrays:
        arrays[name] = _open(target, name)
    return arrays[name]


def write(
    target: Location,
    name: str,
    run: str,
    region: tuple[slice, ...],
    values: np.ndarray,
) -> int:
    """Write whole shards of an output array; return their bytes as they are stored.

    Raises
    ------
    ValueError
        If a shard is not written as a whole: what it held before would be lost.
    """
    array, before = _array(target, name, run), tally().stored
    size = chunk_shape(array)
    bounds = [part.indices(n)[:2] for part, n in zip(region, array.shape, strict=True)]
    for (start, stop), n, by in zip(bounds, array.shape, size, strict=True):
        if start % by or (stop % by and stop != n):
            raise ValueError(f"samples {start} to {stop} of {name!r} are not whole shards of {by}")
    # One after the other: zarr would encode all at once.
    for part in _boxes(values.shape, size):
        place = zip(bounds, part, strict=True)
        array[tuple(slice(at + p.start, at + p.stop) for (at, _), p in place)] = values[part]
    return tally().stored - before


def _boxes(shape: tuple[int, ...], size: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes of a size that a shape consists of."""
    for corner in np.ndindex(*(-(-n // by) for n, by in zip(shape, size, strict=True))):
        each = zip(corner, shape, size, strict=True)
        yield tuple(slice(i * by, min((i + 1) * by, n)) for i, n, by in each)


def region(layout: Layout, block: int, output: Output) -> tuple[slice, ...]:
    """Return where a block's output belongs: its signals, all paths, its samples."""
    before = (*layout.batch(block).values(), *(slice(None),) * len(output.shape))
    stride = output.stride
    if stride is None:
        return before
    core = (slice(start // stride, -(-stop // stride)) for start, stop in layout.bounds(block))
    return (*before, *core)
