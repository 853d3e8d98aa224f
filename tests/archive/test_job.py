from __future__ import annotations

import concurrent.futures
import os
import shutil
import threading
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr

import scatdask
from scatdask import Job, Scattering1D
from scatdask.archive import store
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.lock import Lock
from scatdask.archive.work import Task, run_task
from scatdask.errors import (
    BlocksFailedError,
    MissingChunksError,
    NonFiniteWarning,
    OutputBusyError,
    OutputExistsError,
    SourceChangedError,
)
from tests.archive.common import begin, forget
from tests.archive.conftest import S, make_job


def snapshot(folder) -> dict[str, tuple[int, float]]:
    """Return size and time of change of every file below a folder."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime)
        for path in folder.rglob("*")
        if path.is_file()
    }


def less_memory(source) -> int:
    """Return memory with which blocks are smaller than by default."""
    return make_job(source).plan().peak_memory - 2**20


# What a job does


def test_job_gives_what_the_function_gives_on_the_opened_dataset(archive):
    report = make_job(archive).run()
    assert report.computed == report.blocks
    with xr.open_zarr(archive) as source, xr.open_zarr(archive.parent / "out.zarr") as out:
        expected = scatdask.scattering1d(source.load(), J=6, Q=2, dim="time")
        xr.testing.assert_allclose(out.load(), expected, rtol=1e-4, atol=1e-6)
        for name, coordinate in expected.coords.items():
            xr.testing.assert_identical(out[name].variable, coordinate.variable)
        assert out.velocity.attrs == expected.velocity.attrs
        assert out.attrs == expected.attrs


def test_output_opens_without_warnings(archive):
    make_job(archive).run()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xr.open_zarr(archive.parent / "out.zarr").close()


def test_input_is_never_written_to(archive):
    before = snapshot(archive)
    job = make_job(archive)
    job.plan()
    job.run()
    job.verify()
    assert snapshot(archive) == before


def test_plan_writes_nothing(archive):
    str(make_job(archive).plan())
    assert [path.name for path in archive.parent.iterdir()] == ["in.zarr"]


@pytest.mark.parametrize("T", [0, "global"])
def test_unaveraged_and_global_transforms(archive, T):
    transform = Scattering1D(J=5, T=T)
    make_job(archive, transform).run()
    with xr.open_zarr(archive) as source, xr.open_zarr(archive.parent / "out.zarr") as out:
        expected = scatdask.scattering1d(source.load(), J=5, T=T, dim="time")
        xr.testing.assert_allclose(out.load(), expected, rtol=1e-3, atol=1e-5)


def test_all_numeric_variables_are_transformed_or_the_one_asked_for(write_archive):
    rng = np.random.default_rng(0)
    path = write_archive(
        xr.Dataset(
            {
                "north": ("time", rng.standard_normal(3000)),
                "east": ("time", rng.integers(-9, 9, 3000)),
                "remark": ("time", np.array(["-"] * 3000)),
                "gain": ((), 2.0),
            }
        )
    )
    make_job(path).run()
    with xr.open_zarr(path.parent / "out.zarr") as out:
        assert set(out.data_vars) == {"north", "east", "gain"}
    make_job(path, target=path.parent / "one.zarr", variable="east").run()
    with xr.open_zarr(path.parent / "one.zarr") as out:
        assert set(out.data_vars) == {"east"}
        assert "north (another one was asked for)" in out.attrs["scattering1d_skipped"]


def test_nan_samples_spoil_the_outputs_they_touch_and_no_others(write_archive):
    samples = np.random.default_rng(0).standard_normal((1, 40_000)).astype("f4")
    samples[0, 12_345] = np.nan
    path = write_archive(xr.Dataset({"v": (("channel", "time"), samples)}))
    with pytest.warns(NonFiniteWarning, match="blocks hold NaN outputs"):
        report = make_job(path).run()
    with xr.open_zarr(path.parent / "out.zarr") as out:
        assert report.nan_outputs == np.isnan(out.v.values).mean()
        spoilt = np.flatnonzero(np.isnan(out.v.values[0]).any(axis=0)) * S.stride
    inside = np.arange(0, 40_000, S.stride)
    np.testing.assert_array_equal(spoilt, inside[np.abs(inside - 12_345) <= S.halo])


def test_variables_are_chosen_as_by_the_function(write_archive):
    rng = np.random.default_rng(0)
    dataset = xr.Dataset(
        {
            "v": ("time", rng.standard_normal(3000)),
            "depth_bnds": (("time", "nv"), rng.standard_normal((3000, 2))),
        },
        coords={"depth": ("time", np.zeros(3000), {"bounds": "depth_bnds"})},
    )
    path = write_archive(dataset)
    make_job(path).run()
    expected = scatdask.scattering1d(dataset, J=6, Q=2, dim="time")
    with xr.open_zarr(path.parent / "out.zarr") as out:
        assert set(out.data_vars) == set(expected.data_vars) == {"v"}
        assert out.attrs["scattering1d_skipped"] == expected.attrs["scattering1d_skipped"]
    mixed = write_archive(dataset.assign(wave=dataset.v + 1j), name="mixed.zarr")
    with pytest.raises(TypeError, match="variable 'wave' has dtype complex128"):
        make_job(mixed).plan()


def test_zeros_that_xarray_takes_as_missing_are_told(tmp_path):
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=2)
    array = group.create_array("v", shape=(2, 3000), chunks=(1, 3000), dtype="i2", fill_value=0)
    array.attrs["_ARRAY_DIMENSIONS"] = ["channel", "time"]
    array[...] = 1
    array[0, 1500] = 0
    with pytest.warns(NonFiniteWarning, match=r"1 of 2 blocks .* Zarr 2 .* fill_value"):
        report = make_job(tmp_path / "in.zarr").run()
    assert "of outputs are NaN" in str(report)


# Running again


def test_second_run_finds_everything_done(archive):
    job = make_job(archive)
    first = job.run()
    files = snapshot(archive.parent / "out.zarr")
    second = job.run()
    assert (second.found_done, second.computed) == (first.blocks, 0)
    assert snapshot(archive.parent / "out.zarr") == files
    assert job.status().is_complete


def test_second_run_finishes_what_is_missing(archive):
    job = make_job(archive)
    job.run()
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        whole = out.velocity.values
    forget(job, slice(-1, None))
    assert not job.status().is_complete
    shutil.rmtree(archive.parent / "out.zarr" / "velocity" / "c" / "1", ignore_errors=True)
    job = make_job(archive)
    again = job.run()
    assert again.computed >= 1
    assert again.computed + again.found_done == again.blocks
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        np.testing.assert_array_equal(out.velocity.values, whole)


def test_run_that_stopped_before_the_output_was_made_starts_over(archive):
    job = make_job(archive)
    job.run()
    path = archive.parent / "out.zarr.ledger" / "job.json"
    path.write_text(path.read_text().replace('"is_made": true', '"is_made": false'))
    shutil.rmtree(archive.parent / "out.zarr" / "velocity")
    assert job.run().computed == job.plan().blocks
    assert job.run().computed == 0


def test_second_run_at_the_same_time_is_refused(archive, monkeypatch):
    started, go_on, real = threading.Event(), threading.Event(), store.create

    def slow(*arguments):
        started.set()
        go_on.wait(60)
        real(*arguments)

    monkeypatch.setattr(store, "create", slow)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(make_job(archive).run)
        started.wait()
        for overwrite in (False, True):
            with pytest.raises(OutputBusyError, match=rf"process {os.getpid()}.*wait for its end"):
                make_job(archive).run(overwrite=overwrite)
        go_on.set()
        assert first.result().computed == make_job(archive).plan().blocks
    assert make_job(archive).run().computed == 0


def test_blocks_hold_that_another_run_began_meanwhile(archive, monkeypatch):
    """Other memory, other blocks: those of the run that was first."""
    real, job = Lock.acquire, make_job(archive)
    first = make_job(archive, memory=less_memory(archive))
    layouts = first.plan().layouts
    assert layouts != job.plan().layouts

    def outrun(lock):
        monkeypatch.setattr(Lock, "acquire", real)
        first.init()
        real(lock)

    monkeypatch.setattr(Lock, "acquire", outrun)
    job.run()
    assert job.plan().layouts == layouts


def test_run_goes_no_further_when_another_replaces_its_output(archive):
    abandoned = begin(make_job(archive))
    make_job(archive).run(overwrite=True)
    files = snapshot(archive.parent)
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        run_task(abandoned, Task(0, 0))
    assert snapshot(archive.parent) == files


def test_refused_job_leaves_no_ledger_behind(archive):
    (archive.parent / "out.zarr").mkdir()
    with pytest.raises(OutputExistsError, match="no ledger beside it"):
        make_job(archive).run()
    assert not (archive.parent / "out.zarr.ledger").exists()


# Runs that share an output


def test_ranges_of_blocks_in_any_order_make_the_whole(archive):
    job = make_job(archive, memory=less_memory(archive))
    job.run()
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        whole = out.velocity.values
    plan = job.init(overwrite=True)
    middle = plan.blocks // 2
    assert job.run(blocks=(middle, plan.blocks)).computed == plan.blocks - middle
    assert not job.finalise().is_complete
    report = job.run(blocks=(0, middle))
    assert (report.computed, report.found_done) == (middle, 0)
    assert job.run(blocks=(0, middle)).computed == 0
    assert job.run(blocks=(middle, plan.blocks + 100)).found_done == plan.blocks - middle
    assert job.finalise().is_complete
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        np.testing.assert_array_equal(out.velocity.values, whole)


def test_ranges_need_an_output_and_blocks_that_exist(archive):
    job = make_job(archive)
    with pytest.raises(FileNotFoundError, match=r"make it with init\(\) first"):
        job.run(blocks=(0, 1))
    blocks = job.init().blocks
    for wrong in [(0, 0), (-1, 1)]:
        with pytest.raises(ValueError, match=rf"such as 0:{blocks}"):
            job.run(blocks=wrong)
    assert job.run(blocks=(blocks, blocks + 5)).computed == 0
    for option in ({"overwrite": True}, {"changed": "recompute"}):
        with pytest.raises(ValueError, match=r"call init\(\) with them first"):
            job.run(blocks=(0, 1), **option)


def test_one_block_after_the_other_in_the_thread_that_asks(archive, monkeypatch):
    from scatdask.archive import work as module

    threads, real = set(), module.run_block

    def noting(work, block):
        threads.add(threading.current_thread())
        return real(work, block)

    monkeypatch.setattr(module, "run_block", noting)
    job = make_job(archive)
    assert job.run(scheduler="synchronous").computed == job.plan().blocks
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("torn", ["", '{"dim": "ti'])
def test_torn_record_is_replaced_as_its_error_says(archive, torn):
    make_job(archive).run()
    (archive.parent / "out.zarr.ledger" / "job.json").write_text(torn)
    with pytest.raises(ValueError, match=r"not a ledger's record.*overwrite=True"):
        make_job(archive).run()
    assert make_job(archive).run(overwrite=True).found_done == 0
    assert make_job(archive).status().is_complete


def test_source_that_was_written_anew_is_read_with_its_new_metadata(write_archive):
    values = np.arange(3000.0)[None] % 100
    for scale in (1.0, 0.5):
        dataset = xr.Dataset({"v": (("channel", "time"), values)})
        dataset.v.encoding = {"dtype": "i2", "scale_factor": scale, "_FillValue": -1}
        job = make_job(write_archive(dataset), Scattering1D(J=4))
        job.run(overwrite=True)
        with xr.open_zarr(job.request.target.url) as out:
            np.testing.assert_allclose(out.v[0, 0, 20:-20].mean(), values.mean(), rtol=0.05)
        assert job.verify().is_good


def test_output_that_was_removed_is_made_anew(archive):
    report = make_job(archive).run()
    shutil.rmtree(archive.parent / "out.zarr")
    assert make_job(archive).run().computed == report.blocks


def test_blocks_stay_as_they_were_begun_whatever_memory_later_runs_have(archive):
    afresh = make_job(archive).plan()
    first = make_job(archive, memory=less_memory(archive))
    first.run()
    later = make_job(archive)
    assert later.plan().layouts == first.plan().layouts != afresh.layouts
    assert later.run().computed == 0


def test_blocks_that_were_begun_with_more_memory_than_there_is_now(archive):
    plan, less = make_job(archive).plan(), less_memory(archive)
    make_job(archive).run()
    needed = f"{-(-plan.peak_memory // 2**20)} MiB"
    with pytest.raises(MemoryError, match=rf"needs {needed}.*overwrite=True"):
        make_job(archive, memory=less).run()
    assert make_job(archive, memory=needed).run().computed == 0
    make_job(archive, memory=less).run(overwrite=True)


def test_output_of_another_transform(archive):
    make_job(archive).run()
    with pytest.raises(OutputExistsError, match=r"J: 6 there, 7 here.*overwrite=True"):
        make_job(archive, Scattering1D(J=7, Q=2)).run()


def test_output_of_another_source(archive, write_archive):
    make_job(archive).run()
    target = archive.parent / "out.zarr"
    twin = write_archive(name="twin.zarr")
    with pytest.raises(
        OutputExistsError, match=r"source: '.*in\.zarr' there, '.*twin\.zarr' here\)"
    ):
        make_job(twin, target=target).run()
    write_archive(chunks={"channel": 1, "time": 999})
    with pytest.raises(OutputExistsError, match="source has changed"):
        make_job(archive, target=target).run()


def test_output_that_no_job_wrote(archive, write_archive):
    precious = write_archive(name="precious.zarr")
    before = snapshot(precious)
    with pytest.raises(OutputExistsError, match="no ledger"):
        make_job(archive, target=precious).run()
    assert snapshot(precious) == before


def test_overwrite_replaces_and_a_refused_job_does_not(archive):
    make_job(archive).run()
    with pytest.raises(ValueError, match="largest J that fits is 14"):
        make_job(archive, Scattering1D(J=15)).run(overwrite=True)
    assert make_job(archive).status().is_complete
    make_job(archive, Scattering1D(J=7)).run(overwrite=True)
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        assert out.velocity.attrs["J"] == 7


# Bad input: all before any work


def test_missing_dimension(archive):
    with pytest.raises(KeyError, match=r"no dimension 'tme'.*'channel', 'time'"):
        Job(archive, archive.parent / "out.zarr", S, dim="tme").plan()


def test_missing_variable(archive):
    with pytest.raises(KeyError, match=r"variable='speed'.*those are 'velocity'"):
        make_job(archive, variable="speed").plan()


@pytest.mark.parametrize("dtype", ["complex64", "bool", "str"])
def test_variables_that_are_not_real_numbers(write_archive, dtype):
    samples = np.ones((2, 3000)).astype(dtype)
    path = write_archive(xr.Dataset({"v": (("channel", "time"), samples)}))
    with pytest.raises((TypeError, ValueError), match=r"v.* dtype|v \(dtype"):
        make_job(path).run()
    with pytest.raises(TypeError, match="v"):
        make_job(path, variable="v").run()
    assert not (path.parent / "out.zarr").exists()


def test_time_axis_with_a_gap(write_archive):
    time = np.datetime64("2024-01-01", "ns") + np.arange(3000) * np.timedelta64(10, "ms")
    time[1500:] += np.timedelta64(1, "s")
    dataset = xr.Dataset({"v": ("time", np.ones(3000))}, coords={"time": time})
    path = write_archive(dataset)
    with pytest.raises(ValueError, match="gap"):
        make_job(path).run()
    assert not (path.parent / "out.zarr").exists()


def test_missing_source_chunks_are_never_read_as_fill_values(archive):
    (archive / "velocity" / "c" / "0" / "1").unlink()
    with pytest.raises(MissingChunksError, match="c/0/1"):
        make_job(archive).run()
    assert not (archive.parent / "out.zarr").exists()
    with pytest.warns(NonFiniteWarning):  # the fill value is NaN
        make_job(archive, missing_chunks="fill").run()


def test_what_is_done_about_missing_chunks_may_be_said_anew(archive):
    computed = make_job(archive).run().computed
    lenient = make_job(archive, missing_chunks="fill")
    assert lenient.run().found_done == computed
    ledger = Ledger(Location.of(archive.parent / "out.zarr"))
    assert ledger.read()["missing_chunks"] == "fill"
    (archive / "velocity" / "c" / "0" / "1").unlink()
    with pytest.raises(SourceChangedError, match="c/0/1"):  # no block is left of what it was
        lenient.run()


def test_empty_axis(write_archive):
    path = write_archive(xr.Dataset({"v": (("channel", "time"), np.ones((2, 0)))}))
    with pytest.raises(ValueError, match="no samples"):
        make_job(path).run()


def test_no_signals_give_an_empty_output(write_archive):
    path = write_archive(xr.Dataset({"v": (("channel", "time"), np.ones((0, 3000)))}))
    assert make_job(path).run().blocks == 0
    with xr.open_zarr(path.parent / "out.zarr") as out:
        assert out.v.shape == (0, S.n_paths, S.n_out(3000))


def test_source_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Zarr group"):
        make_job(tmp_path / "nowhere.zarr").run()


def test_output_inside_the_input(archive):
    with pytest.raises(ValueError, match="lies inside the source"):
        make_job(archive, target=archive / "out.zarr")


def test_memory_that_does_not_hold_a_block(archive):
    with pytest.raises(MemoryError, match="at least"):
        make_job(archive, Scattering1D(J=14, Q=8), memory="154 MiB").plan()


def test_status_before_any_run(archive):
    with pytest.raises(FileNotFoundError, match="no run of this job has begun"):
        make_job(archive).status()


def test_corrupt_source_chunk_fails_its_blocks_and_says_so(archive):
    (archive / "velocity" / "c" / "0" / "0").write_bytes(b"rubbish")
    job = make_job(archive)
    with pytest.raises(BlocksFailedError, match=r"blocks failed.*run again"):
        job.run()
    assert 0 < job.status().done < job.status().blocks
