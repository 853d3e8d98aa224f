"""How the blocks of a variable are chosen: from memory, source chunks, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scatdask.archive.counts import chunks_touched, operations
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.memory import (
    Parts,
    block_budget,
    described,
    gpu_host_parts,
    layout_memory,
    memory_parts,
    worker_bytes,
)
from scatdask.blocks import block_lengths, block_memory, shortest_lengths
from scatdask.transforms import Transform
from scatdask.transforms.base import EVERYWHERE

# What a core does in a second: only their ratio matters, when it is better to compute halos more
# often or to decode chunks more often.
_OPERATIONS, _DECODED_BYTES = 2e9, 3e8
# Fewer signals a block must be worth it.
_GAIN = 0.95
# Blocks of less work, in seconds, and of fewer bytes of coefficients are small: what a block costs
# beside its work counts. Where there are only a few blocks, workers need them as they are.
_SMALL_WORK, _SMALL_OUTPUT, _FEW = 1.0, 2**22, 256

# Bytes of what is kept of a block beside its coefficients.
States = Callable[[Layout], int]


def no_states(layout: Layout) -> int:
    """Return what is kept of a block where coefficients are written as they are: nothing."""
    return 0


def make_layouts(
    transform: Transform,
    dims: tuple[str, ...],
    stored: dict[str, StoredArray],
    memory: int,
    gpu_memory: int | None = None,
    libraries: int = 0,
    states: States = no_states,
) -> tuple[Layout, ...]:
    """Choose the blocks of variables that the same workers compute.

    Parameters
    ----------
    transform : Transform
    dims : tuple of str
        Core dimensions.
    stored : dict of str to StoredArray
        How each variable is stored.
    memory : int
        Resident bytes that a worker process of one thread may take.
    gpu_memory : int, optional
        Of the host, that a worker with a GPU may take.
    libraries : int
        Of both, what the libraries take that open source and output.
    states : callable
        Of both, what the states of a block's windows take.

    Raises
    ------
    MemoryError
        If a block of a single signal does not fit, or not what reading it takes.
    """
    budget, excess, on_host = block_budget(memory - libraries), 0, 0
    while True:
        try:
            layouts = tuple(
                make_layout(transform, name, dims, one, budget, libraries, states)
                for name, one in stored.items()
            )
        except MemoryError as error:
            if on_host <= max(excess, 0) or gpu_memory is None:
                raise
            least = [_least(transform, name, dims, one) for name, one in stored.items()]
            host = gpu_host_parts(transform, least, stored.values())
            host |= {"libraries": libraries, "states": BLOCKS_UNDER_WAY * max(map(states, least))}
            raise MemoryError(_gpu_refusal(host, gpu_memory)) from error
        # Workers keep the filters of all variables.
        parts = memory_parts(transform, layouts, stored.values())
        kept = max(map(states, layouts))
        excess = sum(parts.values()) + kept + libraries - memory
        if gpu_memory is not None:
            host = gpu_host_parts(transform, layouts, stored.values())
            too_much = sum(host.values()) + BLOCKS_UNDER_WAY * kept + libraries - gpu_memory
            on_host = -(-too_much // BLOCKS_UNDER_WAY)
        if max(excess, on_host) <= 0:
            return layouts
        budget -= max(excess, on_host)


def make_layout(
    transform: Transform,
    variable: str,
    dims: tuple[str, ...],
    stored: StoredArray,
    memory: int,
    libraries: int = 0,
    states: States = no_states,
) -> Layout:
    """Choose the blocks of a variable.

    Signals that share a source chunk share a block, so that each chunk is read for one block
    only; a block is long enough for its halo to be a small part of what it reads, and as long as
    a source chunk where memory allows. Where it does not allow both, fewer signals are taken at a
    time, if reading their chunks more often costs less than computing more halos. Where a great
    many blocks would be small, the signals of several chunks share one.

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
        Bytes that `layout_memory` and the states of windows may be.
    libraries : int
        What the libraries take that open source and output, beside it.
    states : callable
        What the states of a block's windows take.

    Raises
    ------
    MemoryError
        If a block of a single signal does not fit, or not what reading it takes.
    """
    least = _least(transform, variable, dims, stored)
    if layout_memory(transform, least, stored) + states(least) > memory:
        beside = {"libraries": libraries, "states": states(least)}
        raise MemoryError(_refusal(transform, least, stored, memory, beside))
    others = [d for d in stored.sizes if d not in dims]
    chunk = tuple(min(stored.chunks[d], max(stored.sizes[d], 1)) for d in others)
    signals = list(chunk)
    longest = _lengths(transform, dims, stored, 1, 2**63)
    best: Layout | None = None
    cost = math.inf
    while True:
        layout = _fit(transform, least, stored, tuple(signals), memory, states)
        if layout is not None:
            if (seconds := _seconds(transform, layout, stored)) < _GAIN * cost:
                best, cost = layout, seconds
            if layout.at_once == longest:
                break  # fewer signals would not make it longer
        if math.prod(signals) == 1:
            break
        widest = int(np.argmax(signals))
        signals[widest] = -(-signals[widest] // 2)
    best = best or least
    if best.batch_block != chunk:
        return best
    return _widened(transform, best, stored, memory, states)


def _widened(
    transform: Transform, layout: Layout, stored: StoredArray, memory: int, states: States
) -> Layout:
    """Take the signals of several chunks together where a great many blocks are small."""
    for axis in reversed(range(len(layout.batch_block))):
        while layout.batch_block[axis] < layout.batch_shape[axis]:
            if layout.n_blocks <= _FEW or not _is_small(transform, layout):
                return layout
            signals = list(layout.batch_block)
            signals[axis] = min(2 * signals[axis], layout.batch_shape[axis])
            wider = _fit(transform, layout, stored, tuple(signals), memory, states)
            if wider is None or wider.at_once != layout.at_once:
                return layout
            layout = wider
    return layout


def _is_small(transform: Transform, layout: Layout) -> bool:
    """Whether a block is little work and has little output."""
    owned = tuple(map(min, layout.lengths, layout.shape))
    numbers = sum(math.prod((*o.shape, *o.core_shape(owned))) for o in transform.outputs)
    output = layout.rows * numbers * np.dtype(transform.dtype).itemsize
    seconds = operations(transform, layout) / _OPERATIONS / layout.n_blocks
    return output < _SMALL_OUTPUT and seconds < _SMALL_WORK


def _least(
    transform: Transform, variable: str, dims: tuple[str, ...], stored: StoredArray
) -> Layout:
    """Return the smallest blocks that there can be."""
    shape = tuple(stored.sizes[dim] for dim in dims)
    others = tuple(d for d in stored.sizes if d not in dims)
    batch = tuple(stored.sizes[d] for d in others)
    lengths = shortest_lengths(transform, shape)
    layout = Layout(variable, dims, shape, others, batch, (1,) * len(others), lengths, lengths)
    return _taking(transform, layout, layout.batch_block, lengths)


def _taking(
    transform: Transform, layout: Layout, signals: tuple[int, ...], at_once: tuple[int, ...]
) -> Layout:
    """Return blocks of so many signals, and of so many samples at a time."""
    unit = transform.alignment
    whole = tuple(-(-n // unit) * unit for n in layout.shape)
    owned = whole if transform.outputs[0].stride is None else at_once
    return replace(layout, batch_block=signals, lengths=owned, at_once=at_once)


def _fit(
    transform: Transform,
    like: Layout,
    stored: StoredArray,
    signals: tuple[int, ...],
    memory: int,
    states: States,
) -> Layout | None:
    """Choose the blocks of so many signals along each other dimension; None if none fit."""
    budget = memory
    while True:
        try:
            lengths = _lengths(transform, like.dims, stored, math.prod(signals), budget)
        except MemoryError:
            return None
        layout = _taking(transform, like, signals, lengths)
        for one in (layout, _evened(transform, layout)):
            if layout_memory(transform, one, stored) + states(one) <= memory:
                return one
        budget = _block_memory(transform, layout, stored) - 1


def _lengths(
    transform: Transform, dims: tuple[str, ...], stored: StoredArray, rows: int, memory: int
) -> tuple[int, ...]:
    shape, chunk = (tuple(sizes[dim] for dim in dims) for sizes in (stored.sizes, stored.chunks))
    return block_lengths(transform, shape, rows, stored.decoded_itemsize, memory, at_least=chunk)


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


def _refusal(
    transform: Transform, least: Layout, stored: StoredArray, memory: int, beside: Parts
) -> str:
    """Say why not even the smallest blocks fit, and what would."""
    parts = memory_parts(transform, (least,), (stored,)) | beside
    needed = -(-sum(parts.values()) // 2**20)
    allowed = (worker_bytes(memory) + beside["libraries"]) / 2**20
    if transform.halo == EVERYWHERE:
        why = "which are whole, since filters sampled in frequency see the whole signal"
        remedy = 'take sampling="space", whose wavelets are short'
    else:
        why = f"with a halo of {transform.halo} samples"
        remedy = "lower J or T, or raise the tolerance"
    if parts["source chunks"] > parts["workspace"]:
        remedy = (
            "store the source in smaller chunks: one, or a shard, has "
            f"{stored.chunk_bytes / 2**20:.1f} MiB"
        )
    if parts["states"] > max(parts["workspace"], parts["source chunks"]):
        remedy = "leave out quantiles, or take longer windows"
    return (
        f"blocks of one signal of variable {least.variable!r} {why}, take workers of at least "
        f"{needed} MiB ({described(parts)}), and memory allows {allowed:.1f} MiB: allow more "
        f'memory, as in memory="{needed} MiB", or {remedy}'
    )


def _gpu_refusal(host: Parts, memory: int) -> str:
    """Say why the smallest blocks do not fit a worker with a GPU."""
    return (
        f"a worker with a GPU holds {BLOCKS_UNDER_WAY} blocks in the memory of its host, of which "
        f"it takes at least {-(-sum(host.values()) // 2**20)} MiB ({described(host)}), and may "
        f"take {memory // 2**20} MiB: give such workers more memory, or leave the work to CPUs "
        'with device="cpu"'
    )


def _block_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    return block_memory(
        transform, layout.rows, layout.shape, layout.at_once, stored.decoded_itemsize
    )
