import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from tests.examples import load


@pytest.fixture(scope="module")
def example():
    return load("wind_texture")


def test_direction_is_that_of_the_strongest_variation(example):
    theta = xr.DataArray([0.0, 45.0, 90.0, 135.0], dims="theta1")
    first = xr.DataArray(
        [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]],
        dims=("case", "theta1"),
        coords={"theta1": theta.values},
    )
    angle, contrast = example.main_direction(first)
    np.testing.assert_allclose(angle[:3], [0, 45, -22.5])
    np.testing.assert_allclose(contrast, [1, 1, np.sqrt(0.5), 0], atol=1e-12)


def test_stripes_of_one_direction_are_found(example):
    longitude, latitude = np.arange(96) * 0.75, 90 - np.arange(65) * 0.75
    stripes = np.sin(2 * np.pi * np.arange(65) / 10.7)[:, None] * np.ones(96)
    speed = xr.DataArray(
        stripes[None],
        dims=("level", "latitude", "longitude"),
        coords={"level": [500], "latitude": latitude, "longitude": longitude},
        name="speed",
    )
    angle, contrast = example.main_direction(example.by_direction(example.texture(speed), 2))
    assert np.all(np.abs(np.abs(angle) - 90) < 1)
    assert np.all(contrast > 0.5)


@pytest.mark.filterwarnings("ignore:.*non-conforming '_FillValue'")
def test_picture_of_the_winds(example, data_folder, tmp_path):
    data = data_folder / "eraint_uvz.nc"
    if not data.is_file():
        pytest.skip(f"no winds at {data}")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "wind.png"
    result = CliRunner().invoke(
        example.main, ["--data", str(data), "--picture", str(picture)], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "{'month': 2, 'level': 3, 'path': 32, 'latitude': 61, 'longitude': 120}" in result.output
    assert picture.stat().st_size > 50_000
