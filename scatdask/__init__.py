"""Wavelet scattering of data larger than memory, whose numbers do not depend on chunks."""

from scatdask import accessor as _accessor  # noqa: F401 - registers .scat
from scatdask._version import __version__
from scatdask.api import scattering1d
from scatdask.transforms import Scattering1D

__all__ = ["Scattering1D", "__version__", "scattering1d"]
