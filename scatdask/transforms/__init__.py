"""What a transform is: frozen parameters, and everything that follows from them."""

from scatdask.transforms.base import Output, Transform
from scatdask.transforms.harmonic_scattering3d import HarmonicScattering3D
from scatdask.transforms.scattering1d import Scattering1D
from scatdask.transforms.scattering2d import Scattering2D
from scatdask.transforms.time_frequency import TimeFrequencyScattering

__all__ = [
    "HarmonicScattering3D",
    "Output",
    "Scattering1D",
    "Scattering2D",
    "TimeFrequencyScattering",
    "Transform",
]
