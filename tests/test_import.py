import json
import subprocess
import sys
from functools import cache

# What a notebook should not have to wait for when it imports scatdask.
HEAVY = (
    "dask",
    "distributed",
    "zarr",
    "matplotlib",
    "scipy.signal",
    "scipy.fft",
    "scipy.special",
    "cupy",
    "torch",
    "click",
    "tqdm",
    "fsspec",
    "scatdask.archive",
    "scatdask.cli",
)


@cache
def modules_after(statement):
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(json.loads(run.stdout))


def test_import_is_light():
    added = modules_after("import scatdask") - modules_after("import xarray")
    assert not [name for name in HEAVY if name in added]


def test_import_registers_the_accessor():
    code = "import scatdask, xarray; xarray.DataArray.scat; xarray.Dataset.scat"
    assert "scatdask.accessor" in modules_after(code)


def test_numpy_transform_needs_no_dask():
    code = "import numpy, scatdask; scatdask.Scattering1D(J=3)(numpy.zeros(100))"
    assert not {"dask", "zarr"} & (modules_after(code) - modules_after("import xarray"))
