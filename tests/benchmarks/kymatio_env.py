"""Make the environment of the rival: Kymatio 0.3.0, which does not import beside current SciPy.

    python tests/benchmarks/kymatio_env.py [FOLDER]

The benchmark command calls this where the environment does not exist yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = (
    "kymatio==0.3.0",
    "scipy<1.15",  # later ones have no scipy.special.sph_harm
    "numpy<2.3",
    "xarray",
    "dask[array]",
    "distributed",
    "zarr>=3.1",
)


def default_folder() -> Path:
    """Return the folder of the environment unless another is named."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "scatdask" / "kymatio-0.3.0"


def interpreter(folder: Path) -> Path:
    """Return the Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(folder: Path) -> Path:
    """Make the environment unless it is there and works; return its Python.

    Parameters
    ----------
    folder : Path
        Where it is, or is to be.
    """
    python = interpreter(folder)
    if not _works(python):
        print(f"making an environment with {', '.join(PACKAGES)} in {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        if not _works(python):
            raise RuntimeError(f"Kymatio does not import in {folder}: remove it and try again")
    return python


def _works(python: Path) -> bool:
    """Say whether Kymatio and what it needs here can be imported."""
    command = "import kymatio.numpy, xarray, dask.array, distributed, zarr"
    return python.exists() and not subprocess.run([python, "-c", command], check=False).returncode


if __name__ == "__main__":
    print(ensure(Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()))
