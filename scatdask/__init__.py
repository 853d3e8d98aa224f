"""Wavelet scattering of data larger than memory, whose numbers do not depend on chunks."""

from typing import TYPE_CHECKING, Any

from scatdask import accessor as _accessor  # noqa: F401 - registers .scat
from scatdask._version import __version__
from scatdask.api import (
    scattering1d,
    scattering2d,
    scattering3d,
    time_frequency_scattering,
)
from scatdask.features import log_scattering, renormalise
from scatdask.transforms import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)

if TYPE_CHECKING:
    from scatdask.archive import Job, Reduction

__all__ = [
    "HarmonicScattering3D",
    "Job",
    "Reduction",
    "Scattering1D",
    "Scattering2D",
    "TimeFrequencyScattering",
    "__version__",
    "log_scattering",
    "renormalise",
    "scattering1d",
    "scattering2d",
    "scattering3d",
    "time_frequency_scattering",
]


def __getattr__(name: str) -> Any:
    # The archive road brings zarr and dask.array; notebooks that never use it need not wait.
    if name in ("Job", "Reduction"):
        from scatdask import archive

        return getattr(archive, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
