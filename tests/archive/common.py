"""What tests of blocks share: a source, a prepared output, and the coefficients of one array."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from hypothesis import strategies as st

from scatdask import Job, labels
from scatdask.archive import store
from scatdask.archive.beginning import prepare
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.source_kinds import ZarrSource
from scatdask.archive.work import Work
from scatdask.transforms import Transform
from tests.archive.toys import TOYS

BOUNDARIES = ["reflect", "periodic", "zero", "nearest"]
PROMISE = {"float32": 5e-5, "float64": 1e-6}
RUN, OUTPUT = "0" * 32, "1" * 32


def write_source(
    path: Path,
    samples: xr.DataArray,
    chunks: Sequence[int],
    *,
    shards: Sequence[int] | None = None,
) -> None:
    """Write an array as the variable "v"."""
    dataset = xr.Dataset({"v": samples})
    dataset.v.encoding["chunks"] = tuple(chunks)
    if shards is not None:
        dataset.v.encoding["shards"] = tuple(shards)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        dataset.to_zarr(path, mode="w", zarr_format=3)


def make_layout(
    transform: Transform,
    samples: xr.DataArray,
    dims: tuple[str, ...],
    lengths: tuple[int, ...],
    rows: tuple[int, ...] | None = None,
) -> Layout:
    """Return blocks of `lengths` samples, and of `rows` signals along each other dimension."""
    shape = tuple(samples.sizes[dim] for dim in dims)
    batch_dims = tuple(str(dim) for dim in samples.dims if dim not in dims)
    batch_shape = tuple(samples.sizes[dim] for dim in batch_dims)
    whole = tuple(-(-n // transform.alignment) * transform.alignment for n in shape)
    owns = whole if transform.outputs[0].stride is None else lengths
    return Layout("v", dims, shape, batch_dims, batch_shape, rows or batch_shape, owns, lengths)


def make_work(folder: Path, transform: Transform, samples: xr.DataArray, layout: Layout) -> Work:
    """Prepare ``out.zarr`` for the blocks of a layout of ``in.zarr``."""
    source = xr.Dataset({"v": samples})
    samplings = labels.samplings(source, layout.dims)
    dataset, names, encoding = store.template(source, transform, (layout,), samplings, {})
    target = Location.of(folder / "out.zarr")
    store.create(target, dataset, encoding)
    Ledger(target).write({"output": OUTPUT})
    return Work(
        ZarrSource(Location.of(folder / "in.zarr")),
        target,
        transform,
        (layout,),
        names,
        RUN,
        OUTPUT,
    )


def begin(job: Job) -> Work:
    """Make the output of a job, as its run would."""
    with Ledger(job.request.target).lock(RUN) as lock:
        return prepare(job.request, lock, overwrite=False)[0]


def forget(job: Job, blocks: slice) -> None:
    """Take blocks of a job for not done."""
    ledger = Ledger(job.request.target)
    which = np.zeros(job.plan().blocks, dtype=bool)
    which[blocks] = True
    ledger.forget(ledger.read()["output"], which)


def read_output(work: Work) -> list[np.ndarray]:
    group = zarr.open_group(work.target.url, mode="r")
    return [group[name][...] for name in work.names[0]]


def of_one_array(
    transform: Transform, samples: xr.DataArray, dims: tuple[str, ...]
) -> list[np.ndarray]:
    """Transform an array in memory; one array for each output."""
    result = transform(samples.transpose(..., *dims).values)
    if not isinstance(result, list):
        return [result]
    return [
        np.stack([result[path] for path in output.paths], axis=samples.ndim - transform.ndim)
        for output in transform.outputs
    ]


def worst_difference(got: np.ndarray, expected: np.ndarray, path_axis: int) -> float:
    """Largest difference of each path relative to its largest coefficient in any signal."""
    assert got.shape == expected.shape
    axes = tuple(axis for axis in range(got.ndim) if axis != path_axis)
    scale = np.abs(expected).max(axis=axes, keepdims=True)
    return float((np.abs(got.astype("f8") - expected) / np.maximum(scale, 1e-300)).max())


@st.composite
def layouts(draw, longest=40, most=10):
    """Draw a toy, a layout of at most `most` blocks an axis, and how the variable is stored."""
    ndim = draw(st.sampled_from([1, 2, 3]))
    boundaries = tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(ndim))
    kind = draw(st.sampled_from(["mean", "sum", "ragged", "inner"]))
    transform = TOYS[ndim](kind=kind, boundary=boundaries)
    dims, batch_dims = ("z", "y", "x")[-ndim:], ("a", "b")[: draw(st.integers(0, 2))]
    sizes = {dim: draw(st.integers(1, longest)) for dim in (*batch_dims, *dims)}
    chunks = {dim: draw(st.integers(1, n)) for dim, n in sizes.items()}
    shape = tuple(sizes[dim] for dim in dims)
    at_once = tuple(4 * draw(st.integers(-(-n // 4 // most), 10)) for n in shape)
    whole = tuple(-(-n // 4) * 4 for n in shape)
    batch_shape = tuple(sizes[dim] for dim in batch_dims)
    batch_block = tuple(draw(st.integers(-(-n // most), n)) for n in batch_shape)
    lengths = whole if kind == "sum" else at_once
    layout = Layout("v", dims, shape, batch_dims, batch_shape, batch_block, lengths, at_once)
    return transform, layout, StoredArray(sizes, chunks, 4, 4)
