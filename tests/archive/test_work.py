"""The invariant on the archive road: any chunking, any block, the same numbers."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D, labels
from scatdask.archive import store
from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Ledger
from scatdask.archive.work import Task, Work, run_task
from scatdask.transforms import Transform

PROMISE = {"float32": 5e-5, "float64": 1e-6}


def write_source(path: Path, samples: np.ndarray, chunks: tuple[int, ...]) -> None:
    dims = (*(f"d{i}" for i in range(samples.ndim - 1)), "time")
    dataset = xr.Dataset({"v": (dims, samples)})
    dataset.v.encoding["chunks"] = chunks
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        dataset.to_zarr(path, mode="w")


def make_work(
    folder: Path, transform: Transform, samples: np.ndarray, length: int, rows: tuple[int, ...]
) -> Work:
    """Prepare an output whose blocks own `length` samples of `rows` signals."""
    *shape, n = samples.shape
    dims = tuple(f"d{i}" for i in range(len(shape)))
    whole = -(-n // transform.alignment) * transform.alignment
    owns = whole if transform.outputs[0].stride is None else length
    layout = Layout("v", ("time",), (n,), dims, tuple(shape), rows, (owns,), (length,))
    source = xr.Dataset({"v": ((*dims, "time"), samples)})
    samplings = labels.samplings(source, ("time",))
    dataset, names, encoding = store.template(source, transform, (layout,), samplings, {})
    target = str(folder / "out.zarr")
    store.create(target, dataset, encoding)
    Ledger(target).begin({"output": "1" * 32})
    return Work(str(folder / "in.zarr"), target, transform, (layout,), names, "0" * 32, "1" * 32)


def read_output(work: Work) -> list[np.ndarray]:
    group = zarr.open_group(work.target, mode="r")
    return [group[name][...] for name in work.names[0]]


def expected_output(transform: Transform, samples: np.ndarray) -> list[np.ndarray]:
    result = transform(samples)
    if not isinstance(result, list):
        return [result]
    return [np.stack([result[p] for p in o.paths], axis=-2) for o in transform.outputs]


def worst_difference(got: np.ndarray, expected: np.ndarray, has_time: bool) -> float:
    """Largest difference of each path relative to its largest coefficient in any signal."""
    assert got.shape == expected.shape
    axes = tuple(i for i in range(got.ndim) if i != got.ndim - 1 - has_time)
    scale = np.abs(expected).max(axis=axes, keepdims=True)
    return float((np.abs(got.astype("f8") - expected) / scale).max())


@settings(max_examples=30)
@given(data=st.data())
def test_any_chunking_and_any_block_give_the_same_numbers(data):
    J = data.draw(st.integers(2, 5), label="J")
    T = data.draw(st.sampled_from([None, None, 2 ** (J - 1), 3 * 2**J, 0, "global"]), label="T")
    boundary = data.draw(
        st.sampled_from(["reflect", "periodic", "zero", "nearest"]), label="boundary"
    )
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
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder) / "in.zarr", samples, chunks)
        work = make_work(Path(folder), transform, samples, length, rows)
        outcome = run_task(work, Task(0, work.n_blocks - 1))
        assert not outcome.failures
        assert Ledger(work.target).done(work.output, work.n_blocks).all()
        for got, expected, output in zip(
            read_output(work), expected_output(transform, samples), transform.outputs, strict=True
        ):
            difference = worst_difference(got, expected, output.stride is not None)
            assert difference <= PROMISE[transform.dtype]


@pytest.fixture
def work(tmp_path) -> Work:
    samples = np.random.default_rng(1).standard_normal((2, 3001)).astype("f4")
    write_source(tmp_path / "in.zarr", samples, (1, 700))
    return make_work(tmp_path, Scattering1D(J=4, Q=2), samples, 512, (1,))


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
    missing = Path(work.source) / "v" / "c" / "0" / "2"
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
    Ledger(work.target).begin({"output": "2" * 32}, after=work.output)
    outcome = run_task(work, Task(0, 1))
    assert [reason for _, reason in outcome.failures] == [
        "OutputExistsError: the output was replaced meanwhile"
    ] * 2
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
    work = make_work(tmp_path, transform, samples.astype("f8"), 512, (1,))
    assert not run_task(work, Task(0, work.n_blocks - 1)).failures
    (got,) = read_output(work)
    np.testing.assert_allclose(got, transform(samples.astype("f8")), rtol=1e-4, atol=1e-4)
