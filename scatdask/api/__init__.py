"""Functions on xarray objects: at once where they are in memory, lazy where they are lazy."""

from scatdask.api.apply import apply
from scatdask.api.scattering1d import scattering1d
from scatdask.api.scattering2d import scattering2d
from scatdask.api.scattering3d import scattering3d
from scatdask.api.time_frequency_scattering import time_frequency_scattering

__all__ = ["apply", "scattering1d", "scattering2d", "scattering3d", "time_frequency_scattering"]
