"""Wavelet scattering of data larger than memory, whose numbers do not depend on chunks."""

from scatdask._version import __version__
from scatdask.transforms import Scattering1D

__all__ = ["Scattering1D", "__version__"]
