"""Jobs over several core axes, wherever they lie among the dimensions of a variable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scatdask import Job, Scattering1D
from scatdask.api import apply
from scatdask.archive.memory import worker_bytes
from scatdask.errors import OutputExistsError
from tests.archive.toys import Toy2D, Toy3D

MAPS = ("lat", "lon")
# As little as lets a toy have some blocks.
MEMORY = worker_bytes(150_000)


def weather() -> xr.Dataset:
    """Two variables on (time, lat, level, lon), one on half of these, one on none."""
    rng = np.random.default_rng(0)
    dims = ("time", "lat", "level", "lon")
    sizes = {"time": 3, "lat": 37, "level": 2, "lon": 50}
    shape = tuple(sizes.values())
    return xr.Dataset(
        {
            "u": (dims, rng.standard_normal(shape), {"units": "m/s"}),
            "v": (dims[::-1], rng.standard_normal(shape[::-1])),
            "height": (MAPS, rng.standard_normal((37, 50))),
            "area": ("lat", np.ones(37)),
            "weight": ("level", [1.0, 2.0]),
        },
        coords={
            "time": xr.date_range("2024-01-01", periods=3, freq="6h"),
            "lat": ("lat", np.linspace(90, -90, 37), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(50) * 7.2, {"units": "degrees_east"}),
            "level": [500, 850],
        },
    )


@pytest.fixture
def maps(write_archive) -> Path:
    return write_archive(weather(), chunks={"time": 2, "lat": 11, "level": 1, "lon": 17})


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        ("mean", MAPS),
        ("sum", ["lon", "lat"]),
        ("sum", ("time", "lon")),
        ("ragged", ["lon", "lat"]),
        ("inner", MAPS),
        ("inner", ("time", "lon")),
    ],
)
def test_job_gives_what_the_function_gives(maps, kind, dims):
    transform = Toy2D(kind=kind, boundary=("reflect", "periodic"))
    job = Job(maps, maps.parent / "out.zarr", transform, dims=dims, memory=MEMORY)
    plan = job.plan()
    assert plan.blocks > 8 or kind == "sum"
    report = job.run()
    assert report.computed == report.blocks == plan.blocks
    assert report.bytes_read == plan.bytes_read
    assert report.bytes_written == plan.bytes_written
    with xr.open_zarr(maps) as source, xr.open_zarr(maps.parent / "out.zarr") as out:
        expected = apply(source.load(), transform, dims=dims)
        xr.testing.assert_allclose(out.load(), expected, rtol=1e-10, atol=1e-10)
        assert out.attrs == expected.attrs
        for name, variable in expected.variables.items():
            assert out[name].dims == variable.dims
            assert out[name].attrs == variable.attrs
    assert job.verify(blocks=3).is_good


def test_sums_over_volumes_are_read_part_by_part(write_archive):
    samples = np.random.default_rng(0).standard_normal((2, 50, 40, 30))
    dataset = xr.Dataset({"rho": (("run", "z", "y", "x"), samples)})
    path = write_archive(dataset, chunks={"run": 1, "z": 16, "y": 16, "x": 16})
    transform = Toy3D(kind="sum")
    memory = worker_bytes(2_500_000)
    job = Job(path, path.parent / "out.zarr", transform, dims=("z", "y", "x"), memory=memory)
    (layout,) = job.plan().layouts
    assert layout.n_blocks == 2
    assert len(layout.parts(transform, 0)) > 8
    report = job.run()
    assert report.bytes_read == job.plan().bytes_read > samples.nbytes
    with xr.open_zarr(path.parent / "out.zarr") as out:
        np.testing.assert_allclose(out.rho.values, transform(samples), rtol=1e-10)
    assert job.verify().is_good


def test_plan_of_several_axes_for_people_and_for_machines(maps):
    job = Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS, memory=MEMORY)
    plan = job.plan()
    lengths = plan.layouts[0].lengths
    figures = json.loads(json.dumps(plan.to_dict()))
    assert figures["dims"] == ["lat", "lon"]
    assert figures["block_samples"][0] == list(lengths)
    assert figures["outputs"]["u"]["shape"] == [3, 2, 2, 10, 13]
    text = str(plan)
    assert "u (time: 3, level: 2, lat: 37, lon: 50)" in text
    assert f"x {lengths[0]} x {lengths[1]} samples" in text
    assert "halo          2 samples on each side along each dimension" in text


def test_run_goes_on_over_several_axes(maps):
    job = Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS, memory=MEMORY)
    first = job.run()
    receipts = sorted((maps.parent / "out.zarr.ledger" / "receipts").iterdir())
    for receipt in receipts[::2]:
        receipt.unlink()
    done = job.status().done
    again = Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS).run()
    assert (again.found_done, again.computed) == (done, first.blocks - done)


def test_output_over_other_dimensions(maps):
    Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS).run()
    with pytest.raises(OutputExistsError, match=r"dims: \['lat', 'lon'\] there, \['lon', 'lat'\]"):
        Job(maps, maps.parent / "out.zarr", Toy2D(), dims=("lon", "lat")).run()


def test_source_whose_second_axis_has_changed(maps, write_archive):
    Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS).run()
    dataset = weather()
    dataset["lon"] = dataset.lon + 1
    write_archive(dataset, chunks={"time": 2, "lat": 11, "level": 1, "lon": 17})
    with pytest.raises(OutputExistsError, match="source has changed"):
        Job(maps, maps.parent / "out.zarr", Toy2D(), dims=MAPS).run()


# Bad input: all before any work


@pytest.mark.parametrize(
    ("dims", "said"),
    [
        (("lat",), "goes over 2 dimensions, got 1"),
        ("lat", "goes over 2 dimensions, got 1"),
        (("time", "lat", "lon"), "goes over 2 dimensions, got 3"),
        (("lat", "lat"), "dims repeat 'lat'"),
        (("lat", "height"), "no dimension 'height'"),
    ],
)
def test_dims_that_do_not_fit(maps, dims, said):
    with pytest.raises((ValueError, KeyError), match=said):
        Job(maps, maps.parent / "out.zarr", Toy2D(), dims=dims).run()
    assert not (maps.parent / "out.zarr").exists()


@pytest.mark.parametrize("given", [{}, {"dim": "lat", "dims": MAPS}])
def test_dim_or_dims(maps, given):
    with pytest.raises(TypeError, match=r"dimensions of toy as dim, if it is one, or as dims"):
        Job(maps, maps.parent / "out.zarr", Toy2D(), **given)


def test_transform_over_one_axis_takes_either(archive):
    target = archive.parent / "out.zarr"
    Job(archive, target, Scattering1D(J=6), dim="time").run()
    assert Job(archive, target, Scattering1D(J=6), dims=["time"]).run().computed == 0


def test_axis_that_is_not_uniform(write_archive):
    dataset = weather()
    dataset["lon"] = dataset.lon**2
    path = write_archive(dataset)
    with pytest.raises(ValueError, match="'lon'"):
        Job(path, path.parent / "out.zarr", Toy2D(), dims=MAPS).plan()
