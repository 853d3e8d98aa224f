"""Cutting a signal into blocks that are transformed on their own, and the function that does it."""

from scatdask.blocks.function import check_dtype, combine_sums, transform_array, transform_block
from scatdask.blocks.geometry import Block, Grid, Slab, block_of, fast_length, slab
from scatdask.blocks.notices import listening, tell
from scatdask.blocks.parts import device_parts
from scatdask.blocks.sizing import (
    array_memory,
    block_lengths,
    block_memory,
    block_parts,
    shortest_lengths,
)

__all__ = [
    "Block",
    "Grid",
    "Slab",
    "array_memory",
    "block_lengths",
    "block_memory",
    "block_of",
    "block_parts",
    "check_dtype",
    "combine_sums",
    "device_parts",
    "fast_length",
    "listening",
    "shortest_lengths",
    "slab",
    "tell",
    "transform_array",
    "transform_block",
]
