"""FFT libraries that `scipy.fft` may hand its work to, one thread each."""

from __future__ import annotations

import importlib.util
import sys

# What has to be installed for each; SciPy's own needs nothing.
NEEDS: dict[str, tuple[str, ...]] = {
    "scipy": (),
    "mkl_fft": ("mkl_fft", "mkl"),
    "pyfftw": ("pyfftw",),
}


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of some libraries that are here, and say which are not."""
    here = tuple(name for name in names if all(map(importlib.util.find_spec, NEEDS[name])))
    if missing := set(names).difference(here):
        print(f"not installed, so left out: {', '.join(sorted(missing))}", file=sys.stderr)
    return here


def use(name: str) -> None:
    """Make a library the backend of `scipy.fft` for the rest of this process."""
    import scipy.fft

    if name == "mkl_fft":
        from mkl_fft.interfaces import scipy_fft

        scipy.fft.set_global_backend(scipy_fft)
    elif name == "pyfftw":
        import pyfftw
        from pyfftw.interfaces import scipy_fft

        # By default plans are guessed, which on images costs more than FFTW gains, and kept only on
        # demand, for as long as they are used at least this often.
        pyfftw.config.PLANNER_EFFORT = "FFTW_MEASURE"
        pyfftw.interfaces.cache.enable()
        pyfftw.interfaces.cache.set_keepalive_time(60)
        scipy.fft.set_global_backend(scipy_fft)
