"""How the blocks of a variable are chosen: from memory, source chunks, and what they cost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from scatdask.archive.counts import chunks_touched, operations
from scatdask.archive.layout import CHUNKS_IN_FLIGHT, Layout, StoredArray
from scatdask.blocks import block_lengths, block_memory
from scatdask.transforms import Transform

# What a core does in a second: only their ratio matters, when it is better to compute halos more
# often or to decode chunks more often.
_OPERATIONS, _DECODED_BYTES = 2e9, 3e8
# Fewer signals a block must be worth it.
_GAIN = 0.95


def make_layout(
    transform: Transform, variable: str, dims: tuple[str, ...], stored: StoredArray, memory: int
) -> Layout:
    """Choose the blocks of a variable.

    Signals that share a source chunk share a block, so that each chunk is read for one block
    only; a block is long enough for its halo to be a small part of what it reads, and as long as
    a source chunk where memory allows. Where it does not allow both, fewer signals are taken at a
    time, if reading their chunks more often costs less than computing more halos.

    Parameters
    ----------
    transform : Transform
    variable : str
        Variable of the source.
    dims : tuple of str
        Its core dimensions.
    stored : StoredArray
        How the variable is stored.
    memory : int
        Bytes that one block may take.

    Raises
    ------
    MemoryError
        If a single signal does not fit, or not what reading it takes.
    """
    if memory <= stored.buffer:
        raise MemoryError(
            f"reading variable {variable!r} takes {stored.buffer / 2**20:.1f} MiB, for up to "
            f"{CHUNKS_IN_FLIGHT} source chunks of {stored.chunk_bytes / 2**20:.1f} MiB at a time, "
            f"and a block may take {max(memory, 0) / 2**20:.1f} MiB: allow more memory"
        )
    others = [d for d in stored.sizes if d not in dims]
    signals = [min(stored.chunks[d], max(stored.sizes[d], 1)) for d in others]
    best: Layout | None = None
    cost = math.inf
    while True:
        try:
            layout = _fit(transform, variable, dims, stored, tuple(signals), memory)
        except MemoryError:
            if best is None and math.prod(signals) == 1:
                raise
        else:
            if (seconds := _seconds(transform, layout, stored)) < _GAIN * cost:
                best, cost = layout, seconds
            if layout.at_once == _lengths(transform, dims, stored, 1, 2**63):
                break  # fewer signals would not make it longer
        if math.prod(signals) == 1:
            break
        widest = int(np.argmax(signals))
        signals[widest] = -(-signals[widest] // 2)
    assert best is not None
    return best


def _fit(
    transform: Transform,
    variable: str,
    dims: tuple[str, ...],
    stored: StoredArray,
    signals: tuple[int, ...],
    memory: int,
) -> Layout:
    """Choose the blocks of so many signals along each other dimension."""
    shape = tuple(stored.sizes[dim] for dim in dims)
    whole = tuple(-(-n // transform.alignment) * transform.alignment for n in shape)
    others = tuple(d for d in stored.sizes if d not in dims)
    budget = memory - stored.buffer
    while True:
        try:
            lengths = _lengths(transform, dims, stored, math.prod(signals), budget)
        except MemoryError:
            if transform.parameters().get("sampling") != "frequency":
                raise
            raise MemoryError(_cannot_be_cut(transform, variable, stored, shape)) from None
        layout = Layout(
            variable,
            dims,
            shape,
            others,
            tuple(stored.sizes[d] for d in others),
            signals,
            whole if transform.outputs[0].stride is None else lengths,
            lengths,
        )
        for one in (layout, _evened(transform, layout)):
            if layout_memory(transform, one, stored) <= memory:
                return one
        budget = memory - stored.buffer - _other_filters(transform, layout)
        budget = min(budget, _block_memory(transform, layout, stored) - 1)


def _lengths(
    transform: Transform, dims: tuple[str, ...], stored: StoredArray, rows: int, memory: int
) -> tuple[int, ...]:
    shape, chunk = (tuple(sizes[dim] for dim in dims) for sizes in (stored.sizes, stored.chunks))
    return block_lengths(transform, shape, rows, stored.bytes_per_sample, memory, at_least=chunk)


def _seconds(transform: Transform, layout: Layout, stored: StoredArray) -> float:
    """Return about what all blocks cost."""
    decoded = chunks_touched(transform, layout, stored) * stored.chunk_bytes
    return operations(transform, layout) / _OPERATIONS + decoded / _DECODED_BYTES


def _evened(transform: Transform, layout: Layout) -> Layout:
    """Return as many blocks, or parts, whose last ones are about as large as the others.

    They share padded shapes then, and so filters.
    """
    unit = transform.alignment
    counts = (-(-n // size) for n, size in zip(layout.shape, layout.at_once, strict=True))
    sides = tuple(
        -(-n // (count * unit)) * unit for n, count in zip(layout.shape, counts, strict=True)
    )
    whole = layout.lengths if layout.lengths != layout.at_once else sides
    return replace(layout, lengths=whole, at_once=sides)


def _cannot_be_cut(
    transform: Transform, variable: str, stored: StoredArray, shape: tuple[int, ...]
) -> str:
    needed = block_memory(transform, 1, shape, shape, stored.bytes_per_sample) + stored.buffer
    return (
        f'with sampling="frequency" a block is the whole of a signal of variable {variable!r}, '
        f"which takes at least {needed / 2**20:.0f} MiB: allow more memory, or take "
        'sampling="space", whose wavelets are short'
    )


def layout_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Return the peak bytes of one block."""
    block = _block_memory(transform, layout, stored)
    return stored.buffer + block + _other_filters(transform, layout)


def _block_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    return block_memory(
        transform, layout.rows, layout.shape, layout.at_once, stored.bytes_per_sample
    )


def _other_filters(transform: Transform, layout: Layout) -> int:
    """Return the bytes of the filters that are kept for other blocks, of other padded shapes."""
    shapes = [lengths for lengths, _ in layout.padded_shapes(transform)]
    filters = [transform.filter_memory(lengths) for lengths in shapes]
    return sum(filters) - max(filters)
