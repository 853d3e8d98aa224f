import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_layers_import_only_from_those_below():
    pytest.importorskip("importlinter")
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the contracts are in pyproject.toml, which is not beside the tests")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()",
         "--no-cache"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "module", ["errors", "arrays", "filters", "transforms", "kernels", "blocks"]
)
def test_the_numbers_load_neither_dask_nor_xarray_nor_zarr(module):
    # The package itself may load more for its users; here stands in for it an empty one.
    code = (
        "import sys, types; package = types.ModuleType('scatdask'); "
        f"package.__path__ = [{str(ROOT / 'scatdask')!r}]; sys.modules['scatdask'] = package; "
        f"import scatdask.{module}; "
        "print(*sorted({'dask', 'distributed', 'xarray', 'zarr'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
