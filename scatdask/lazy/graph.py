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
from scatdask.blocks import Grid, block_of
from scatdask.lazy.task import Cut, transform_chunks
from scatdask.transforms import Output, Transform

if TYPE_CHECKING:
    import dask.array as da


def check_backend(x: Any) -> None:
    """Raise TypeError unless `x` is an array whose graph can be built upon."""
    from dask.array.core import Array
    from dask.array.utils import meta_from_array

    if not isinstance(x, Array):
        raise TypeError(
            f"a lazy transform needs a dask.array.core.Array, got {type(x).__module__}."
            f"{type(x).__qualname__}. If dask's query planning is on, turn it off before dask is "
            'imported: dask.config.set({"array.query-planning": False}) or the environment '
            "variable DASK_ARRAY__QUERY_PLANNING=False"
        )
    chunk = type(meta_from_array(x))
    if not (hasattr(chunk, "__array_function__") or hasattr(chunk, "__array_namespace__")):
        raise TypeError(
            f"the chunks of x are {chunk.__module__}.{chunk.__qualname__}, which dask cannot lay "
            "side by side: convert them first with x.map_blocks(numpy.asarray), or call the "
            "transform on such arrays itself"
        )


def block_arrays(x: da.Array, transform: Transform, lengths: tuple[int, ...]) -> list[da.Array]:
    """Build the arrays whose blocks are the transform's blocks.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, *core)
        With known chunks, of any sizes.
    transform : Transform
    lengths : tuple of int
        Samples that a block owns along each core axis.

    Returns
    -------
    list of dask.array.Array
        One for each of ``transform.outputs``, shape ``(*batch, path, *inner, *core)``. An output
        without a stride has one sum for each block in place of the core axes.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    grid = Grid(x.shape[x.ndim - transform.ndim :], lengths)
    token = tokenize(x.name, transform.fingerprint(), lengths)
    several = len(transform.outputs) > 1
    name = f"{transform.name}-{'block-' if several else ''}{token}"
    n_inner = 0 if several else len(transform.outputs[0].inner)
    layer = dict(_block_tasks(name, x, transform, grid, n_inner))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[x])
    arrays = []
    for which, output in enumerate(transform.outputs):
        before = ((size,) for size in output.shape)
        chunks = (*x.chunks[: x.ndim - transform.ndim], *before, *_core_chunks(output, grid))
        array_name, array_graph = name, graph
        if several:
            array_name = f"{transform.name}-output{which}-{token}"
            picks = dict(_pick_tasks(array_name, layer, transform, which))
            array_graph = HighLevelGraph(
                {**graph.layers, array_name: picks},
                {**graph.dependencies, array_name: {name}},
            )
        meta = result_meta(x, transform, len(chunks))
        arrays.append(da.Array(array_graph, array_name, chunks, dtype=meta.dtype, meta=meta))
    return arrays


def _block_tasks(
    name: str, x: da.Array, transform: Transform, grid: Grid, n_inner: int
) -> Iterator[tuple[tuple, Any]]:
    """Yield the tasks that transform blocks, with the keys of an array's chunks."""
    from dask._task_spec import Task, TaskRef

    n_batch = x.ndim - transform.ndim
    edges = [np.array([0, *accumulate(sizes)]) for sizes in x.chunks[n_batch:]]
    batches = list(product(*(range(len(sizes)) for sizes in x.chunks[:n_batch])))
    for index, place in enumerate(np.ndindex(grid.counts)):
        bounds = grid.bounds(index)
        block = block_of(transform, grid.shape, bounds)
        found = [_columns(slab.pieces, ends) for slab, ends in zip(block, edges, strict=True)]
        cuts = tuple(cut for cut, _ in found)
        columns = list(product(*(numbers for _, numbers in found)))
        for batch in batches:
            key = (name, *batch, *(0,) * (1 + n_inner), *place)
            refs = [TaskRef((x.name, *batch, *column)) for column in columns]
            yield key, Task(key, transform_chunks, transform, grid.shape, bounds, cuts, *refs)


def _columns(pieces: tuple[tuple[int, int], ...], edges: np.ndarray) -> tuple[Cut, list[int]]:
    """Return which chunks along an axis hold the ranges of a slab, and how they are cut."""
    cut: list[tuple[int, int]] = []
    columns: list[int] = []
    for low, high in pieces:
        # Chunks may be empty: the last that begins at or before `low`, and all before `high`.
        first = int(np.searchsorted(edges, low, side="right")) - 1
        last = int(np.searchsorted(edges, high, side="left"))
        cut.append((last - first, low - int(edges[first])))
        columns += range(first, last)
    return tuple(cut), columns


def _pick_tasks(
    name: str, blocks: dict[tuple, Any], transform: Transform, which: int
) -> Iterator[tuple[tuple, Any]]:
    """Yield the tasks that take one output out of what block tasks return."""
    from dask._task_spec import Task, TaskRef

    inner = (0,) * len(transform.outputs[which].inner)
    for key in blocks:
        split = len(key) - transform.ndim
        picked = (name, *key[1:split], *inner, *key[split:])
        yield picked, Task(picked, getitem, TaskRef(key), which)


def _core_chunks(output: Output, grid: Grid) -> tuple[tuple[int, ...], ...]:
    """Return the chunks of an output along each core axis."""
    if output.stride is None:
        return tuple((1,) * count for count in grid.counts)
    chunks = []
    for n, length, count in zip(grid.shape, grid.lengths, grid.counts, strict=True):
        edges = [output.n_out(min(number * length, n)) for number in range(count + 1)]
        chunks.append(tuple(int(size) for size in np.diff(edges)))
    return tuple(chunks)


def result_meta(x: da.Array, transform: Transform, ndim: int) -> AnyArray:
    """Return an empty array of the type that the tasks return."""
    from dask.array.utils import meta_from_array

    meta = meta_from_array(x)
    if isinstance(meta, np.ma.MaskedArray):
        meta = np.ma.getdata(meta)
    xp = array_namespace(meta)
    return xp.empty((0,) * ndim, dtype=getattr(xp, transform.dtype))
