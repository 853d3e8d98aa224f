"""The invariant on the archive road: any chunking, any block, the same numbers."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.archive.ledger import Ledger
from scatdask.archive.work import Task, Work, run_task
from scatdask.errors import OutputExistsError
from tests.archive.common import (
    BOUNDARIES,
    PROMISE,
    make_layout,
    make_work,
    of_one_array,
    read_output,
    worst_difference,
    write_source,
)
from tests.archive.toys import TOYS, expected


def on_time(samples: np.ndarray) -> xr.DataArray:
    return xr.DataArray(samples, dims=(*(f"d{i}" for i in range(samples.ndim - 1)), "time"))


@settings(max_examples=15)
@given(data=st.data())
def test_any_chunking_and_any_block_give_the_same_numbers(data):
    J = data.draw(st.integers(2, 5), label="J")
    T = data.draw(st.sampled_from([None, None, 2 ** (J - 1), 3 * 2**J, 0, "global"]), label="T")
    boundary = data.draw(st.sampled_from(BOUNDARIES), label="boundary")
    strides = [None] if T in (0, "global") else [None, 2]
    transform = Scattering1D(
        J,
        Q=data.draw(st.sampled_from([1, 4, (3, 2)]), label="Q"),
        T=T,
        stride=data.draw(st.sampled_from(strides), label="stride"),
        max_order=data.draw(st.sampled_from([1, 2]), label="max_order"),
        boundary=boundary,
        dtype=data.draw(st.sampled_from(["float32", "float64"]), label="dtype"),
    )
    shape = data.draw(st.sampled_from([(), (3,), (2, 2)]), label="batch")
    n = data.draw(
        st.one_of(st.integers(4 * 2**J, 2000), st.sampled_from([257, 1009, 1999])), label="n"
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99), label="seed"))
    samples = rng.standard_normal((*shape, n)).astype(transform.dtype)
    if data.draw(st.booleans(), label="brown"):
        samples = np.cumsum(samples, axis=-1)
    chunks = (*(data.draw(st.integers(1, s)) for s in shape), data.draw(st.integers(n // 9, n)))
    rows = tuple(data.draw(st.integers(1, s)) for s in shape)
    length = transform.alignment * data.draw(st.integers(1, n // transform.alignment + 1))
    length = max(length, -(-n // 12 // transform.alignment) * transform.alignment)
    array = on_time(samples)
    layout = make_layout(transform, array, ("time",), (length,), rows)
    check_all_blocks(transform, array, layout, chunks)


def check_all_blocks(transform, array, layout, chunks, shards=None):
    """Run all blocks, and compare them with the transform of the array in memory."""
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder) / "in.zarr", array, chunks, shards=shards)
        work = make_work(Path(folder), transform, array, layout)
        outcome = run_task(work, Task(0, work.n_blocks - 1))
        assert not outcome.failures
        assert Ledger(work.target).done(work.output, work.n_blocks).all()
        expected = of_one_array(transform, array, layout.dims)
        for got, exact in zip(read_output(work), expected, strict=True):
            difference = worst_difference(got, exact, array.ndim - transform.ndim)
            assert difference <= PROMISE[transform.dtype]


@settings(max_examples=20)
@given(data=st.data())
def test_blocks_of_any_number_of_axes_are_right_to_the_last_sample(data):
    kind = data.draw(st.sampled_from(["mean", "sum", "ragged", "inner"]), label="kind")
    ndim = data.draw(st.sampled_from([1, 2, 3]), label="ndim")
    boundaries = tuple(
        data.draw(st.sampled_from(BOUNDARIES), label="boundary") for _ in range(ndim)
    )
    transform = TOYS[ndim](kind=kind, boundary=boundaries)
    core, batch = ("z", "y", "x")[-ndim:], ("a", "b")[: data.draw(st.sampled_from([0, 1, 2]))]
    dims = data.draw(st.permutations([*core, *batch]), label="dims as stored")
    sizes = {dim: data.draw(st.integers(5, 20), label=dim) for dim in core}
    sizes |= {dim: data.draw(st.integers(1, 3), label=dim) for dim in batch}
    shape = [sizes[dim] for dim in dims]
    rng = np.random.default_rng(data.draw(st.integers(0, 99), label="seed"))
    array = xr.DataArray(rng.standard_normal(shape), dims=dims)
    chunks = tuple(data.draw(st.integers(1, n), label="chunk") for n in shape)
    sharded = data.draw(st.booleans(), label="sharded")
    shards = tuple(2 * c for c in chunks) if sharded else None
    core = tuple(data.draw(st.permutations(core), label="core"))
    lengths = tuple(4 * data.draw(st.integers(1, 5), label="length") for _ in core)
    batch_shape = [sizes[dim] for dim in dims if dim not in core]
    rows = tuple(data.draw(st.integers(1, n), label="rows") for n in batch_shape)
    layout = make_layout(transform, array, core, lengths, rows)
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder) / "in.zarr", array, chunks, shards=shards)
        work = make_work(Path(folder), transform, array, layout)
        assert not run_task(work, Task(0, work.n_blocks - 1)).failures
        exact = expected(transform, array.transpose(..., *core).values)
        for got, wanted in zip(read_output(work), exact, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


@pytest.fixture
def work(tmp_path) -> Work:
    samples = np.random.default_rng(1).standard_normal((2, 3001)).astype("f4")
    array, transform = on_time(samples), Scattering1D(J=4, Q=2)
    write_source(tmp_path / "in.zarr", array, (1, 700))
    layout = make_layout(transform, array, ("time",), (512,), (1,))
    return make_work(tmp_path, transform, array, layout)


def test_two_runs_are_bit_identical(work):
    run_task(work, Task(0, work.n_blocks - 1))
    (first,) = read_output(work)
    run_task(work, Task(0, work.n_blocks - 1))
    (second,) = read_output(work)
    np.testing.assert_array_equal(first, second)


def test_order_and_grouping_of_blocks_do_not_matter(work):
    for block in reversed(range(work.n_blocks)):
        run_task(work, Task(block, block))
    (one_by_one,) = read_output(work)
    run_task(work, Task(0, work.n_blocks - 1))
    (at_once,) = read_output(work)
    np.testing.assert_array_equal(one_by_one, at_once)


def test_block_that_fails_does_not_take_others_along(work):
    missing = Path(work.source.url) / "v" / "c" / "0" / "2"
    missing.write_bytes(b"not a chunk")
    outcome = run_task(work, Task(0, work.n_blocks - 1))
    failed = {block for block, _ in outcome.failures}
    layout = work.layouts[0]
    touching = {
        block
        for block in range(work.n_blocks)
        if layout.batch(block)["d0"] == slice(0, 1)
        and any(a < 2100 and b > 1400 for a, b in layout.parts(work.transform, block)[0][0].pieces)
    }
    assert failed == touching != set(range(work.n_blocks))
    done = Ledger(work.target).done(work.output, work.n_blocks)
    assert set(np.flatnonzero(done)) == set(range(work.n_blocks)) - failed


def test_what_is_finished_is_recorded_even_if_the_task_is_interrupted(work, monkeypatch):
    from scatdask.archive import work as module

    real, counter = module.run_block, itertools.count()

    def interrupted(work, block):
        if next(counter) == 3:
            raise KeyboardInterrupt
        return real(work, block)

    monkeypatch.setattr(module, "run_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_task(work, Task(0, 9))
    assert Ledger(work.target).done(work.output, work.n_blocks).sum() == 3


def test_tasks_of_a_run_whose_output_was_replaced_write_nothing(work):
    Ledger(work.target).write({"output": "2" * 32})
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        run_task(work, Task(0, 1))
    assert np.isnan(read_output(work)[0]).all()
    assert not Ledger(work.target).done("2" * 32, work.n_blocks).any()


def test_a_task_carries_only_numbers_and_names(work):
    work.transform.n_paths  # noqa: B018 - fills the caches that must not travel
    assert len(pickle.dumps(work)) < 1500


def test_blocks_are_numbered_through_the_variables(work):
    layout = work.layouts[0]
    two = dataclasses.replace(work, layouts=(layout, layout), names=(("a",), ("b",)))
    assert two.n_blocks == 2 * layout.n_blocks
    assert two.locate(layout.n_blocks + 3) == (layout, ("b",), 3)
    with pytest.raises(IndexError, match="no block"):
        two.locate(2 * layout.n_blocks)


@pytest.mark.parametrize("dtype", [">i2", "u1", "f2", ">f8", "i4"])
def test_integers_half_floats_and_big_endian_samples(tmp_path, dtype):
    rng = np.random.default_rng(2)
    samples = (50 + 20 * rng.standard_normal((1, 1500))).astype(dtype)
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=2)
    array = group.create_array(
        "v", shape=samples.shape, chunks=(1, 400), dtype=samples.dtype, fill_value=None
    )
    array.attrs["_ARRAY_DIMENSIONS"] = ["d0", "time"]
    array[...] = samples
    transform = Scattering1D(J=4)
    decoded = on_time(samples.astype("f8"))
    layout = make_layout(transform, decoded, ("time",), (512,), (1,))
    work = make_work(tmp_path, transform, decoded, layout)
    assert not run_task(work, Task(0, work.n_blocks - 1)).failures
    (got,) = read_output(work)
    np.testing.assert_allclose(got, transform(samples.astype("f8")), rtol=1e-4, atol=1e-4)
