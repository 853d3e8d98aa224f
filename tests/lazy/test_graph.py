"""Guards the one place that goes below dask's public functions."""

import inspect

import dask
import dask.array as da
import numpy as np
import pytest
from dask.array.core import Array
from dask.base import key_split

from scatdask import Scattering1D
from scatdask.lazy.graph import block_arrays, check_backend, result_meta
from scatdask.lazy.task import transform_chunks


def signal(n=1000, chunks=100, batch=()):
    return da.zeros((*batch, n), chunks=(*(1 for _ in batch), chunks))


def test_task_spec_is_what_the_graph_uses():
    from dask._task_spec import Task, TaskRef

    parameters = list(inspect.signature(Task).parameters.values())
    assert [p.name for p in parameters[:3]] == ["key", "func", "args"]
    assert parameters[2].kind is inspect.Parameter.VAR_POSITIONAL
    task = Task("sum", lambda *args: args, 1, (2, 3), TaskRef(("x", 0)))
    assert task.dependencies == {("x", 0)}
    assert task({("x", 0): 4}) == (1, (2, 3), 4)


def test_the_array_is_the_classic_one():
    assert isinstance(signal(), Array)
    assert ("x", 0) in dict(da.from_array(np.zeros(3), name="x").__dask_graph__())


def test_other_backend_is_refused():
    with pytest.raises(TypeError, match=r"numpy\.ndarray.*array\.query-planning"):
        check_backend(np.zeros(3))


def test_one_task_a_block_lists_the_chunks_it_reads():
    x = signal(2000, chunks=100)
    transform = Scattering1D(J=3)
    [out] = block_arrays(x, transform, (400,))
    layer = out.dask.layers[out.name]
    assert len(layer) == 5
    task = layer[(out.name, 0, 2)]  # owns 800 to 1200
    halo = transform.halo
    columns = range((800 - -(-halo // 8) * 8) // 100, -(-(1200 + halo) // 100))
    assert task.dependencies == {(x.name, column) for column in columns}


def test_tasks_carry_the_transform_and_a_few_integers():
    [out] = block_arrays(signal(), Scattering1D(J=3), (200,))
    for task in out.dask.layers[out.name].values():
        assert task.func is transform_chunks
        transform, shape, bounds, cuts = task.args[:4]
        assert isinstance(transform, Scattering1D)
        flat = (*shape, *sum(bounds, ()), *sum(sum(cuts, ()), ()))
        assert all(type(value) is int for value in flat)


def test_periodic_blocks_wrap_around():
    x = signal(2000, chunks=100)
    [out] = block_arrays(x, Scattering1D(J=3, boundary="periodic"), (400,))
    for index in (0, 4):
        task = out.dask.layers[out.name][(out.name, 0, index)]
        assert {(x.name, 0), (x.name, 19)} <= task.dependencies


def test_chunks_are_regular_and_batch_chunks_are_kept():
    x = da.zeros((5, 3, 1003), chunks=((2, 3), (1, 2), (1, 500, 2, 500)))
    [out] = block_arrays(x, Scattering1D(J=3), (256,))
    assert out.chunks == ((2, 3), (1, 2), (8,), (32, 32, 32, 30))


def test_core_chunks_are_not_merged_or_split():
    x = signal(1000, chunks=7)
    [out] = block_arrays(x, Scattering1D(J=3), (200,))
    assert set(out.dask.layers) == {x.name, out.name}


def test_several_outputs_share_the_block_tasks():
    x = signal(1000)
    slow, fast = block_arrays(x, Scattering1D(J=3, T=0), (200,))
    blocks = (set(slow.dask.layers) & set(fast.dask.layers)) - {x.name}
    assert len(blocks) == 1
    assert len(slow.dask.layers[blocks.pop()]) == 5
    assert (slow.shape, fast.shape) == ((4, 1000), (4, 500))


def test_same_call_gives_the_same_names():
    x = signal()
    for transform in (Scattering1D(J=3), Scattering1D(J=3, T=0)):
        first, again = (block_arrays(x, transform, (200,)) for _ in range(2))
        assert [a.name for a in first] == [a.name for a in again]
        assert set(first[0].dask) == set(again[0].dask)


def test_other_calls_give_other_names():
    x, y = signal(), signal(chunks=50)
    S = Scattering1D(J=3)
    names = [
        block_arrays(x, S, (200,))[0].name,
        block_arrays(y, S, (200,))[0].name,
        block_arrays(x, S, (400,))[0].name,
        block_arrays(x, Scattering1D(J=3, tolerance=1e-5), (200,))[0].name,
    ]
    assert len(set(names)) == 4


def test_task_names_are_readable():
    [out] = block_arrays(signal(), Scattering1D(J=3), (200,))
    assert key_split(out.name) == "scattering1d"
    [one, _] = block_arrays(signal(), Scattering1D(J=3, T=0), (200,))
    assert {key_split(name) for name in one.dask.layers} >= {"scattering1d", "scattering1d-block"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_meta_is_explicit(dtype):
    x = signal(batch=(2,))
    [out] = block_arrays(x.astype("i2"), Scattering1D(J=3, dtype=dtype), (200,))
    meta = result_meta(x, Scattering1D(J=3, dtype=dtype), 3)
    assert (type(meta), meta.shape, meta.dtype) == (np.ndarray, (0, 0, 0), np.dtype(dtype))
    assert out.dtype == np.dtype(dtype)


def test_meta_of_masked_chunks_is_plain():
    x = da.ma.masked_equal(signal(), 1.0)
    assert type(result_meta(x, Scattering1D(J=3), 2)) is np.ndarray


def test_meta_is_of_the_library_of_the_chunks():
    strict = pytest.importorskip("array_api_strict")

    meta = result_meta(strict.empty((0,)), Scattering1D(J=3), 2)
    assert type(meta) is type(strict.empty(0))


def test_low_level_optimisation_keeps_one_task_a_block():
    [out] = block_arrays(signal(2000), Scattering1D(J=3), (400,))
    (optimised,) = dask.optimize(out)
    ours = [key for key in dict(optimised.__dask_graph__()) if key[0] == out.name]
    assert len(ours) == 5
