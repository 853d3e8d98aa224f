"""How one padded block is computed, on any array library."""

from functools import singledispatch

from scatdask.arrays import AnyArray, compiled
from scatdask.kernels.harmonic_scattering3d import harmonic_scattering3d
from scatdask.kernels.keep import Keep
from scatdask.kernels.scattering1d import scattering1d
from scatdask.kernels.scattering2d import scattering2d
from scatdask.kernels.time_frequency import time_frequency_scattering
from scatdask.transforms import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    Transform,
)

__all__ = ["Keep", "kernel", "transform_rows"]


def transform_rows(
    transform: Transform, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute the outputs of a few padded rows.

    Parameters
    ----------
    transform : Transform
    x : array, shape (rows, *lengths)
        Samples in float64, taken as one period of a periodic signal.
    offset : array, shape (rows,)
        Constant that was taken out of each row.
    keep : tuple of Keep
        For each core axis the samples of each row whose outputs are wanted.

    Returns
    -------
    list of array
        One for each of ``transform.outputs``, shape ``(rows, path, *core)``, with core axes of
        length one where outputs are sums over the kept samples.
    """
    return compiled(_kernel_with, transform, keep, like=x)(x, offset)


def _kernel_with(
    transform: Transform, keep: tuple[Keep, ...], x: AnyArray, offset: AnyArray
) -> list[AnyArray]:
    return kernel(transform, x, offset, keep)


@singledispatch
def kernel(
    transform: Transform, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute a few padded rows, as `transform_rows` says; each transform registers its own."""
    raise TypeError(f"no kernel for {type(transform).__name__}")


kernel.register(Scattering1D, scattering1d)
kernel.register(Scattering2D, scattering2d)
kernel.register(HarmonicScattering3D, harmonic_scattering3d)
kernel.register(TimeFrequencyScattering, time_frequency_scattering)
