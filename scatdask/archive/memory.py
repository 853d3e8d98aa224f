"""What a worker's memory is made of: named parts, each in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from dask.utils import format_bytes

from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.layout import CHUNKS_IN_FLIGHT, Layout, StoredArray
from scatdask.arrays import MMAP_BYTES
from scatdask.blocks import block_of, block_parts, device_parts
from scatdask.transforms import Transform

# Resident memory of a worker that has imported everything and done nothing yet.
PROCESS_BYTES = 150 * 2**20
# What the allocator keeps of freed arrays, at most and as a share of what a block holds. Arrays
# beyond some megabytes go back to the system at once, see `arrays.keep_freed_memory`.
ALLOCATOR_BYTES = 24 * 2**20
_ALLOCATOR_SHARE = 1 / 2
# What CuPy, its libraries and the driver hold of a host's memory. It is not measured: twice what
# others have seen of a first array alone (https://github.com/cupy/cupy/issues/7038).
DRIVER_BYTES = 400 * 2**20

Parts = dict[str, int]


def memory_parts(
    transform: Transform, layouts: Iterable[Layout], stored: Iterable[StoredArray]
) -> Parts:
    """Return the parts of the peak resident memory of a worker process of one thread.

    A block is read, then transformed, then written, and a variable comes after the other; the
    parts are those of the moment that takes most.

    Returns
    -------
    dict of str to int
        ``process``, what it holds before any block; ``filters``, with the tables of the FFTs,
        which are kept for the blocks of all variables; ``slab``, the samples of a block;
        ``source chunks`` that are being decoded; ``workspace`` of the transform; ``output``;
        ``output chunks`` that are being encoded; and what the ``allocator`` keeps of what was
        freed.
    """
    layouts = tuple(layouts)
    moments = [
        moment
        for layout, one in zip(layouts, stored, strict=True)
        for moment in _moments(transform, layout, one)
    ]
    worst = max(moments, key=lambda moment: sum(moment.values()))
    filters = _kept_filters(transform, layouts)
    live = filters + sum(worst.values())
    return {
        "process": PROCESS_BYTES,
        "filters": filters,
        **dict.fromkeys(("slab", "source chunks", "workspace", "output", "output chunks"), 0),
        **worst,
        "allocator": _kept_by_allocator(live),
    }


def layout_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Return the peak bytes of the blocks of one variable, process and allocator aside."""
    worst = max(sum(moment.values()) for moment in _moments(transform, layout, stored))
    return _kept_filters(transform, (layout,)) + worst


def block_budget(memory: int) -> int:
    """Return what `layout_memory` may be in a process of one thread."""
    free = memory - PROCESS_BYTES
    return min(free, max(free - ALLOCATOR_BYTES, math.floor(free / (1 + _ALLOCATOR_SHARE))))


def worker_bytes(block: int) -> int:
    """Return the memory of a process of one thread in which a block may take so much."""
    return PROCESS_BYTES + block + _kept_by_allocator(block)


def described(parts: Parts) -> str:
    """Return the parts that there are, largest first, on one line."""
    largest = sorted(parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {format_bytes(size)}" for name, size in largest if size)


def _kept_by_allocator(live: int) -> int:
    return max(min(ALLOCATOR_BYTES, math.ceil(_ALLOCATOR_SHARE * live)), 0)


def _moments(transform: Transform, layout: Layout, stored: StoredArray) -> list[Parts]:
    """Return what a block holds while it is read, while it is transformed, and while written."""
    block = block_parts(
        transform, layout.rows, layout.shape, layout.at_once, stored.decoded_itemsize
    )
    samples = block.slab // max(stored.decoded_itemsize, 1)
    sums = 0
    if transform.outputs[0].stride is None:  # of the parts so far, and with the next
        sums = 2 * 8 * layout.rows * sum(math.prod(o.shape) for o in transform.outputs)
    output = block.output + sums
    chunks = decoding_memory(transform, layout, stored)
    # What the threads that decode have freed stays with them, unless it is large.
    kept = chunks if math.prod(stored.inner_chunks.values()) * stored.itemsize <= MMAP_BYTES else 0
    return [
        {"slab": samples * stored.itemsize, "source chunks": chunks, "output": sums},
        {"slab": samples * stored.bytes_per_sample, "source chunks": kept, "output": sums},
        {
            "slab": block.slab,
            "source chunks": kept,
            "workspace": block.workspace,
            "output": output,
        },
        {
            "source chunks": kept,
            "output": output,
            "output chunks": _writing_memory(transform, layout),
        },
    ]


def decoding_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Return the bytes of the source chunks that are under way while a slab is read.

    Each as it is stored, for which its full size is allowed, and decoded.
    """
    counts, in_shard = [], []
    for dim, block in _ranges(transform, layout).items():
        n, size = stored.sizes[dim], stored.chunks[dim]
        inner = stored.inner_chunks[dim]
        counts.append((_touched(n, block, size), _touched(n, block, inner)))
        in_shard.append(-(-size // inner))
    shards, chunks = (math.prod(some) for some in zip(*counts, strict=True))
    shards = min(shards, CHUNKS_IN_FLIGHT)
    inner_bytes = math.prod(stored.inner_chunks.values()) * stored.itemsize
    if stored.inner_chunks == stored.chunks:
        return 2 * shards * inner_bytes
    # Of a shard all chunks that are needed are fetched, and then decoded some at a time.
    held = min(chunks, shards * math.prod(in_shard))
    return (2 * held + shards * min(held, CHUNKS_IN_FLIGHT)) * inner_bytes


def device_memory_parts(
    transform: Transform, layouts: Iterable[Layout], stored: Iterable[StoredArray]
) -> Parts:
    """Return the parts of the memory that a block takes on a GPU; the rest is its host's.

    It takes fewer rows in one pass where the device has less, down to one.
    """
    found = []
    for layout, one in zip(layouts, stored, strict=True):
        owned = tuple(
            (0, min(size, n)) for size, n in zip(layout.at_once, layout.shape, strict=True)
        )
        block = block_of(transform, layout.shape, owned)
        found.append(device_parts(transform, block, layout.rows, one.decoded_itemsize))
    return max(found, key=lambda parts: sum(parts.values()))


def gpu_host_parts(
    transform: Transform, layouts: Iterable[Layout], stored: Iterable[StoredArray]
) -> Parts:
    """Return the parts of the peak resident memory of a process that computes on a GPU.

    On its host; what blocks take on the device is `device_memory_parts`. Several blocks are under
    way, and each may be where it takes most.

    Returns
    -------
    dict of str to int
        ``process``, and what CuPy and the ``driver`` take; ``slab``, ``source chunks``, ``output``
        and ``output chunks`` of all blocks; ``staging``, through which a slab is moved;
        ``filters`` and ``workspace`` of one block, for those at which the device fails; and what
        the ``allocator`` keeps.
    """
    layouts, stored = tuple(layouts), tuple(stored)
    moments, slabs, workspace = [], [], 0
    for layout, one in zip(layouts, stored, strict=True):
        for moment in _moments(transform, layout, one):
            workspace = max(workspace, moment.pop("workspace", 0))
            moments.append(moment)
        samples = layout.rows * math.prod(_ranges(transform, layout)[dim] for dim in layout.dims)
        slabs.append(samples * one.decoded_itemsize)
    worst = max(moments, key=lambda moment: sum(moment.values()))
    slab = max(slabs)
    return {
        "process": PROCESS_BYTES,
        "driver": DRIVER_BYTES,
        "filters": _kept_filters(transform, layouts),
        "workspace": workspace,
        # In one piece, and in pinned memory, of which CuPy keeps a piece of each size that there
        # was, all powers of two.
        "staging": slab + 2 * 2 ** max(slab - 1, 0).bit_length(),
        **dict.fromkeys(("slab", "source chunks", "output", "output chunks"), 0),
        **{name: BLOCKS_UNDER_WAY * size for name, size in worst.items()},
        "allocator": BLOCKS_UNDER_WAY * _kept_by_allocator(sum(worst.values())),
    }


def _writing_memory(transform: Transform, layout: Layout) -> int:
    """Return the most bytes beside the outputs while one of them is checked or written."""
    itemsize = np.dtype(transform.dtype).itemsize
    owned = tuple(map(min, layout.lengths, layout.shape))
    most = 0
    for output, cut in zip(transform.outputs, layout.output_chunks(transform), strict=True):
        is_nan = layout.rows * math.prod((*output.shape, *output.core_shape(owned)))
        most = max(most, is_nan, cut.writing_memory(itemsize))
    return most


def _ranges(transform: Transform, layout: Layout) -> dict[str, int]:
    """Return how many samples a block reads along each dimension, at most."""
    unit = transform.alignment
    halo = -(-transform.halo // unit) * unit
    core = (min(size + 2 * halo, n) for size, n in zip(layout.at_once, layout.shape, strict=True))
    return {
        **dict(zip(layout.batch_dims, layout.batch_block, strict=True)),
        **dict(zip(layout.dims, core, strict=True)),
    }


def _touched(n: int, length: int, chunk: int) -> int:
    """Return the chunks of one axis that a range of some length can touch."""
    aligned = length % chunk == 0 or chunk % max(length, 1) == 0
    return min(-(-length // chunk) + (not aligned), -(-n // chunk))


def _kept_filters(transform: Transform, layouts: Iterable[Layout]) -> int:
    """Return the bytes of filters and tables of FFTs, which are kept for each padded shape."""
    shapes = {shape for layout in layouts for shape, _ in layout.padded_shapes(transform)}
    return sum(transform.filter_memory(one) + _fft_tables(transform, one) for one in shapes)


def _fft_tables(transform: Transform, shape: tuple[int, ...]) -> int:
    """Return the bytes of what FFTs keep for a length: about a number for each of its numbers."""
    # In float64 the first; then complex ones, and real ones of moduli, at all rates: half the
    # length each time.
    itemsize = np.dtype(transform.dtype).itemsize
    return sum(shape) * (8 + 2 * 3 * itemsize)
