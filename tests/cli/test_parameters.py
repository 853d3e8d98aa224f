"""Every transform from the command line, with each of its parameters."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import Result

import scatdask as package
from scatdask import transforms
from scatdask.api import apply
from scatdask.cli.parameters import PARAMETERS, TRANSFORMS

Call = Callable[..., Result]

# Words, and what they mean.
CASES: dict[str, tuple[tuple[object, ...], Any]] = {
    "scattering1d": (
        ("--dim", "x", "-J", 3, "-Q", 2, "-T", "global", "--max-order", 1),
        package.Scattering1D(J=3, Q=2, T="global", max_order=1),
    ),
    "scattering2d": (
        ("--dims", "y,x", "-J", 2, "-L", 3, "--boundary", "reflect,periodic", "--stride", 2),
        package.Scattering2D(J=2, L=3, boundary=("reflect", "periodic"), stride=2),
    ),
    "scattering3d": (
        (
            *("--dims", "z,y,x", "-J", 1, "-L", 1, "--sigma-0", 0.8, "--integral-powers", "1,2"),
            *("--no-rotation-covariant", "--method", "local", "--stride", 1, "--max-order", 1),
            *("--sampling", "space", "--dtype", "float64", "--tolerance", 1e-5),
        ),
        package.HarmonicScattering3D(
            J=1,
            L=1,
            sigma_0=0.8,
            integral_powers=(1, 2),
            rotation_covariant=False,
            method="local",
            stride=1,
            max_order=1,
            sampling="space",
            dtype="float64",
            tolerance=1e-5,
        ),
    ),
    "time_frequency_scattering": (
        (
            "--dim",
            "x",
            "-J",
            4,
            "--J-fr",
            2,
            "-Q",
            "4,1",
            "--Q-fr",
            2,
            "-F",
            2,
            "--format",
            "joint",
        ),
        package.TimeFrequencyScattering(J=4, J_fr=2, Q=4, Q_fr=2, F=2, format="joint"),
    ),
}


@pytest.fixture
def volumes(tmp_path: Path) -> str:
    samples = np.random.default_rng(0).standard_normal((2, 12, 20, 96))
    array = xr.DataArray(samples, dims=("run", "z", "y", "x"), name="rho")
    path = tmp_path / "volumes.zarr"
    array.chunk(run=1, z=5, y=8, x=40).to_dataset().to_zarr(path, zarr_format=2)
    return str(path)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", CASES)
def test_each_transform(scatdask: Call, volumes: str, target: str, name: str) -> None:
    words, transform = CASES[name]
    words = ("--transform", name, *words)
    plan = document(scatdask("plan", volumes, target, *words, "--json"))
    assert plan["transform"] == {"name": name, **transform.parameters()}
    document(scatdask("run", volumes, target, *words, "--quiet", "--json"))
    dims = words[words.index("--dims") + 1 if "--dims" in words else words.index("--dim") + 1]
    with xr.open_zarr(volumes) as given, xr.open_zarr(target) as found:
        expected = apply(given.load(), transform, dims=dims.split(","))
        xr.testing.assert_allclose(found.load(), expected, rtol=1e-3, atol=1e-4)
    # The ledger remembers transform and dimensions.
    assert document(scatdask("run", volumes, target, "--json"))["computed"] == 0
    status = document(scatdask("status", volumes, target, *words, "--json"))
    assert status["dims"] == dims.split(",")
    assert document(scatdask("verify", volumes, target, "--blocks", 1, "--json"))["is_good"]


def test_every_parameter_is_an_option() -> None:
    exported = (getattr(transforms, name) for name in transforms.__all__)
    kinds = [kind for kind in exported if hasattr(kind, "name")]
    assert set(kinds) == set(TRANSFORMS.values())
    fields = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert fields == {*PARAMETERS, "selection"}


def test_help_tells_defaults_and_whose_they_are(scatdask: Call) -> None:
    text = " ".join(scatdask("run", "--help").stdout.split())
    assert "[default: 8 for scattering2d, 3 for scattering3d] [of scattering2d, scatt" in text
    assert "[default: 0.5,1,2] [of scattering3d]" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-J", 3, "-L", 4), "scattering1d has no option '-L', which is one of scattering2d, scat"),
        (("--transform", "scattering2d", "-J", 3, "-Q", 8), "scattering2d has no option '-Q'"),
        (("-J", 3, "--no-rotation-covariant"), "has no option '--rotation-covariant'"),
        (("--transform", "time_frequency_scattering", "-J", 6), "Missing option '--J-fr' of"),
        (("--transform", "scattering2d", "-J", 3), "'--dims', such as --dims y,x"),
        (("--transform", "scattering2d", "-J", 3, "--dim", "x"), "over 2 dimensions, got 1"),
        (("-J", 3, "--dims", "y,x"), "over one dimension, got 2"),
        (("-J", 3, "--dims", "y,x", "--dim", "x"), "Give --dim or --dims, not both"),
        (
            ("--transform", "scattering2d", "-J", 2, "--dims", "x,x"),
            "dims repeat 'x'",
        ),
        (("--transform", "scattering2d", "-J", 2, "--dims", "x,t"), "no dimension 't'"),
        (
            ("--transform", "scattering2d", "-J", 2, "--dims", "y,x", "--boundary", "odd,zero"),
            "not of the form reflect or reflect,periodic",
        ),
        (("--transform", "scattering2d", "-J", 2, "--dims", "y,x", "-L", 0), "L must be at least"),
        (("--transform", "scattering2d", "-J", 5, "--dims", "y,x"), "'y'"),
        (("--transform", "fourier", "-J", 2, "--dims", "y,x"), "'fourier' is not one of"),
        (
            ("--transform", "time_frequency_scattering", "--dim", "x", "-J", 4, "--J-fr", 9),
            "the largest J_fr that fits",
        ),
        (
            ("--transform", "scattering3d", "-J", 1, "--integral-powers", "a", "--dims", "z,y,x"),
            "not of the form 0.5,1,2",
        ),
    ],
)
def test_bad_input(
    scatdask: Call, volumes: str, target: str, words: tuple[object, ...], said: str
) -> None:
    result = scatdask("run", volumes, target, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path(target).exists()


def test_output_of_another_kind_of_transform(scatdask: Call, volumes: str, target: str) -> None:
    words = ("--dims", "y,x", "-J", 2, "-L", 2)
    document(scatdask("run", volumes, target, "--transform", "scattering2d", *words, "--json"))
    for command in ("run", "status", "verify"):
        result = scatdask(command, volumes, target, "--transform", "scattering3d")
        assert result.exit_code == 3
        assert "kind of transform: scattering2d there, scattering3d here" in result.stderr
