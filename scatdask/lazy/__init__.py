"""Road A: the block function over a dask array."""

from scatdask.lazy.scattering import lazy_block_lengths, scattering

__all__ = ["lazy_block_lengths", "scattering"]
