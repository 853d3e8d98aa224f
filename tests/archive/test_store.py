from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from scatdask import Job, Scattering1D, labels
from scatdask.archive import chunking, store
from scatdask.archive.layout import Layout
from scatdask.archive.locations import Location, check_apart
from scatdask.archive.work import Task, run_task
from tests.archive.common import begin


@pytest.mark.parametrize(
    ("target", "relation"),
    [
        ("data/in.zarr", "is the source itself"),
        ("data/in.zarr/", "is the source itself"),
        ("data/../data/in.zarr", "is the source itself"),
        ("data/in.zarr/out.zarr", "lies inside the source"),
        ("data", "holds the source"),
        (".", "holds the source"),
    ],
)
def test_output_equal_to_inside_or_around_the_input(tmp_path, target, relation):
    source = tmp_path / "data" / "in.zarr"
    source.mkdir(parents=True)
    with pytest.raises(ValueError, match=relation):
        check_apart(Location.of(source), Location.of(f"{tmp_path}/{target}"))


def test_output_reached_through_a_link_is_still_the_input(tmp_path):
    source = tmp_path / "in.zarr"
    source.mkdir()
    (tmp_path / "link.zarr").symlink_to(source)
    with pytest.raises(ValueError, match="is the source itself"):
        check_apart(Location.of(source), Location.of(tmp_path / "link.zarr"))


def test_neighbours_with_a_common_beginning_are_fine(tmp_path):
    check_apart(Location.of(tmp_path / "a.zarr"), Location.of(tmp_path / "a.zarr2"))
    check_apart(Location.of(tmp_path / "a.zarr"), Location.of("memory://a.zarr"))


def empty_output(tmp_path, T=None):
    transform = Scattering1D(J=4, T=T)
    layout = Layout("v", ("time",), (1000,), ("channel",), (2,), (1,), (512,), (512,))
    source = xr.Dataset(
        {
            "v": (("channel", "time"), np.zeros((2, 1000), "f4")),
            "quality": ("time", np.array(["ok"] * 1000)),
            "gain": ("channel", [1.0, 2.0]),
        },
        coords={"time": np.arange(1000) * 0.5},
    )
    samplings = labels.samplings(source, ("time",))
    _, skipped = labels.choose(source, ("time",))
    dataset, names, encoding = store.template(source, transform, (layout,), samplings, skipped)
    target = Location.of(tmp_path / "out.zarr")
    store.create(target, dataset, encoding)
    return str(target), names


@pytest.mark.parametrize(
    ("T", "name", "statistics", "remedy"),
    [
        (0, "v_stride1", (), "ask for variable 'v' alone"),
        (None, "v_mean", ("count", "mean"), "ask for variable 'v' alone"),
        (None, "quantile", ("count", "quantiles"), "leave quantiles out"),
    ],
)
def test_names_that_the_output_needs(T, name, statistics, remedy):
    layout = Layout("v", ("time",), (1000,), ("channel",), (2,), (1,), (512,), (512,))
    source = xr.Dataset(
        {"v": (("channel", "time"), np.zeros((2, 1000), "f4")), name: ("channel", [1.0, 2.0])}
    )
    samplings = labels.samplings(source, ("time",))
    if name == "quantile":
        source = source.set_coords(name)
    with pytest.raises(ValueError, match=f"already has '{name}'.*rename it in the .*{remedy}"):
        store.template(source, Scattering1D(J=4, T=T), (layout,), samplings, {}, statistics)


def test_created_output_has_no_chunks_yet_and_nan_to_fill(tmp_path):
    target, names = empty_output(tmp_path)
    assert names == (("v",),)
    array = zarr.open_group(target, mode="r")["v"]
    assert np.isnan(array.fill_value)
    assert array.nchunks_initialized == 0
    assert array.chunks == (1, 13, 32)


def test_other_variables_are_kept_or_named_as_skipped(tmp_path):
    target, _ = empty_output(tmp_path)
    with xr.open_zarr(target) as out:
        np.testing.assert_array_equal(out.gain, [1.0, 2.0])
        assert "quality" not in out
        assert "quality" in out.attrs["scattering1d_skipped"]


def test_large_variables_are_named_instead_of_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_MOST_COPIED", 15)
    target, _ = empty_output(tmp_path)
    with xr.open_zarr(target) as out:
        assert "gain" not in out
        assert "gain (too large to be copied along)" in out.attrs["scattering1d_skipped"]


def test_block_of_nan_is_written_so_that_a_hole_is_a_hole(tmp_path):
    target, _ = empty_output(tmp_path)
    region = (slice(0, 1), slice(None), slice(0, 32))
    store.write(Location.of(target), "v", "0", region, np.full((1, 13, 32), np.nan, "f4"))
    assert zarr.open_group(target, mode="r")["v"].nchunks_initialized == 1


def test_bytes_as_stored_are_counted(tmp_path):
    target, _ = empty_output(tmp_path)
    region = (slice(0, 1), slice(None), slice(0, 64))
    values = np.random.default_rng(0).standard_normal((1, 13, 64)).astype("f4")
    stored = store.write(Location.of(target), "v", "0", region, values)
    files = [path for path in Path(target, "v", "c").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert stored == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("samples", [slice(16, 48), slice(0, 16), slice(0, 62)])
def test_part_of_a_chunk_is_not_written(tmp_path, samples):
    target, _ = empty_output(tmp_path)
    region = (slice(0, 1), slice(None), samples)
    with pytest.raises(ValueError, match="not whole shards of 32"):
        store.write(Location.of(target), "v", "0", region, np.ones((1, 13, 1), "f4"))


def test_last_chunk_is_whole_as_far_as_there_are_samples(tmp_path):
    target, _ = empty_output(tmp_path)
    region = (slice(0, 1), slice(None), slice(32, 63))
    store.write(Location.of(target), "v", "0", region, np.ones((1, 13, 31), "f4"))
    assert zarr.open_group(target, mode="r")["v"][0, :, 32:].sum() == 13 * 31


def test_each_rate_has_an_array_of_its_own(tmp_path):
    target, names = empty_output(tmp_path, T=0)
    assert names[0][:2] == ("v_stride1", "v_stride2")
    with xr.open_zarr(target) as out:
        assert out.v_stride2.dims == ("channel", "path_stride2", "time_stride2")


def long_output(tmp_path, transform, n=200_000):
    """Make an output of three long signals, two to a block."""
    layout = Layout("v", ("time",), (n,), ("channel",), (3,), (2,), (65_536,), (65_536,))
    source = xr.Dataset({"v": (("channel", "time"), np.zeros((3, n), "f4"))})
    samplings = labels.samplings(source, ("time",))
    dataset, names, encoding = store.template(source, transform, (layout,), samplings, {})
    target = Location.of(tmp_path / "out.zarr")
    store.create(target, dataset, encoding)
    return layout, target, zarr.open_group(str(target), mode="r"), names[0]


def objects(tmp_path, name):
    return [key for key in (tmp_path / "out.zarr" / name / "c").rglob("*") if key.is_file()]


def test_blocks_of_several_shards_and_edges_are_written_whole(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(chunking, "_LARGEST_SHARD", 3 * 2**20)
    transform = Scattering1D(J=4, stride=1)
    layout, target, group, (name,) = long_output(tmp_path, transform)
    (cut,) = layout.output_chunks(transform)
    assert (group[name].shards, group[name].chunks) == cut
    expected = rng.standard_normal(group[name].shape).astype("f4")
    for block in range(layout.n_blocks):
        place = store.region(layout, block, transform.outputs[0])
        store.write(target, name, "0", place, expected[place])
    np.testing.assert_array_equal(group[name][...], expected)
    shape = group[name].shape
    n_shards = np.prod([-(-n // s) for n, s in zip(shape, cut.shard, strict=True)])
    assert len(objects(tmp_path, name)) == n_shards > layout.n_blocks


def test_each_rate_is_cut_by_itself(tmp_path):
    transform = Scattering1D(J=4, T=0, max_order=1)
    layout, _, group, names = long_output(tmp_path, transform)
    cuts = layout.output_chunks(transform)
    assert {cut.is_sharded for cut in cuts} == {True, False}
    for name, cut in zip(names, cuts, strict=True):
        assert group[name].chunks == cut.chunk
        assert group[name].shards == (cut.shard if cut.is_sharded else None)


@pytest.mark.parametrize("n", [300, 200_000])
def test_a_bit_that_flips_on_the_disk_is_found(tmp_path, rng, n):
    transform = Scattering1D(J=4, stride=1)
    layout, target, group, (name,) = long_output(tmp_path, transform, n)
    assert (group[name].shards is None) == (n == 300)
    place = store.region(layout, 0, transform.outputs[0])
    values = rng.standard_normal(group[name].shape).astype("f4")[place]
    store.write(target, name, "0", place, values)
    (path,) = objects(tmp_path, name)
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 16
    path.write_bytes(stored)
    with pytest.raises(ValueError, match="checksum"):
        group[name][place]


def test_long_coordinates_are_copied_as_stored_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_LABELS", (100, 300))
    n = 20_000
    labelled = xr.Dataset(
        {"v": (("channel", "time"), np.zeros((2, n), "f4"))},
        coords={
            "time": xr.date_range("2024-01-01", periods=n, freq="10ms"),
            "depth": (("channel", "time"), np.arange(2.0 * n).reshape(2, n), {"units": "m"}),
        },
    )
    labelled.time.encoding.update(units="milliseconds since 2024-01-01", dtype="i4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        labelled.to_zarr(tmp_path / "in.zarr")
    job = Job(tmp_path / "in.zarr", tmp_path / "out.zarr", Scattering1D(J=4), dim="time")
    begin(job)
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert (group["time"].chunks, group["time"].shards) == ((100,), (300,))
    assert group["time"].dtype == "i4"
    assert group["depth"].chunks == (1, 100)
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        xr.testing.assert_identical(
            out.time.drop_vars("time"), labelled.time[::16].drop_vars("time")
        )
        np.testing.assert_array_equal(out.depth, labelled.depth[:, ::16])
        assert out.depth.attrs == {"units": "m"}


def test_workers_write_shards_and_no_metadata(tmp_path):
    source = xr.Dataset({"v": (("channel", "time"), np.zeros((2, 5000), "f4"))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        source.to_zarr(tmp_path / "in.zarr")
    work = begin(Job(tmp_path / "in.zarr", tmp_path / "out.zarr", Scattering1D(J=4), dim="time"))

    def files():
        found = [path for path in (tmp_path / "out.zarr").rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}

    before = files()
    run_task(work, Task(0, work.n_blocks - 1))
    after = files()
    assert {path: after[path] for path in before} == before
    assert {path.parts[-4] for path in after.keys() - before.keys()} == {"c"}
