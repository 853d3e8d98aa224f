"""Archives that get longer every night, and such as change in other ways."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Job, Scattering1D
from scatdask.archive import Reduction, store
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.work import Task, run_task
from scatdask.errors import OutputExistsError, ShortBlocksWarning, SourceChangedError
from scatdask.transforms import Transform
from tests.archive.common import begin, of_one_array
from tests.archive.toys import TOYS

S = Scattering1D(J=5, Q=2, dtype="float64")
NIGHT = 9_000


def samples(n: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, n))


def dataset(values: np.ndarray, start: int = 0, **channels: int) -> xr.Dataset:
    time = np.datetime64("2024-01-01", "ns") + np.arange(start, start + values.shape[1]) * 10**7
    first = channels.get("first", 0)
    return xr.Dataset(
        {"v": (("channel", "time"), values)},
        coords={"time": time, "channel": first + np.arange(values.shape[0])},
    )


def write(path: Path, values: np.ndarray, chunks: tuple[int, int] = (2, 2_000)) -> None:
    """Write an archive of which more is to come."""
    first = dataset(values)
    first.v.encoding["chunks"] = chunks
    first.time.encoding["units"] = "milliseconds since 2024-01-01"
    to_zarr(first, path, mode="w")


def append(path: Path, values: np.ndarray, start: int) -> None:
    """Write on along time."""
    to_zarr(dataset(values, start), path, append_dim="time")


def to_zarr(some: xr.Dataset, path: Path, **options: str) -> None:
    with warnings.catch_warnings():
        for category in (zarr.errors.ZarrUserWarning, zarr.errors.UnstableSpecificationWarning):
            warnings.filterwarnings("ignore", category=category)
        some.to_zarr(path, zarr_format=3, **options)  # type: ignore[call-overload]


def job(path: Path, transform: Transform = S, **options: str) -> Job:
    memory = {"memory": "160 MiB", **options}
    return Job(path, path.parent / "out.zarr", transform, dim="time", **memory)


def check(path: Path, transform: Transform = S, **options: str) -> None:
    """Compare the output with the transform of the whole source, and their labels."""
    with xr.open_zarr(path) as source, xr.open_zarr(path.parent / "out.zarr") as out:
        (expected,) = of_one_array(transform, source.v.load(), ("time",))
        np.testing.assert_allclose(out.v, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
        stride = transform.outputs[0].stride
        if stride is not None:
            np.testing.assert_array_equal(out.time, source.time[::stride])
        np.testing.assert_array_equal(out.channel, source.channel)
    assert job(path, transform, **options).verify(3).is_good


def test_nights_are_added_and_nothing_else_is_computed(tmp_path):
    path, values = tmp_path / "in.zarr", samples(3 * NIGHT)
    write(path, values[:, :NIGHT])
    first = job(path)
    before = first.run()
    length = first.plan().layouts[0].lengths[0]
    assert before.blocks >= 4  # or else there is nothing to keep
    for night in (1, 2):
        stop = (night + 1) * NIGHT
        append(path, values[:, night * NIGHT : stop], night * NIGHT)
        again = job(path).run()
        rows = -(-3 // first.plan().layouts[0].batch_block[0])
        # Blocks that end, with their halo, before the former end are kept.
        kept = max(night * NIGHT - S.halo, 0) // length * rows
        assert (again.found_done, again.blocks) == (kept, rows * -(-stop // length))
        assert again.computed == again.blocks - kept
        check(path)
    assert job(path).run().computed == 0
    ledger = Ledger(first.request.target)
    history = ledger.history(ledger.read()["output"], again.blocks)
    assert (history["last"] - history["first"] + 1).sum() == again.blocks


def test_memory_that_was_enough_is_enough_for_the_filters_of_more_lengths(tmp_path):
    path, values = tmp_path / "in.zarr", samples(NIGHT + 1_111)
    write(path, values[:, :NIGHT])
    needed = job(path).plan().peak_memory
    job(path, memory=needed).init()
    append(path, values[:, NIGHT:], NIGHT)
    longer = job(path, memory=needed)
    assert needed < longer.plan().peak_memory < 1.1 * needed
    assert longer.run().computed
    with pytest.raises(MemoryError, match="begun with blocks for which a worker needs"):
        job(path, memory=needed - 1).plan()


def test_growth_of_an_unfinished_job_keeps_what_is_done(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT])
    plan = job(path).init()
    job(path).run(blocks=(0, 2))
    append(path, values[:, NIGHT:], NIGHT)
    with pytest.raises(OutputExistsError, match=r"shorter source: .* with init\(\), first"):
        job(path).run(blocks=(0, 2))
    assert job(path).init().blocks > plan.blocks
    assert job(path).run().found_done == 1  # the second one had touched the end
    check(path)


@pytest.mark.parametrize("reduce", [None, Reduction("30s")])
def test_what_is_done_is_verified_and_finished_when_the_source_is_longer(tmp_path, reduce):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT, channels=4)
    write(path, values[:3, :NIGHT])
    options = {} if reduce is None else {"reduce": reduce}
    blocks = job(path, **options).init().blocks
    job(path, **options).run(blocks=(0, blocks))
    append(path, values[:3, NIGHT:], NIGHT)
    to_zarr(dataset(values[3:], first=3), path, append_dim="channel")
    assert job(path, **options).finalise().is_complete
    found = job(path, **options).verify(blocks)
    assert found.is_good
    assert (found.blocks, found.checked) == (blocks, blocks)
    again = job(path, **options).run()
    assert 0 < again.found_done < blocks < again.blocks
    assert job(path, **options).verify(3).is_good


@pytest.mark.parametrize(
    "transform",
    [
        Scattering1D(J=5, Q=2, T="global", dtype="float64"),
        Scattering1D(J=5, Q=2, boundary="periodic", dtype="float64"),
    ],
)
def test_what_a_new_end_changes_everywhere_is_computed_anew(tmp_path, transform):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT])
    job(path, transform).run()
    append(path, values[:, NIGHT:], NIGHT)
    job(path, transform).run()
    check(path, transform)


def test_new_stations_are_added(tmp_path):
    path, values = tmp_path / "in.zarr", samples(NIGHT, channels=8)
    write(path, values[:4])
    first = job(path).run()
    to_zarr(dataset(values[4:], first=4), path, append_dim="channel")
    second = job(path).run()
    assert (second.blocks, second.found_done) == (2 * first.blocks, first.blocks)
    check(path)


def stations(stop: int = 3, length: int = 3_000, start: int = 0, first: int = 0) -> xr.Dataset:
    """Return signals of stations, and what else is known of these."""
    part = dataset(samples(3_000)[first:stop, start:length], start, first=first)
    part.v.attrs["units"] = "m/s"
    names = np.array(["east", "north", "west"])[first:stop]
    height, code = (("channel", values) for values in (np.arange(first, stop) * 1.5, names))
    return part.assign(height=height, depth=0.5).assign_coords(code=code)


def opened(target: Path | str) -> xr.Dataset:
    """Return all of an output, be it plain Zarr or what a repository has published."""
    place: object = target
    if str(target).startswith("icechunk+"):
        place = Location.of(str(target)).repository.store()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.UnstableSpecificationWarning)
        with xr.open_zarr(place, consolidated=False) as out:
            return out.load()


@pytest.mark.filterwarnings("ignore::scatdask.errors.ShortBlocksWarning")
@pytest.mark.parametrize("kind", ["plain", "reduced", "icechunk"])
def test_output_that_grew_is_that_of_a_fresh_run_with_copies_and_attributes(tmp_path, kind, capfd):
    path = tmp_path / "in.zarr"
    target: Path | str = tmp_path / "out.zarr"
    if kind == "icechunk":
        pytest.importorskip("icechunk")
        target = f"icechunk+file://{tmp_path}/out"
    options = {"reduce": Reduction("30s")} if kind == "reduced" else {}
    transform = Scattering1D(J=4, max_order=1, dtype="float64")
    to_zarr(stations(2, 300), path, mode="w")
    Job(path, target, transform, dim="time", **options).run(scheduler="synchronous")
    to_zarr(stations(2, start=300), path, append_dim="time")
    to_zarr(stations(first=2), path, append_dim="channel")
    Job(path, target, transform, dim="time", **options).run(scheduler="synchronous")
    Job(path, tmp_path / "fresh.zarr", transform, dim="time", **options).run(
        scheduler="synchronous"
    )
    out, fresh = opened(target), opened(tmp_path / "fresh.zarr")
    xr.testing.assert_allclose(out, fresh, rtol=1e-6, atol=1e-9)
    xr.testing.assert_identical(xr.zeros_like(out), xr.zeros_like(fresh))
    assert out.height.values.tolist() == [0.0, 1.5, 3.0]
    assert out.code.values.tolist() == ["east", "north", "west"]
    capfd.readouterr()  # Icechunk tells of disks what is true of them


@pytest.mark.parametrize("ledger", ["of now", "of before"])
@pytest.mark.parametrize("begun", [None, "v"])
def test_what_is_copied_is_what_the_job_was_begun_with(tmp_path, begun, ledger):
    path, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    transform = Scattering1D(J=4, max_order=1)
    to_zarr(stations(2, 300), path, mode="w")
    if begun is not None:  # or nothing tells the one from the other
        more = xr.Dataset({"w": stations(3).v.rename(channel="other")})
        to_zarr(more[["w"]].isel(time=slice(300)).drop_vars("code"), path, mode="a")
    Job(path, target, transform, dim="time", variable=begun).init()
    if ledger == "of before":
        held = Ledger(Location.of(target))
        held.write({k: v for k, v in held.read().items() if k != "variable"})
    to_zarr(stations(first=2)[["v", "height"]].isel(time=slice(300)), path, append_dim="channel")
    Job(path, target, transform, dim="time", variable="v").init()
    out = opened(target)
    assert out.sizes["channel"] == 3
    assert ("height" in out) == (begun is None)
    assert Ledger(Location.of(target)).read()["variable"] == begun


def test_array_of_others_along_what_gets_longer_is_named(tmp_path):
    path, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    transform = Scattering1D(J=4, max_order=1)
    to_zarr(stations(2, 300), path, mode="w")
    Job(path, target, transform, dim="time").init()
    to_zarr(xr.Dataset({"mine": ("channel", [1, 2])}), target, mode="a")
    to_zarr(stations(first=2).isel(time=slice(300)), path, append_dim="channel")
    with pytest.raises(OutputExistsError, match="holds 'mine' of the length of before"):
        Job(path, target, transform, dim="time").init()
    assert opened(target).sizes["channel"] == 2


def test_copy_that_became_too_large_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_MOST_COPIED", 16)
    path, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    transform = Scattering1D(J=4, max_order=1)
    to_zarr(stations(2, 300), path, mode="w")
    Job(path, target, transform, dim="time").init()
    assert "height" in opened(target)
    to_zarr(stations(first=2).isel(time=slice(300)), path, append_dim="channel")
    Job(path, target, transform, dim="time").init()
    assert "height (too large" in opened(target).attrs["scattering1d_skipped"]


def test_archive_of_one_block_keeps_its_shards_when_there_are_two(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT], (3, 2_000))
    assert job(path, memory="1 GiB").run().blocks == 1
    shards = zarr.open_group(path.parent / "out.zarr", mode="r")["v"].shards
    append(path, values[:, NIGHT:], NIGHT)
    assert job(path, memory="1 GiB").run().blocks == 2
    assert zarr.open_group(path.parent / "out.zarr", mode="r")["v"].shards == shards
    check(path, memory="1 GiB")


def test_blocks_of_an_archive_that_was_short_are_dear_on_a_long_one(tmp_path):
    transform = Scattering1D(J=7, Q=1, dtype="float64")
    path, values = tmp_path / "in.zarr", samples(24_000, channels=1)
    write(path, values[:, :2_000])
    one = job(path, transform, memory="300 MiB")
    one.init()
    append(path, values[:, 2_000:], 2_000)
    with pytest.warns(ShortBlocksWarning, match="overwrite=True to begin anew"):
        before = one.plan()
    with pytest.warns(ShortBlocksWarning):
        assert one.init().blocks == before.blocks
    one.init(overwrite=True)
    assert before.bytes_read > 1.5 * one.plan().bytes_read  # which says nothing more


@pytest.mark.parametrize("moment", ["extend", "begin", "keep", "tidy"])
def test_run_that_dies_while_it_extends_the_output(tmp_path, monkeypatch, moment):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT])
    job(path).run()
    append(path, values[:, NIGHT:], NIGHT)
    place = store if moment == "extend" else Ledger
    real = getattr(place, moment)

    def dies(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, moment, dies)
        with pytest.raises(KeyboardInterrupt):
            job(path).run()
    again = job(path).run()
    assert 0 < again.found_done < again.blocks
    check(path)


def test_chunks_that_were_written_anew_are_named_and_their_blocks_computed_again(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values)
    blocks = job(path).run().blocks
    group = zarr.open_group(path, mode="r+")
    group["v"][2, 4_100:4_200] = 0.0
    with pytest.raises(
        SourceChangedError, match=r'1 chunks or files of .*c/1/2.*changed="recompute"'
    ):
        job(path).run()
    report = job(path).run(changed="recompute")
    assert 0 < report.computed < blocks / 2
    check(path)
    assert job(path).run().computed == 0
    with pytest.raises(ValueError, match="must be"):
        job(path).run(changed="ignore")


def test_worker_of_before_a_change_can_do_no_harm_after_it(tmp_path):
    """One that has read the old samples, and is slow to write what it made of them."""
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values)
    job(path).run()
    slow = begin(job(path))
    zarr.open_group(path, mode="r+")["v"][2, 4_100:4_200] = 0.0
    job(path).run(changed="recompute")
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        run_task(slow, Task(0, slow.n_blocks - 1))
    check(path)


def test_runs_that_share_blocks_notice_a_change_too(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values)
    blocks = job(path).init().blocks
    job(path).run(blocks=(0, 2))
    zarr.open_group(path, mode="r+")["v"][2, 4_100:4_200] = 0.0
    with pytest.raises(SourceChangedError, match="c/1/2"):
        job(path).run(blocks=(2, blocks))
    job(path).init(changed="recompute")
    job(path).run(blocks=(0, blocks))
    assert job(path).finalise().is_complete
    check(path)


def set_attribute(path: Path, name: str, value: object) -> None:
    zarr.open_group(path, mode="r+")["v"].attrs[name] = value
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(path)


def test_attribute_that_tells_how_far_the_archive_goes(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT])
    job(path).run()
    append(path, values[:, NIGHT:], NIGHT)
    set_attribute(path, "actual_range", [-4.0, 4.0])
    assert job(path).run().found_done > 0
    set_attribute(path, "scale_factor", 0.5)
    with pytest.raises(OutputExistsError, match="source has changed"):
        job(path).run()


def test_archive_that_grew_and_was_changed_elsewhere(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values[:, :NIGHT])
    job(path).run()
    append(path, values[:, NIGHT:], NIGHT)
    zarr.open_group(path, mode="r+")["v"][0, 100] = 5.0
    with pytest.raises(SourceChangedError, match="c/0/0"):
        job(path).run()
    assert job(path).run(changed="recompute").found_done > 0
    check(path)


def test_archive_that_got_shorter(tmp_path):
    path, values = tmp_path / "in.zarr", samples(2 * NIGHT)
    write(path, values)
    job(path).run()
    write(path, values[:, :NIGHT])
    with pytest.raises(OutputExistsError, match=f"had {2 * NIGHT} samples along 'time'"):
        job(path).run()


@st.composite
def growths(draw):
    """Draw a toy, its source's chunks and blocks, and lengths that it has one after the other."""
    boundary = draw(st.sampled_from(["reflect", "periodic", "zero", "nearest"]))
    transform = TOYS[1](kind=draw(st.sampled_from(["mean", "sum", "inner"])), boundary=boundary)
    lengths = np.cumsum(draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))).tolist()
    chunks = (draw(st.integers(1, 2)), draw(st.integers(1, 30)))
    return transform, lengths, chunks, 4 * draw(st.integers(1, 8))


@given(growths())
@settings(max_examples=6, deadline=None)
def test_nights_of_any_length_give_what_one_run_gives(tmp_path_factory, drawn):
    transform, lengths, chunks, size = drawn
    path = tmp_path_factory.mktemp("nights") / "in.zarr"
    values = samples(lengths[-1])
    write(path, values[:, : lengths[0]], chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scatdask.archive.blocking.block_lengths", lambda *_, **__: (size,))
        for before, stop in zip([0, *lengths], lengths, strict=False):
            if before:
                append(path, values[:, before:stop], before)
            job(path, transform).run(scheduler="synchronous")
            with xr.open_zarr(path.parent / "out.zarr") as out:
                (expected,) = of_one_array(transform, xr.DataArray(values[:, :stop]), ("dim_1",))
                np.testing.assert_allclose(out.v.transpose("channel", ...), expected, atol=1e-12)
