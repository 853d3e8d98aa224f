"""What a transform is: frozen parameters, and everything that follows from them."""

from scatdask.transforms.base import Output, Transform
from scatdask.transforms.scattering1d import Scattering1D

__all__ = ["Output", "Scattering1D", "Transform"]
