"""GRIB as a source: needs the grib extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scatdask import Job, Scattering1D, Scattering2D
from scatdask.archive.source_kinds import source_of

pytest.importorskip("cfgrib")
eccodes = pytest.importorskip("eccodes")

MAPS = np.random.default_rng(0).standard_normal((80, 4, 6)).astype("f4")
# Blocks of some messages, so that there are several.
S = Scattering1D(J=2, Q=1)


def write(path: Path, maps: np.ndarray, first_hour: int = 0) -> None:
    """Write a message an hour, each a map."""
    ny, nx = maps.shape[1:]
    grid = {
        "Ni": nx,
        "Nj": ny,
        "latitudeOfFirstGridPointInDegrees": ny - 1.0,
        "latitudeOfLastGridPointInDegrees": 0.0,
        "longitudeOfFirstGridPointInDegrees": 0.0,
        "longitudeOfLastGridPointInDegrees": nx - 1.0,
        "iDirectionIncrementInDegrees": 1.0,
        "jDirectionIncrementInDegrees": 1.0,
        "packingType": "grid_ieee",  # no rounding
    }
    with path.open("wb") as file:
        for hour, values in enumerate(maps, first_hour):
            time = str(np.datetime64("2024-01-01T00", "h") + hour)
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            when = {"dataDate": int(time[:10].replace("-", "")), "dataTime": 100 * int(time[11:])}
            for key, value in {**when, **grid}.items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, values.astype("f8").ravel())
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)


def job(source, target: Path, transform=S, **options) -> Job:
    dims = ("time",) if transform.ndim == 1 else ("latitude", "longitude")
    return Job(source, target, transform, dims=dims, memory="300 MiB", **options)


def check(target: Path, maps: np.ndarray) -> None:
    with xr.open_zarr(target) as out:
        expected = S(maps.transpose(1, 2, 0))
        coefficients = out.t.transpose("latitude", "longitude", "path", "time")
        np.testing.assert_allclose(coefficients, expected, rtol=1e-4, atol=1e-5)
        hours = np.datetime64("2024-01-01", "ns") + np.arange(0, len(maps), 4) * 3_600 * 10**9
        np.testing.assert_array_equal(out.time, hours)
        assert out.t.attrs["units"] == "K"


@pytest.mark.parametrize("engine", ["cfgrib", None])
def test_a_file_and_nothing_is_written_beside_it(tmp_path, engine):
    folder = tmp_path / "archive"
    folder.mkdir()
    write(folder / "in.grib2", MAPS)
    one = job(folder / "in.grib2", tmp_path / "out.zarr", engine=engine)
    assert one.run().computed == one.plan().blocks
    check(tmp_path / "out.zarr", MAPS)
    assert one.verify().is_good
    assert [path.name for path in folder.iterdir()] == ["in.grib2"]


def test_an_index_where_it_is_wanted(tmp_path):
    write(tmp_path / "in.grib2", MAPS[:4])
    options = {"indexpath": str(tmp_path / "index.{short_hash}")}
    source_of(tmp_path / "in.grib2", options).open(decode_times=True)
    assert len(list(tmp_path.glob("index.*"))) == 1


def test_maps_and_files_that_are_put_together(tmp_path):
    write(tmp_path / "a.grib2", MAPS[:50])
    write(tmp_path / "b.grib2", MAPS[50:], 50)
    job(str(tmp_path / "*.grib2"), tmp_path / "out.zarr").run()
    check(tmp_path / "out.zarr", MAPS)
    textures = Scattering2D(J=1, L=2)
    job(tmp_path / "a.grib2", tmp_path / "textures.zarr", textures).run()
    with xr.open_zarr(tmp_path / "textures.zarr") as out:
        np.testing.assert_allclose(out.t, textures(MAPS[:50]), rtol=1e-3, atol=1e-4)


def test_a_message_is_read_as_a_whole(tmp_path):
    write(tmp_path / "in.grib2", MAPS[:4])
    source = source_of(tmp_path / "in.grib2")
    stored = source.survey(source.open(decode_times=True).t, "error")[0]
    assert stored.chunks == {"time": 1, "latitude": 4, "longitude": 6}


def test_without_what_reads_it(tmp_path, monkeypatch):
    write(tmp_path / "in.grib2", MAPS[:4])
    monkeypatch.setattr(xr.backends, "list_engines", dict)
    with pytest.raises(ImportError, match=r"scatdask\[grib\]"):
        job(tmp_path / "in.grib2", tmp_path / "out.zarr").plan()
