"""The output of a job: how it is made, and how a block is written to it."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import dask.array
import numpy as np
import xarray as xr
import zarr
import zarr.codecs

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
    with warnings.catch_warnings():
        # Consolidated metadata and string types are young parts of Zarr 3; xarray reads both.
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        warnings.filterwarnings("ignore", category=zarr.errors.UnstableSpecificationWarning)
        dataset.assign_coords(_placeholders(long)).to_zarr(
            writable_store(target),
            mode=mode,
            compute=False,
            consolidated=target.repository is None,
            encoding=encoding,
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
) -> None:
    """Make the arrays of an output longer, and write its labels anew.

    Parameters
    ----------
    target : Location
    dataset, encoding
        The longer output, by `template`.
    names : tuple of tuple of str
        Its arrays that blocks write to.
    """
    group = zarr.open_group(writable_store(target), mode="r+")
    written = list(itertools.chain(*names))
    for name in written:
        array = group[name]
        assert isinstance(array, zarr.Array)
        array.resize(dataset[name].shape)
    labels = dataset.drop_vars(written)
    for label in map(str, labels.variables):
        if label in group:
            del group[label]
    _write(target, labels, {k: v for k, v in encoding.items() if k in labels}, mode="a")


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
