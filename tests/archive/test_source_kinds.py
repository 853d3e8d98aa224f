"""Sources that are not Zarr, and Zarr in unusual shapes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scatdask import Job, Scattering1D, Scattering2D
from scatdask.archive.source_kinds import FileSource, source_of
from scatdask.errors import OutputExistsError, SourceChangedError

S = Scattering1D(J=5, Q=2)
N = 12_000


def dataset(n: int = N, start: int = 0, channels: int = 3) -> xr.Dataset:
    noise = np.random.default_rng(0).standard_normal((channels, 40_000))[:, start : start + n]
    time = np.datetime64("2024-01-01", "ms") + np.arange(start, start + n) * 10
    return xr.Dataset(
        {"v": (("channel", "time"), noise.astype("f4"), {"units": "m/s"})},
        coords={"time": time.astype("M8[ns]"), "channel": np.arange(channels)},
    )


def job(source, target: Path, transform=S, **options) -> Job:
    dims = {"dims": ("y", "x")} if transform.ndim == 2 else {"dim": "time"}
    return Job(source, target, transform, **{"memory": "160 MiB", **dims, **options})


def check(target: Path, whole: xr.Dataset) -> None:
    with xr.open_zarr(target) as out:
        expected = S(whole.v.values)
        np.testing.assert_allclose(out.v, expected, rtol=1e-4, atol=1e-5 * expected.max())
        np.testing.assert_array_equal(out.time, whole.time[::32])
        assert out.v.attrs["units"] == "m/s"


@pytest.mark.parametrize(
    ("engine", "chunks"),
    [("netcdf4", (1, 1000)), ("netcdf4", (3, N)), ("netcdf4", None), ("scipy", None)],
)
def test_one_file_in_chunks_of_any_kind_or_none(tmp_path, engine, chunks):
    whole = dataset()
    if chunks is not None:
        whole.v.encoding["chunksizes"] = chunks
    whole.to_netcdf(tmp_path / "in.nc", engine=engine)
    one = job(tmp_path / "in.nc", tmp_path / "out.zarr", engine=engine)
    assert one.run().computed == one.plan().blocks
    check(tmp_path / "out.zarr", whole)
    assert one.verify().is_good
    assert one.run().computed == 0


def write_nights(folder: Path, lengths: list[int]) -> list[Path]:
    """Write a file a night, each of which counts time from its own first sample."""
    paths, start = [], 0
    for night, n in enumerate(lengths):
        one = dataset(n, start)
        one.time.encoding["units"] = f"milliseconds since {one.time.values[0]}".split(".")[0]
        one.time.encoding["dtype"] = "i8"
        paths.append(folder / f"night{night}.nc")
        paths[-1].unlink(missing_ok=True)  # what is open is left alone
        one.to_netcdf(paths[-1])
        start += n
    return paths


@pytest.mark.parametrize("kind", ["list", "pattern"])
def test_files_that_xarray_puts_together(tmp_path, kind):
    paths = write_nights(tmp_path, [5_000, 4_000, 3_000])
    source = paths if kind == "list" else str(tmp_path / "night*.nc")
    one = job(source, tmp_path / "out.zarr")
    one.run()
    check(tmp_path / "out.zarr", dataset())
    assert one.verify().is_good


def test_file_more_every_night(tmp_path):
    write_nights(tmp_path, [9_000, 9_000])
    pattern = str(tmp_path / "night*.nc")
    first = job(pattern, tmp_path / "out.zarr").run()
    write_nights(tmp_path, [9_000, 9_000, 9_000])  # the first two once more, with other times
    with pytest.raises(SourceChangedError, match=r"night0\.nc"):
        job(pattern, tmp_path / "out.zarr").run()
    again = job(pattern, tmp_path / "out.zarr").run(changed="recompute")
    assert again.computed == again.blocks > first.blocks
    dataset(3_000, 27_000).to_netcdf(tmp_path / "night3.nc")
    third = job(pattern, tmp_path / "out.zarr").run()
    assert 0 < third.found_done < third.blocks
    check(tmp_path / "out.zarr", dataset(30_000))


def test_files_on_worker_processes(tmp_path):
    write_nights(tmp_path, [8_000, 4_000])
    job(str(tmp_path / "night*.nc"), tmp_path / "out.zarr").run(workers=1)
    check(tmp_path / "out.zarr", dataset())


def test_packed_integers_of_a_file_are_decoded(tmp_path):
    whole = dataset()
    packed = {"dtype": "i2", "scale_factor": 1e-3, "_FillValue": -32768}
    whole.to_netcdf(tmp_path / "in.nc", encoding={"v": packed})
    job(tmp_path / "in.nc", tmp_path / "out.zarr").run()
    with xr.open_zarr(tmp_path / "out.zarr") as out, xr.open_dataset(tmp_path / "in.nc") as source:
        np.testing.assert_allclose(out.v, S(source.v.values), rtol=1e-4, atol=1e-5)


def test_maps_in_a_file_one_step_a_chunk(tmp_path):
    maps = np.random.default_rng(0).standard_normal((4, 64, 96)).astype("f4")
    whole = xr.Dataset({"v": (("time", "y", "x"), maps)})
    whole.v.encoding["chunksizes"] = (1, 64, 96)
    whole.to_netcdf(tmp_path / "in.nc")
    transform = Scattering2D(J=2, L=4)
    job(tmp_path / "in.nc", tmp_path / "out.zarr", transform, memory="300 MiB").run()
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        np.testing.assert_allclose(out.v, transform(maps), rtol=1e-3, atol=1e-4)


def test_references_to_chunks_of_other_files(tmp_path):
    """As kerchunk and VirtualiZarr write them, opened by fsspec."""
    values = dataset().v.values[0]
    (tmp_path / "old.bin").write_bytes(b"header" + values.tobytes())
    names = {
        "zarr_format": 2,
        "shape": [N],
        "chunks": [N],
        "dtype": "<f4",
        "compressor": None,
        "fill_value": None,
        "filters": None,
        "order": "C",
    }
    references = {
        ".zgroup": '{"zarr_format": 2}',
        "v/.zarray": json.dumps(names),
        "v/.zattrs": '{"_ARRAY_DIMENSIONS": ["time"]}',
        "v/0": [str(tmp_path / "old.bin"), 6, 4 * N],
    }
    (tmp_path / "references.json").write_text(json.dumps({"version": 1, "refs": references}))
    options = {"fo": str(tmp_path / "references.json"), "remote_protocol": "file"}
    one = job("reference://", tmp_path / "out.zarr", source_options=options)
    assert one.run().computed == one.plan().blocks
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        np.testing.assert_allclose(out.v, S(values), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunks", [(3, 7), (1, N), (1, 250)])
def test_short_chunks_and_one_huge_chunk(tmp_path, chunks):
    """A thousand chunks a slab are read in one call; a huge one is read once for each block."""
    whole = dataset(4_000 if chunks[1] == 7 else N)
    whole.v.encoding["chunks"] = tuple(map(min, chunks, whole.v.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole.to_zarr(tmp_path / "in.zarr")
    job(tmp_path / "in.zarr", tmp_path / "out.zarr").run()
    check(tmp_path / "out.zarr", whole)


def test_what_is_taken_for_files(tmp_path):
    (tmp_path / "a.nc").touch()
    assert source_of(tmp_path / "a.nc") == FileSource(
        str(tmp_path / "a.nc"), (str(tmp_path / "a.nc"),)
    )
    assert isinstance(source_of(tmp_path / "a.dat", engine="h5netcdf"), FileSource)
    assert not isinstance(source_of(tmp_path / "a.zarr"), FileSource)
    assert not isinstance(source_of("s3://bucket/a*.zarr"), FileSource)
    with pytest.raises(FileNotFoundError, match=r"no file has a name like .*b\*\.nc"):
        source_of(str(tmp_path / "b*.nc"))
    with pytest.raises(ValueError, match=r"'s3://bucket/a.nc' is the URL of a file"):
        source_of("s3://bucket/a.nc")
    with pytest.raises(FileNotFoundError, match="list of files"):
        source_of([])


def test_output_over_an_input_file(tmp_path):
    dataset().to_netcdf(tmp_path / "in.nc")
    with pytest.raises(ValueError, match="is the source itself"):
        job(tmp_path / "in.nc", tmp_path / "in.nc")
    with pytest.raises(ValueError, match="holds the source"):
        job(tmp_path / "in.nc", tmp_path)


def test_output_of_other_files(tmp_path):
    write_nights(tmp_path, [9_000, 9_000])
    job(tmp_path / "night0.nc", tmp_path / "out.zarr").run()
    with pytest.raises(OutputExistsError, match="source: "):
        job(tmp_path / "night1.nc", tmp_path / "out.zarr").run()
