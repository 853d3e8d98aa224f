"""Road A: the block function over a dask array."""

from scatdask.lazy.scattering import lazy_block_length, scattering

__all__ = ["lazy_block_length", "scattering"]
