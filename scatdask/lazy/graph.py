"""The task graph: one task for each output block, which names the chunks of the source it reads.

The one place that goes below dask's public functions, because those rechunk the core dimension or
need tens of tasks for each block. It needs three things, which ``tests/lazy/test_graph.py``
guards: `dask._task_spec.Task` and `TaskRef`, and the classic array whose chunks have the keys
``(name, *index)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, product
from operator import getitem
from typing import TYPE_CHECKING, Any

import numpy as np

from scatdask.arrays import AnyArray, array_namespace
from scatdask.blocks import Grid, slab
from scatdask.lazy.task import transform_chunks
from scatdask.transforms import Output, Transform

if TYPE_CHECKING:
    import dask.array as da


def check_backend(x: Any) -> None:
    """Raise TypeError unless `x` is an array whose graph can be built upon."""
    from dask.array.core import Array

    if not isinstance(x, Array):
        raise TypeError(
            f"a lazy transform needs a dask.array.core.Array, got {type(x).__module__}."
            f"{type(x).__qualname__}. If dask's query planning is on, turn it off before dask is "
            'imported: dask.config.set({"array.query-planning": False}) or the environment '
            "variable DASK_ARRAY__QUERY_PLANNING=False"
        )


def block_arrays(x: da.Array, transform: Transform, length: int) -> list[da.Array]:
    """Build the arrays whose blocks are the transform's blocks.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, n)
        With known chunks, of any sizes.
    transform : Transform
    length : int
        Samples that a block owns.

    Returns
    -------
    list of dask.array.Array
        One for each of ``transform.outputs``, shape ``(*batch, path, time)``. An output without
        a stride has one sum for each block in place of time.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    grid = Grid(x.shape[-1], length)
    token = tokenize(x.name, transform.fingerprint(), length)
    several = len(transform.outputs) > 1
    name = f"{transform.name}-{'block-' if several else ''}{token}"
    layer = dict(_block_tasks(name, x, transform, grid))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    arrays = []
    for which, output in enumerate(transform.outputs):
        chunks = (*x.chunks[:-1], (len(output.paths),), _time_chunks(output, grid))
        array_name, array_graph = name, graph
        if several:
            array_name = f"{transform.name}-stride{output.stride}-{token}"
            picks = dict(_pick_tasks(array_name, layer, which))
            array_graph = HighLevelGraph(
                {**graph.layers, array_name: picks},
                {**graph.dependencies, array_name: {name}},
            )
        meta = result_meta(x, transform, x.ndim + 1)
        arrays.append(da.Array(array_graph, array_name, chunks, dtype=meta.dtype, meta=meta))
    return arrays


def _block_tasks(
    name: str, x: da.Array, transform: Transform, grid: Grid
) -> Iterator[tuple[tuple, Any]]:
    """Yield the tasks that transform blocks, with the keys of an array's chunks."""
    from dask._task_spec import Task, TaskRef

    edges = np.array([0, *accumulate(x.chunks[-1])])
    batches = list(product(*(range(len(sizes)) for sizes in x.chunks[:-1])))
    for index in range(len(grid)):
        start, stop = grid.bounds(index)
        pieces: list[tuple[int, int]] = []
        columns: list[int] = []
        for low, high in slab(transform, grid.n, start, stop).pieces:
            # Chunks may be empty: the last that begins at or before `low`, and all before `high`.
            first = int(np.searchsorted(edges, low, side="right")) - 1
            last = int(np.searchsorted(edges, high, side="left"))
            pieces.append((last - first, low - int(edges[first])))
            columns += range(first, last)
        for batch in batches:
            key = (name, *batch, 0, index)
            refs = [TaskRef((x.name, *batch, column)) for column in columns]
            yield (
                key,
                Task(key, transform_chunks, transform, grid.n, start, stop, tuple(pieces), *refs),
            )


def _pick_tasks(name: str, blocks: dict[tuple, Any], which: int) -> Iterator[tuple[tuple, Any]]:
    """Yield the tasks that take one output out of what block tasks return."""
    from dask._task_spec import Task, TaskRef

    for key in blocks:
        picked = (name, *key[1:])
        yield picked, Task(picked, getitem, TaskRef(key), which)


def _time_chunks(output: Output, grid: Grid) -> tuple[int, ...]:
    if output.stride is None:
        return (1,) * len(grid)
    edges = [output.n_out(grid.bounds(index)[1]) for index in range(len(grid))]
    return tuple(int(size) for size in np.diff([0, *edges]))


def result_meta(x: da.Array, transform: Transform, ndim: int) -> AnyArray:
    """Return an empty array of the type that the tasks return."""
    from dask.array.utils import meta_from_array

    meta = meta_from_array(x)
    if isinstance(meta, np.ma.MaskedArray):
        meta = np.ma.getdata(meta)
    xp = array_namespace(meta)
    return xp.empty((0,) * ndim, dtype=getattr(xp, transform.dtype))
