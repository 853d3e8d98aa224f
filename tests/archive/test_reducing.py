"""Jobs that reduce: whatever the blocks, the statistics are those of the whole array."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

import scatdask
from scatdask import Job, Reduction, Scattering1D, TimeFrequencyScattering
from scatdask.archive import reducing, sketch, write_report
from scatdask.archive.windows import Windows
from scatdask.errors import (
    MissingChunksError,
    OutputBusyError,
    OutputExistsError,
    StatesRemadeWarning,
)
from scatdask.labels import output_names
from tests.archive.common import begin, forget
from tests.archive.reduced import ALL, S, reducing_job, signals, write


def run(folder: Path, dataset: xr.Dataset, transform=S, reduction=ALL, **options) -> xr.Dataset:
    source = write(folder / "in.zarr", dataset, **options)
    job = Job(source, folder / "out.zarr", transform, dim="time", reduce=reduction)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scatdask.errors.NonFiniteWarning)
        job.run()
    return xr.open_zarr(folder / "out.zarr").load()


def check(out: xr.Dataset, coefficients: xr.DataArray, window: str, reduction=ALL) -> None:
    """Compare with numpy on the whole array."""
    starts = pd.Series(1, coefficients.time.values).resample(window).count()
    np.testing.assert_array_equal(out.time, starts.index.values)
    edges = np.concatenate([[0], np.cumsum(starts.values)])
    for place in range(len(starts)):
        x = coefficients.isel(time=slice(edges[place], edges[place + 1])).values
        got = out.isel(time=place)
        np.testing.assert_array_equal(got.v_count, np.isfinite(x).sum(-1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of windows without a number
            scale = np.nanmax(np.abs(x), axis=-1)
            scale = np.nan_to_num(scale, nan=1.0)
            np.testing.assert_array_less(
                np.nan_to_num(got.v_mean - np.nanmean(x, -1)), 1e-6 * scale
            )
            off = np.abs(got.v_variance - np.nanvar(x, -1))
            np.testing.assert_array_less(np.nan_to_num(off), 1e-6 * scale**2)
            np.testing.assert_allclose(got.v_maximum, np.nanmax(x, -1), rtol=1e-6, atol=1e-9)
            exact = np.nanquantile(x, reduction.quantiles, axis=-1, method="lower")
        allowed = 1.0001 * sketch.RELATIVE_ACCURACY * np.abs(exact)
        allowed = np.maximum(allowed, sketch.ABSOLUTE_ACCURACY * scale)
        off = np.abs(got.v_quantiles.values - exact)
        assert (np.nan_to_num(off) <= np.nan_to_num(allowed)).all()
        np.testing.assert_array_equal(np.isnan(got.v_quantiles), np.isnan(exact))


@pytest.mark.parametrize("window", ["1h", "1D", "7min"])
def test_statistics_are_those_of_the_whole_array(tmp_path, small_blocks, window):
    dataset = signals()
    reduction = Reduction(window, ALL.statistics, ALL.quantiles)
    out = run(tmp_path, dataset, reduction=reduction)
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        full = scatdask.scattering1d(dataset, J=5, Q=2, stride=8, dtype="float64", dim="time").v
    check(out, full, window, reduction)
    assert out.v_quantiles.dims == ("quantile", "station", "path", "time")
    assert out.v_mean.attrs["units"] == "m/s"
    assert out.v_variance.attrs["units"] == "(m/s)^2"
    told = {str(name): array.attrs["window_statistic"] for name, array in out.data_vars.items()}
    assert told == {f"v_{what}": what for what in ("count", *reduction.statistics)}
    np.testing.assert_array_equal(out.station, [4, 5, 6])
    assert "height" not in out.coords
    assert "order" in out.coords


def test_statistics_do_not_depend_on_blocks(tmp_path, monkeypatch):
    dataset = signals()
    (tmp_path / "long").mkdir()
    long = run(tmp_path / "long", dataset)
    assert (
        Job(
            tmp_path / "long" / "in.zarr", tmp_path / "long" / "out.zarr", S, dim="time", reduce=ALL
        )
        .plan()
        .blocks
        == 2
    )
    monkeypatch.setattr("scatdask.blocks.sizing._SMALLEST", 2**11)
    monkeypatch.setattr("scatdask.blocks.sizing.HALO_OVERHEAD", 0.5)
    monkeypatch.setattr(reducing, "_MERGED", 2**18)  # and the merge goes step by step
    (tmp_path / "short").mkdir()
    short = run(tmp_path / "short", dataset, chunks=(1, 2000))
    xr.testing.assert_allclose(short, long, rtol=1e-6, atol=1e-8)
    xr.testing.assert_equal(short.v_count, long.v_count)
    # A coefficient on the edge of a bin may fall into the next one.
    differs = short.v_quantiles != long.v_quantiles.where(short.v_quantiles.notnull())
    assert (differs & short.v_quantiles.notnull()).mean() < 1e-3


@pytest.mark.parametrize(
    "transform",
    [
        Scattering1D(J=5, Q=2, T=0, max_order=1, dtype="float64"),
        TimeFrequencyScattering(J=6, J_fr=2, Q=4, format="joint", dtype="float64"),
    ],
)
def test_paths_at_their_own_rates_and_inner_axes(tmp_path, transform):
    dataset = signals(6000).drop_vars(["time", "height"])
    reduction = Reduction(1000, ("mean",))
    out = run(tmp_path, dataset, transform, reduction)
    np.testing.assert_array_equal(out.time, np.arange(0, 6000, 1000))
    plain = Job(tmp_path / "in.zarr", tmp_path / "plain.zarr", transform, dim="time")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scatdask.errors.NonFiniteWarning)
        plain.run()
    with xr.open_zarr(tmp_path / "plain.zarr") as full:
        for output, name in zip(transform.outputs, output_names("v", transform), strict=True):
            values = full[name].values
            for window in (0, 5):
                at = np.arange(values.shape[-1]) * output.stride // 1000 == window
                np.testing.assert_allclose(
                    out[f"{name}_mean"][..., window],
                    values[..., at].mean(-1),
                    rtol=1e-9,
                    atol=1e-12,
                )


@pytest.mark.parametrize("name", ["v_mean", "quantile"])
def test_names_that_statistics_need(tmp_path, name):
    dataset = signals().assign({name: ("station", [7.0, 8.0, 9.0])})
    source = write(tmp_path / "in.zarr", dataset)
    with pytest.raises(ValueError, match=f"already has '{name}', which names a"):
        Job(source, tmp_path / "out.zarr", S, dim="time", reduce=ALL).plan()


def test_coefficients_are_never_written(tmp_path):
    out = run(tmp_path, signals(), reduction=Reduction("1D", ("mean",)))
    assert set(out.data_vars) == {"v_count", "v_mean"}
    held = zarr.open_group(tmp_path / "out.zarr.partials", mode="r")
    assert sorted(held.group_keys()) == ["v"]
    assert sorted(held["v"].array_keys()) == ["count", "mean"]


def test_share_of_nan_is_that_of_the_coefficients(tmp_path):
    source = write(tmp_path / "in.zarr", signals())
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        plain = Job(source, tmp_path / "plain.zarr", S, dim="time").run()
        reduced = Job(source, tmp_path / "out.zarr", S, dim="time", reduce=ALL).run()
    assert 0 < reduced.nan_outputs == plain.nan_outputs < 0.1
    page = write_report(tmp_path / "out.zarr").read_text("utf-8")
    assert f"{100 * plain.nan_outputs:.1f}" in page.partition("of the coefficients")[0][-40:]


@pytest.fixture
def job(tmp_path, small_blocks):
    return reducing_job(tmp_path)


def test_run_goes_on_and_merges_when_all_is_there(job, tmp_path):
    plan = job.plan()
    assert plan.blocks > 5
    assert plan.output_shapes()["v_mean"] == (3, S.n_paths, 4)
    assert "states" in plan.memory_parts()
    assert "v_quantiles" in str(plan)
    job.init()
    job.run(blocks=(0, 3))
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        assert out.v_mean.isnull().all()
    job.run(blocks=(3, plan.blocks))
    assert job.status().is_complete
    assert "not merged into the output yet" in str(job.status())
    assert "not merged into the output yet" in job._repr_html_()
    ended = job.finalise()
    assert (ended.is_complete, ended.is_merged, ended.hint) == (True, True, "")
    first = xr.open_zarr(tmp_path / "out.zarr").load()
    assert not first.v_mean.isnull().any()
    forget(job, slice(2, 5))
    assert job.run().computed == 3
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out.zarr").load(), first)


def test_merge_that_was_killed_starts_over(job, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reducing, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            job.run()
    assert job.status().is_complete
    assert not job.status().is_merged
    assert job.run().computed == 0
    assert job.status().is_merged
    assert not xr.open_zarr(tmp_path / "out.zarr").v_mean.isnull().any()


def test_forgotten_block_is_merged_whoever_computes_it(job, tmp_path):
    blocks = job.run().blocks
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        before = out.load()
    chunks = tmp_path / "out.zarr.partials" / "v" / "mean" / "c"
    next(p for p in chunks.rglob("*") if p.is_file()).unlink()
    (bad,) = job.verify(1).bad
    job.run(blocks=(bad, bad + 1))
    job.run()
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        xr.testing.assert_identical(out.load(), before)
    assert job.status().done == blocks


def test_another_reduction_is_another_job(job):
    job.run()
    other = Job(
        job.request.source.url,
        job.request.target.url,
        S,
        dim="time",
        reduce=Reduction("2h", ALL.statistics),
    )
    with pytest.raises(OutputExistsError, match=r"reduction: .*'window': '1h'"):
        other.run()


def test_ledger_of_before_states_had_slots(job, tmp_path):
    job.run()
    ledger = tmp_path / "out.zarr.ledger" / "job.json"
    record = json.loads(ledger.read_text())
    del record["slots"]
    ledger.write_text(json.dumps(record))
    for act in (job.run, job.verify, job.finalise):
        with pytest.raises(OutputExistsError, match=r"earlier version.*states.*overwrite=True"):
            act()
    assert job.status().is_complete
    assert job.run(overwrite=True).computed == job.plan().blocks


def test_ledger_of_before_named_quantiles_that_no_statistic_asked_for(job, tmp_path):
    places = job.request.source.url, job.request.target.url
    means = Job(*places, S, dim="time", reduce=Reduction("1D", ("mean",)))
    means.init()
    ledger = tmp_path / "out.zarr.ledger" / "job.json"
    record = json.loads(ledger.read_text())
    assert record["reduction"].pop("quantiles") == []
    record["reduction"]["quantiles"] = [0.5]
    ledger.write_text(json.dumps(record))
    means.init()
    assert json.loads(ledger.read_text()) == record  # nothing was made anew


def lengthen(source: Path, first: int = 9_000) -> None:
    later = signals().fillna(0.0).isel(time=slice(first, None)).drop_vars("station")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        later.to_zarr(source, append_dim="time")


def test_longer_source_adds_windows(tmp_path, small_blocks):
    short = signals().fillna(0.0).isel(time=slice(0, 9_000))
    source = write(tmp_path / "in.zarr", short, (2, 3000))
    job = Job(source, tmp_path / "out.zarr", S, dim="time", reduce=ALL)
    job.run()
    lengthen(source)
    blocks = job.plan().blocks
    assert 0 < job.run().computed < blocks
    fresh = Job(source, tmp_path / "fresh.zarr", S, dim="time", reduce=ALL)
    fresh.run()
    with xr.open_zarr(tmp_path / "out.zarr") as out, xr.open_zarr(tmp_path / "fresh.zarr") as new:
        xr.testing.assert_identical(out.load(), new.load())


def grown(folder: Path) -> tuple[zarr.Array, xr.Dataset]:
    """Begin with ten windows, go on with forty; an array of the output, and all of it."""
    source = write(folder / "in.zarr", signals().fillna(0.0).isel(time=slice(0, 3_000)))
    reduction = Reduction("300s", ("maximum",))
    job = Job(source, folder / "out.zarr", S, dim="time", reduce=reduction)
    job.run()
    lengthen(source, 3_000)
    job.run()
    with xr.open_zarr(folder / "out.zarr") as out:
        return zarr.open_group(folder / "out.zarr", mode="r")["v_maximum"], out.load()


def test_output_that_was_short_once_has_chunks_for_what_comes(tmp_path, monkeypatch):
    array, out = grown(tmp_path)
    assert array.shape[-1] == 41
    assert array.cdata_shape[-1] == 1
    assert array.nbytes < np.prod(array.chunks) * array.dtype.itemsize <= 2**20
    # One of before keeps its short chunks, and several of them are merged at once.
    (tmp_path / "old").mkdir()
    writes, write_box = [], reducing._write
    monkeypatch.setattr(reducing, "_CHUNK", 0)
    monkeypatch.setattr(reducing, "_write", lambda *a: (writes.append(a), write_box(*a)))
    array, old = grown(tmp_path / "old")
    assert array.cdata_shape[-1] == 4
    assert len(writes) == 2 * 2  # of two boxes of signals, twice
    xr.testing.assert_identical(old, out)


def test_longer_source_whose_blocks_touch_more_windows_says_so(tmp_path, monkeypatch):
    """As where labels are so uneven that a later window has fewer samples than any before."""
    short = signals().fillna(0.0).isel(time=slice(0, 9_000))
    job = Job(write(tmp_path / "in.zarr", short), tmp_path / "out.zarr", S, dim="time", reduce=ALL)
    job.run()
    lengthen(tmp_path / "in.zarr")
    needed = Windows.slots
    monkeypatch.setattr(Windows, "slots", lambda *arguments: needed(*arguments) + 1)
    with pytest.warns(StatesRemadeWarning, match="all are computed anew"):
        report = job.run()
    assert report.computed == report.blocks
    assert job.verify().is_good


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (scatdask.Scattering2D(J=2), "goes over 2 dimensions"),
        (Scattering1D(J=4, T="global"), "one number for a whole signal"),
    ],
)
def test_what_cannot_be_reduced(tmp_path, transform, message):
    dims = ("station", "time")[-transform.ndim :]
    source = write(tmp_path / "in.zarr", signals().fillna(0))
    job = Job(source, tmp_path / "out.zarr", transform, dims=dims, reduce=ALL)
    with pytest.raises(ValueError, match=message):
        job.plan()


def test_blocks_leave_room_for_the_states_of_windows(tmp_path):
    source = write(tmp_path / "in.zarr", signals().fillna(0))

    def plan(window, memory):
        reduction = Reduction(window, ("quantiles",))
        out = tmp_path / "out.zarr"
        return Job(source, out, S, dim="time", memory=memory, reduce=reduction).plan()

    assert plan("10s", "4 GiB").memory_parts()["states"] > 256 * 2**20
    assert plan("10s", "256 MiB").peak_memory <= 256 * 2**20
    with pytest.raises(MemoryError, match=r"states .* MiB.*leave out quantiles, or take longer"):
        plan("1s", "200 MiB")


def test_workers_of_another_run_see_the_same_windows(job):
    work = begin(job)
    assert reducing._windows(reducing.partials(work.target), work.run).samples[-1] == 12_000


def test_merge_without_the_states_of_a_block_is_refused(job, tmp_path):
    job.run()
    states = tmp_path / "out.zarr.partials" / "v" / "mean" / "c"
    next(path for path in states.rglob("*") if path.is_file()).unlink()
    with pytest.raises(MissingChunksError):
        job.finalise()


def test_what_lies_where_states_go_is_left_alone(job, tmp_path):
    (tmp_path / "out.zarr.partials").mkdir()
    (tmp_path / "out.zarr.partials" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds something that is not Zarr"):
        job.run()
    assert (tmp_path / "out.zarr.partials" / "notes.txt").read_text() == "mine"


def test_output_without_states_in_the_place_of_one_with_them_leaves_none(job, tmp_path):
    job.init()
    plain = Job(tmp_path / "in.zarr", tmp_path / "out.zarr", S, dim="time")
    states = tmp_path / "out.zarr.partials"
    plain.init(overwrite=True)
    assert not states.exists()
    xr.Dataset({"mine": ("x", [1.0])}).to_zarr(states, zarr_format=2)
    plain.init(overwrite=True)
    assert (states / "mine").exists()


def test_processes_reduce_as_threads_do(job, tmp_path, cluster):
    job.run(cluster)
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        by_processes = out.load()
    job.run(overwrite=True)
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        xr.testing.assert_identical(out.load(), by_processes)


def test_run_that_lost_its_lock_while_it_merged_records_nothing(tmp_path, monkeypatch):
    write(tmp_path / "in.zarr", signals().fillna(0))
    job = Job(tmp_path / "in.zarr", tmp_path / "out.zarr", S, dim="time", reduce=ALL)
    merge, ledger = reducing.merge, tmp_path / "out.zarr.ledger"

    def slow(work):
        merge(work)
        lock = json.loads((ledger / "lock.json").read_text())
        (ledger / "lock.json").write_text(json.dumps({**lock, "run": "another"}))

    with monkeypatch.context() as patch:
        patch.setattr(reducing, "merge", slow)
        with pytest.raises(OutputBusyError, match="taken this output over"):
            job.run()
    assert not json.loads((ledger / "job.json").read_text()).get("is_merged")
    (ledger / "lock.json").unlink()
    job.run()
    assert json.loads((ledger / "job.json").read_text())["is_merged"]
