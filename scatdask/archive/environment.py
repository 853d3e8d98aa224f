"""Where blocks are computed: the device, and the versions that numbers may depend on."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from scatdask._version import __version__
from scatdask.arrays import accelerators

# What reads, computes and writes.
PACKAGES = ("numpy", "scipy", "xarray", "zarr", "numcodecs", "dask", "distributed")


@lru_cache
def environment(device: str = "cpu") -> dict[str, str]:
    """Describe this process.

    Parameters
    ----------
    device : str
        "cpu", or "gpu" where it computes on one.
    """
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # run from a source tree
            continue
    name = platform.processor() or platform.machine()
    if device == "gpu":
        gpu = accelerators.find_accelerator()
        name = gpu.name
        packages.update(gpu.versions)
    return {
        "device": device,
        "device_name": name,
        "python": platform.python_version(),
        "scatdask": __version__,
        **packages,
    }


def identity(description: dict[str, str]) -> str:
    """Return twelve digits that stand for an environment."""
    text = json.dumps(description, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
