"""The invariant, on the archive road: no number depends on chunks or blocks, for any transform."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import (
    HarmonicScattering3D,
    Job,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)
from scatdask.api import apply
from scatdask.archive.memory import worker_bytes
from scatdask.archive.work import Task, run_task
from scatdask.transforms import Transform
from tests.archive.common import make_layout, make_work, read_output, write_source
from tests.lazy.common import TOLERANCE, noise, whole, worst
from tests.lazy.test_every_transform import images, joint, signals, volumes


def check(case: tuple[Transform, tuple[int, ...]], data: st.DataObject, most: int) -> None:
    """Store an array in any order of dimensions, chunks and shards, and run any blocks of it."""
    transform, shape = case
    core = ("z", "y", "x")[-len(shape) :]
    sizes = dict(zip(core, shape, strict=True))
    batch = ("run", "level")[: data.draw(st.integers(0, 2), label="batch")]
    sizes |= {dim: data.draw(st.integers(1, 2), label=dim) for dim in batch}
    dims = data.draw(st.permutations([*sizes]), label="dims as stored")
    x = noise(tuple(sizes[dim] for dim in dims), data.draw(st.sampled_from(["white", "brown"])))
    array = xr.DataArray(x, dims=dims)
    chunks = tuple(data.draw(st.integers(-(-n // 4), n), label="chunk") for n in x.shape)
    sharded = data.draw(st.booleans(), label="sharded")
    unit = transform.alignment
    lengths = tuple(
        unit * data.draw(st.integers(-(-n // (unit * most)), n // unit + 1), label="length")
        for n in shape
    )
    layout = make_layout(transform, array, core, lengths, tuple(1 for _ in batch))
    with tempfile.TemporaryDirectory() as folder:
        shards = tuple(2 * size for size in chunks) if sharded else None
        write_source(Path(folder) / "in.zarr", array, chunks, shards=shards)
        work = make_work(Path(folder), transform, array, layout)
        assert not run_task(work, Task(0, work.n_blocks - 1)).failures
        samples = array.transpose(..., *core).values
        got = read_output(work)
    assert worst(transform, got, whole(transform, samples), samples) <= TOLERANCE["float64"]


@settings(max_examples=5)
@given(signals(), st.data())
def test_signals_in_any_chunks_and_blocks(case, data):
    check(case, data, most=8)


@settings(max_examples=5)
@given(images(), st.data())
def test_images_in_any_chunks_and_blocks(case, data):
    check(case, data, most=3)


@settings(max_examples=4)
@given(volumes(), st.data())
def test_volumes_in_any_chunks_and_blocks(case, data):
    check(case, data, most=2)


@settings(max_examples=5)
@given(joint(), st.data())
def test_joint_scattering_in_any_chunks_and_blocks(case, data):
    check(case, data, most=5)


# Whole jobs, in threads. Of each there are some blocks, save for wholes.
MIB = 2**20
EXAMPLES = {
    "signals": (Scattering1D(J=4, Q=2), (9_000,), MIB),
    "a third order without average": (Scattering1D(J=4, T=0, max_order=3), (9_000,), MIB // 2),
    "images": (Scattering2D(J=2, L=4, boundary=("reflect", "periodic")), (150, 200), 6 * MIB),
    "a whole image": (Scattering2D(J=2, L=2, boundary="periodic"), (64, 48), 6 * MIB),
    "maps of volumes": (
        HarmonicScattering3D(J=0, L=1, method="local", boundary="zero"),
        (30, 32, 34),
        9 * MIB,
    ),
    "integrals part by part": (
        HarmonicScattering3D(J=0, L=1, boundary=("periodic", "reflect", "nearest")),
        (30, 32, 34),
        4 * MIB,
    ),
    "a whole volume": (HarmonicScattering3D(J=1, L=2), (16, 18, 20), 20 * MIB),
    "time and frequency": (TimeFrequencyScattering(J=5, J_fr=2, Q=4), (9_000,), 3 * MIB),
    "joint": (
        TimeFrequencyScattering(J=5, J_fr=2, Q=4, format="joint", T="global"),
        (9_000,),
        3 * MIB,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_jobs_give_what_functions_give(name, write_archive):
    transform, shape, live = EXAMPLES[name]
    dims = ("z", "y", "x")[-len(shape) :]
    sizes = {dims[0]: shape[0], "run": 2, **dict(zip(dims[1:], shape[1:], strict=True))}
    dataset = xr.Dataset({"v": ([*sizes], noise(tuple(sizes.values())).astype("f4"))})
    path = write_archive(
        dataset, chunks={"run": 1, **{dim: n // 3 + 1 for dim, n in sizes.items()}}
    )
    memory = worker_bytes(live)
    job = Job(path, path.parent / "out.zarr", transform, dims=dims, memory=memory)
    (layout,) = job.plan().layouts
    n_parts = layout.n_blocks * len(layout.parts(transform, 0))
    assert n_parts == 2 if "whole" in name else n_parts > 4
    job.run()
    with xr.open_zarr(path.parent / "out.zarr") as out:
        expected = apply(dataset, transform, dims=dims)
        assert set(out.variables) == set(expected.variables)
        for variable, exact in expected.variables.items():
            assert out[variable].dims == exact.dims
        names = ("v",) if isinstance(expected, xr.DataArray) else tuple(expected.data_vars)
        got = [out[variable].values for variable in names]
        samples = dataset.v.transpose(..., *dims).values
        exact = [expected[variable].values for variable in names]
        assert worst(transform, got, exact, samples) <= TOLERANCE["float32"]
    found = job.verify(blocks=3)
    assert found.is_good, str(found)
