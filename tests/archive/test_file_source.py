"""Sources that are files of other kinds than Zarr."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import netCDF4
import numpy as np
import pytest
import xarray as xr
from xarray.backends import NetCDF4BackendEntrypoint

from scatdask import Job, Scattering1D, Scattering2D
from scatdask.archive import file_source
from scatdask.archive.file_source import FileSource
from scatdask.archive.files import Folder
from scatdask.archive.locations import Location
from scatdask.archive.source import read_block
from scatdask.blocks import block_of
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
    return Job(source, target, transform, **{"memory": "180 MiB", **dims, **options})


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
    assert job(pattern, tmp_path / "out.zarr").verify().is_good  # of three nights
    third = job(pattern, tmp_path / "out.zarr").run()
    assert 0 < third.found_done < third.blocks
    check(tmp_path / "out.zarr", dataset(30_000))


def write_some(folder: Path, name: str, some: xr.Dataset, *, labels: bool = True) -> None:
    """Write a file, in the place of another maybe, which readers keep as it was."""
    (some if labels else some.drop_vars("time")).to_netcdf(folder / "new")
    (folder / "new").replace(folder / f"{name}.nc")


def check_recomputed(folder: Path, named: str, **options) -> None:
    """See that a run names a file; and that all is as if anew once it may compute again."""
    pattern = str(folder / "*.nc")
    with pytest.raises(SourceChangedError, match=rf"among them \S*{named}\.nc"):
        job(pattern, folder / "out.zarr", **options).run()
    again = job(pattern, folder / "out.zarr", **options).run(changed="recompute")
    assert again.computed == again.blocks
    job(pattern, folder / "fresh.zarr", **options).run()
    with xr.open_zarr(folder / "out.zarr") as out, xr.open_zarr(folder / "fresh.zarr") as fresh:
        xr.testing.assert_allclose(out, fresh, rtol=1e-6, atol=1e-6)
        assert set(out.coords) == set(fresh.coords)
    assert job(pattern, folder / "out.zarr", **options).run().computed == 0


def test_file_that_comes_before_the_last_of_an_axis_without_labels(tmp_path):
    """The last one is as it was, and its samples lie elsewhere."""
    options = {"source_options": {"combine": "nested", "concat_dim": "time"}}
    for name in (0, 2):
        write_some(tmp_path, f"part{name}", dataset(4_000, 4_000 * name), labels=False)
    job(str(tmp_path / "*.nc"), tmp_path / "out.zarr", **options).run()
    write_some(tmp_path, "part1", dataset(4_000, 4_000), labels=False)
    check_recomputed(tmp_path, "part1", **options)


@pytest.mark.parametrize("name", ["b", "d"])
def test_station_that_comes_between_others(tmp_path, name):
    """Wherever the list of files has it, it is its label that says where it lies."""
    stations = [dataset(4_000).isel(channel=[n]) for n in range(3)]
    write_some(tmp_path, "a", stations[0])
    write_some(tmp_path, "c", stations[2])
    job(str(tmp_path / "*.nc"), tmp_path / "out.zarr").run()
    write_some(tmp_path, name, stations[1])
    check_recomputed(tmp_path, name)


def test_months_whose_names_sort_otherwise_than_time(tmp_path):
    for number, name in enumerate(("jan", "feb", "mar", "apr")):
        write_some(tmp_path, name, dataset(9_000, 9_000 * number))
        run = job(str(tmp_path / "*.nc"), tmp_path / "out.zarr").run()
        if number > 1:  # the one block of each channel that there was had touched the end
            assert 0 < run.found_done < run.blocks
    check(tmp_path / "out.zarr", dataset(36_000))


def test_file_written_anew_on_the_night_when_another_arrives(tmp_path):
    months = [dataset().isel(time=slice(n, n + 4_000)) for n in (0, 4_000, 8_000)]
    write_some(tmp_path, "jan", months[0])
    write_some(tmp_path, "feb", months[1])
    job(str(tmp_path / "*.nc"), tmp_path / "out.zarr").run()
    write_some(tmp_path, "jan", months[0].assign(v=2 * months[0].v))
    write_some(tmp_path, "mar", months[2])
    check_recomputed(tmp_path, "jan")


def test_one_file_that_is_longer_may_be_another_from_its_beginning(tmp_path):
    write_some(tmp_path, "in", dataset(9_000))
    job(str(tmp_path / "*.nc"), tmp_path / "out.zarr").run()
    write_some(tmp_path, "in", dataset().assign(v=2 * dataset().v))
    check_recomputed(tmp_path, "in")


def test_files_that_may_fill_what_others_left_open(tmp_path):
    """Joined otherwise than exactly there may be gaps, and a file more may lie in one."""
    options = {"source_options": {"join": "outer"}}
    for number in range(2):
        write_some(tmp_path, f"part{number}", dataset(4_000, number * 4_000))
    job(str(tmp_path / "*.nc"), tmp_path / "out.zarr", **options).run()
    write_some(tmp_path, "part2", dataset(4_000, 8_000))
    check_recomputed(tmp_path, "part2", **options)


def test_records_of_before_paths_were_kept(tmp_path):
    write_nights(tmp_path, [8_000, 4_000])
    source = FileSource.of("*", [str(tmp_path / f"night{night}.nc") for night in (0, 1)])
    with source.open(decode_times=True) as opened:
        stored, now = source.survey(opened.v, "fill")
    assert len(source.changed(now, now, stored, stored.sizes)) == 0
    found = source.changed(now[1:, 1], now, stored, stored.sizes)
    assert found.tolist() == [[0], [1]]


def test_netcdf_keeps_little_of_a_jobs_files_and_as_much_as_before_of_others(tmp_path, monkeypatch):
    write_nights(tmp_path, [4_000, 4_000, 4_000])
    kept: list[int] = []

    class Opened(netCDF4.Dataset):
        def __init__(self, *arguments, **options):
            kept.append(netCDF4.get_chunk_cache()[0])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(netCDF4, "Dataset", Opened)
    before = netCDF4.get_chunk_cache()
    assert before[0] != file_source.KEPT_CHUNKS
    one = job(str(tmp_path / "night*.nc"), tmp_path / "out.zarr")
    with xr.set_options(file_cache_maxsize=1):  # all are opened again when they are read
        one.plan()
        planned = len(kept)
        one.run()
    assert set(kept) == {file_source.KEPT_CHUNKS}
    assert len(kept) > planned
    assert netCDF4.get_chunk_cache() == before


def test_files_on_worker_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(file_source, "_SHORT", 0)
    write_nights(tmp_path, [8_000, 4_000])
    job(str(tmp_path / "night*.nc"), tmp_path / "out.zarr").run(workers=1)
    check(tmp_path / "out.zarr", dataset())


def test_many_names_do_not_go_with_every_task(tmp_path):
    names = tuple(f"/archive/station/{day:05d}.nc" for day in range(10_000))
    source, ledger = FileSource("*.nc", names, "h5netcdf"), Folder(Location.of(tmp_path))
    sent = source.to_send(ledger, "1" * 32)
    assert len(pickle.dumps(sent)) < 2_000 < 100_000 < len(pickle.dumps(source))
    assert sent == sent.to_send(ledger, "1" * 32) == source.to_send(ledger, "1" * 32)
    assert len(list(tmp_path.iterdir())) == 1
    assert replace(source, files=names[:3]).to_send(ledger, "1" * 32).files == names[:3]


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


def test_output_over_any_of_the_input_files(tmp_path):
    write_nights(tmp_path, [9_000, 9_000])
    for path in sorted(tmp_path.glob("*.nc")):
        with pytest.raises(ValueError, match="is the source itself"):
            job(str(tmp_path / "*.nc"), path)
        with pytest.raises(ValueError, match="lies inside the source"):
            job(str(tmp_path / "*.nc"), path / "out.zarr")


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


class Counting(NetCDF4BackendEntrypoint):
    """An engine that says which files it was asked to open."""

    opened: ClassVar[list[str]] = []
    open_dataset_parameters = ("decode_times", "drop_variables")

    def open_dataset(self, filename_or_obj, **options):
        self.opened.append(filename_or_obj)
        time.sleep(0.05)  # the others ask meanwhile
        return super().open_dataset(filename_or_obj, **options)


@pytest.mark.parametrize("lengths", [[N], [8_000, 4_000]])
def test_threads_of_a_process_open_files_once(tmp_path, lengths):
    Counting.opened.clear()
    paths = [str(path) for path in write_nights(tmp_path, lengths)]
    source = FileSource("counted", tuple(paths), Counting)
    block, barrier = block_of(S, (N,), ((0, 6_400),)), threading.Barrier(4)

    def read(channel: int) -> np.ndarray:
        barrier.wait()
        batch = {"channel": slice(channel, channel + 1)}
        return read_block(source, "v", ("time",), block, batch, tmp_path.name)[0]

    with ThreadPoolExecutor(4) as threads:
        samples = list(threads.map(read, [0, 1, 2, 0]))
    np.testing.assert_array_equal(samples[0], samples[3])
    assert Counting.opened == paths
