"""Functions on xarray objects: at once where they are in memory, lazy where they are lazy."""

from scatdask.api.apply import apply
from scatdask.api.scattering1d import scattering1d

__all__ = ["apply", "scattering1d"]
