"""Jobs to an Icechunk repository: all or nothing, and yet they go on where they were."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Job, Reduction, Scattering1D
from scatdask.archive import commits, read_status, work
from scatdask.archive.libraries import ICECHUNK_BYTES
from scatdask.archive.locations import Location
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.errors import BlocksFailedError, OutputExistsError, StorageError
from tests.archive.conftest import CHANNELS, N, S, make_job

icechunk = pytest.importorskip("icechunk")

MEMORY = PROCESS_BYTES + ICECHUNK_BYTES + 6 * 2**20  # several blocks


@pytest.fixture(autouse=True)
def quiet(capfd):
    """Icechunk tells of disks what is true of them: that two clients must not commit at once."""
    yield
    capfd.readouterr()


@pytest.fixture
def target(tmp_path) -> str:
    return f"icechunk+file://{tmp_path / 'out'}"


def job_to(target, archive, transform=S, **options) -> Job:
    return Job(archive, target, transform, dim="time", **{"memory": MEMORY, **options})


def opened(target: str) -> icechunk.Repository:
    path = target.removeprefix("icechunk+file://")
    return icechunk.Repository.open(icechunk.local_filesystem_storage(path))


def published(target: str) -> xr.Dataset:
    """Return what readers of the branch main see."""
    store = opened(target).readonly_session("main").store
    with xr.open_zarr(store, consolidated=False) as out:
        return out.load()


def shows_nothing(target: str) -> bool:
    store = opened(target).readonly_session("main").store
    try:
        zarr.open_group(store, mode="r")
    except FileNotFoundError:
        return True
    return False


@pytest.fixture
def expected(archive) -> xr.Dataset:
    """What the same job writes to plain Zarr."""
    target = archive.parent / "plain.zarr"
    job_to(target, archive, memory=MEMORY - ICECHUNK_BYTES).run()
    with xr.open_zarr(target) as out:
        return out.load()


@pytest.fixture
def failing(monkeypatch):
    """Make blocks fail, or the process of a run end, while the list says so."""
    blocks: dict[int, BaseException] = {}
    run_block = work.run_block

    def run(given, block):
        if block in blocks:
            raise blocks[block]
        return run_block(given, block)

    monkeypatch.setattr(work, "run_block", run)
    return blocks


@pytest.mark.parametrize(
    "place", [{}, {"scheduler": "synchronous"}, {"workers": 1}], ids=["threads", "one", "cluster"]
)
def test_repository_holds_what_plain_zarr_does(archive, target, expected, place):
    job = job_to(target, archive)
    report = job.run(**place)
    assert report.computed == report.blocks > 3
    xr.testing.assert_identical(published(target), expected)
    assert opened(target).list_branches() == {"main"}
    assert job.status().is_complete
    assert job.verify().is_good
    assert job.run().computed == 0


@settings(max_examples=5)
@given(memory=st.integers(4, 20), length=st.integers(4_000, N), rows=st.integers(1, CHANNELS))
def test_numbers_do_not_depend_on_blocks(tmp_path_factory, memory, length, rows):
    folder = tmp_path_factory.mktemp("repository")
    samples = np.random.default_rng(length).standard_normal((rows, length)).astype("f4")
    source = xr.Dataset({"v": (("channel", "time"), samples)})
    source.v.encoding["chunks"] = (1, 3_000)
    source.to_zarr(folder / "in.zarr", zarr_format=2)
    target = f"icechunk+file://{folder}/out"
    job_to(target, folder / "in.zarr", memory=PROCESS_BYTES + ICECHUNK_BYTES + memory * 2**20).run(
        scheduler="synchronous"
    )
    np.testing.assert_allclose(published(target).v, S(samples), rtol=1e-4, atol=1e-5)


def test_plan_makes_no_repository(archive, target):
    job_to(target, archive).plan()
    assert [path.name for path in archive.parent.iterdir()] == ["in.zarr"]


def test_block_that_fails_leaves_readers_with_nothing_until_it_is_mended(
    archive, target, expected, failing
):
    failing[2] = ValueError("rubbish")
    job = job_to(target, archive)
    with pytest.raises(BlocksFailedError, match="rubbish"):
        job.run()
    assert shows_nothing(target)
    blocks = job.status().blocks
    assert job.status().done == blocks - 1
    failing.clear()
    assert job.run().computed == 1
    xr.testing.assert_identical(published(target), expected)


def test_interrupted_run_keeps_what_had_come_in(archive, target, expected, failing):
    failing[3] = KeyboardInterrupt()
    job = job_to(target, archive)
    with pytest.raises(KeyboardInterrupt):
        job.run(scheduler="synchronous")
    assert job.status().done == 3
    assert shows_nothing(target)
    failing.clear()
    report = job.run()
    assert report.found_done == 3
    xr.testing.assert_identical(published(target), expected)


def test_blocks_under_way_in_threads_are_kept_when_a_run_is_interrupted(
    archive, target, expected, monkeypatch
):
    run_block, ended = work.run_block, []
    begun = threading.Event()

    def run(given, block):
        if block == 0:  # the others are under way, or done, when it fails for good
            assert begun.wait(60)
            raise StorageError("no space left")
        receipt = run_block(given, block)
        ended.append(block)
        begun.set()
        return receipt

    job = job_to(target, archive)
    with monkeypatch.context() as patch:
        patch.setattr(work, "run_block", run)
        patch.setattr("scatdask.archive.places._threads_that_fit", lambda block: 2)
        patch.setattr("scatdask.archive.plan.Plan.blocks_per_task", lambda *_: 1)
        with pytest.raises(StorageError):
            job.run()
    assert job.status().done == len(ended) > 0
    job.run()
    xr.testing.assert_identical(published(target), expected)


KILLED = """
import sys, os, signal
from scatdask import Job, Scattering1D
from scatdask.archive import commits, work
from tests.archive.conftest import S

commits._LEAST_SECONDS = {seconds}
run_block = work.run_block

def run(given, block):
    if block == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_block(given, block)

work.run_block = run
Job({source!r}, {target!r}, S, dim="time", memory={memory!r}).run(scheduler="synchronous")
"""


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 3), (60.0, 0)], ids=["each", "a-minute"])
def test_killed_client_loses_what_was_not_committed_and_nothing_else(
    archive, target, expected, seconds, kept
):
    script = KILLED.format(source=str(archive), target=target, memory=MEMORY, seconds=seconds)
    script = script.replace("commits._LEAST", "commits._SHARE_OF_COMMITS = 1e9; commits._LEAST")
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    job = job_to(target, archive)
    assert job.status().done == kept
    assert shows_nothing(target)
    (archive.parent / "out.ledger" / "lock.json").unlink()  # nobody beats for it any more
    report = job.run()
    assert report.found_done == kept
    xr.testing.assert_identical(published(target), expected)


def test_commits_come_at_intervals_that_grow_with_the_run():
    assert commits.interval(0, 0) == 60
    assert commits.interval(4_000, 0) == 200
    assert commits.interval(1e6, 0) == 600  # never more than ten minutes,
    assert commits.interval(1e6, 60) > 600  # unless commits take long themselves


def test_source_that_grows(write_archive, target):
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((1, 30_000)).astype("f4")

    archive = write_archive(
        xr.Dataset({"v": (("channel", "time"), samples[:, :20_000])}),
        chunks={"time": 5_000},
        consolidated=False,
    )
    job = job_to(target, archive, memory=PROCESS_BYTES + ICECHUNK_BYTES + 4 * 2**20)
    first = job.run()
    before = published(target)
    rest = xr.Dataset({"v": (("channel", "time"), samples[:, 20_000:])})
    rest.to_zarr(archive, append_dim="time", consolidated=False)
    second = job.run()
    assert 0 < second.computed < second.blocks
    assert second.found_done >= first.blocks - 2
    np.testing.assert_allclose(published(target).v, S(samples), rtol=1e-4, atol=1e-5)
    assert opened(target).list_branches() == {"main"}
    history = list(opened(target).ancestry(branch="main"))
    kept = opened(target).readonly_session(snapshot_id=history[-1 - 2].id)  # the first output
    with xr.open_zarr(kept.store, consolidated=False) as out:
        xr.testing.assert_identical(out.load(), before)


def test_overwriting_shows_the_former_output_until_the_new_one_is_there(
    archive, target, expected, failing
):
    job_to(target, archive).run()
    other = job_to(target, archive, Scattering1D(J=5))
    with pytest.raises(OutputExistsError, match="another job"):
        other.run()
    failing[1] = ValueError("rubbish")
    with pytest.raises(BlocksFailedError):
        other.run(overwrite=True)
    xr.testing.assert_identical(published(target), expected)
    failing.clear()
    other.run()
    assert published(target).sizes["path"] != expected.sizes["path"]


def test_what_others_have_written_is_not_replaced(archive, target):
    storage = icechunk.local_filesystem_storage(target.removeprefix("icechunk+file://"))
    session = icechunk.Repository.create(storage).writable_session("main")
    zarr.create_group(session.store, attributes={"mine": True})
    session.commit("mine")
    with pytest.raises(OutputExistsError, match="no ledger beside it"):
        job_to(target, archive).run()
    assert zarr.open_group(opened(target).readonly_session("main").store, mode="r").attrs["mine"]


def commit_beside(target: str) -> None:
    session = opened(target).writable_session("main")
    zarr.create_group(session.store, path="beside")
    session.commit("beside")


def test_commits_of_others_are_not_left_out(archive, target, expected, failing):
    failing[0] = ValueError("rubbish")
    job = job_to(target, archive)
    with pytest.raises(BlocksFailedError):
        job.run()
    commit_beside(target)
    failing.clear()
    with pytest.raises(OutputExistsError, match=r"complete on the branch 'scatdask-\w+'") as error:
        job.run()
    assert list(zarr.open_group(opened(target).readonly_session("main").store, mode="r")) == [
        "beside"
    ]
    repository = opened(target)
    (branch,) = repository.list_branches() - {"main"}
    assert branch in str(error.value)
    repository.reset_branch("main", repository.lookup_branch(branch))
    job.run()
    assert repository.list_branches() == {"main"}
    xr.testing.assert_identical(published(target), expected)


def test_commits_of_others_after_the_end_do_no_harm(archive, target, expected):
    job = job_to(target, archive)
    job.run()
    commit_beside(target)
    assert job.verify().is_good
    assert job.run().computed == 0
    xr.testing.assert_identical(published(target), expected)


def test_output_that_was_rolled_back_is_missed(archive, target, expected):
    job = job_to(target, archive)
    job.run()
    repository = opened(target)
    first = list(repository.ancestry(branch="main"))[-1].id
    repository.reset_branch("main", first)
    commit_beside(target)
    for act in (job.verify, job.run, lambda: job.run(blocks=(0, 1)), job.finalise):
        with pytest.raises(OutputExistsError, match="does not hold what the ledger says"):
            act()
    job.run(overwrite=True)
    xr.testing.assert_identical(published(target), expected)


def test_output_in_whose_place_another_job_put_its_own(archive, tmp_path):
    storage = icechunk.local_filesystem_storage(str(tmp_path / "out"))
    repository = icechunk.Repository.create(storage)
    first = job_to(repository, archive, ledger=tmp_path / "first.ledger")
    first.run()
    second = job_to(repository, archive, Scattering1D(J=5), ledger=tmp_path / "second.ledger")
    second.run(overwrite=True)
    for act in (first.run, first.verify):
        with pytest.raises(OutputExistsError, match="does not hold what the ledger says"):
            act()
    assert second.verify().is_good
    assert second.run().computed == 0


def test_verification_beside_a_run_of_some_blocks(archive, target, monkeypatch):
    job = job_to(target, archive)
    blocks = job.init().blocks
    job.run(blocks=(0, 2))
    find = commits.to_read

    def beside(*arguments):
        job.run(blocks=(2, blocks))
        return find(*arguments)

    monkeypatch.setattr("scatdask.archive.job.to_read", beside)
    found = job.verify()
    assert found.is_good
    assert found.done == 2
    assert job.status().done == blocks


def test_block_whose_chunk_is_missing_is_found_and_computed_again(archive, target, expected):
    job = job_to(target, archive)
    job.run()
    session = opened(target).writable_session("main")
    array = zarr.open_group(session.store, mode="r+")["velocity"]
    array[-1:] = np.nan  # an array leaves chunks of its fill value out
    session.commit("oops")
    found = job.verify()
    assert not found.is_good
    assert found.is_recorded
    assert not job.status().is_published
    assert job.run().computed == len(found.bad)
    assert job.status().is_published
    xr.testing.assert_identical(published(target), expected)


def test_runs_that_share_the_blocks(archive, tmp_path, expected):
    path = str(tmp_path / "out")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(path))
    ledger = tmp_path / "elsewhere" / "records.ledger"
    ledger.parent.mkdir()
    job = job_to(repository, archive, ledger=ledger)
    blocks = job.init().blocks
    for first in reversed(range(blocks)):
        assert job.run(blocks=(first, first + 1)).computed == 1
    target = f"icechunk+file://{path}"
    assert shows_nothing(target)
    assert job.status().is_complete
    assert "not published yet" in str(job.status())
    ended = job.finalise()
    assert ended.is_complete
    assert ended.is_published
    xr.testing.assert_identical(published(target), expected)
    assert [path.name for path in ledger.parent.iterdir()] == ["records.ledger"]


def test_two_clients_commit_to_one_draft(archive, target, expected):
    job = job_to(target, archive)
    blocks = job.init().blocks
    barrier = threading.Barrier(2)
    commit = commits._Commits.commit

    def together(self):
        barrier.wait(60)
        commit(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commits._Commits, "commit", together)
        halves = [(0, blocks // 2 + 1), (blocks // 2, blocks)]  # one block twice
        threads = [threading.Thread(target=job.run, kwargs={"blocks": half}) for half in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert job.finalise().is_complete
    xr.testing.assert_identical(published(target), expected)


def test_statistics_are_published_once_they_are_merged(archive, target, failing):
    plain = archive.parent / "plain.zarr"
    reduce = Reduction("50s", ["mean", "variance", "maximum"])
    job_to(plain, archive, reduce=reduce, memory="200 MiB").run()
    job = job_to(target, archive, reduce=reduce, memory="224 MiB")
    failing[0] = ValueError("rubbish")
    with pytest.raises(BlocksFailedError):
        job.run()
    assert shows_nothing(target)
    failing.clear()
    job.run()
    with xr.open_zarr(plain) as out:
        xr.testing.assert_identical(published(target), out.load())
    assert job.verify().is_good


def test_status_needs_no_repository(archive, target):
    job_to(target, archive).run()
    assert read_status(Location.of(target)).is_complete
    assert read_status(target.removeprefix("icechunk+file://")).is_complete


def test_full_disk_ends_the_run_and_names_it(archive, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "scatdask-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a disk")
    try:
        job = job_to(f"icechunk+file://{disk}/out", archive)
        filler = disk / "filler"
        run_block = work.run_block

        def run(given, block):
            if block == 2:
                with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while file.write(bytes(4096)):
                        pass
            return run_block(given, block)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, "run_block", run)
            with pytest.raises(StorageError, match="no space left"):
                job.run(scheduler="synchronous")
        filler.unlink()
        job.run()
        assert job.status().is_complete
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_repository_is_no_source(archive, target):
    job_to(target, archive).run()
    for source in (target, opened(target), opened(target).readonly_session("main").store):
        with pytest.raises(TypeError, match="can only be a target"):
            make_job(source, target=archive.parent / "out.zarr")


def test_output_inside_its_source(archive):
    with pytest.raises(ValueError, match="lies inside the source"):
        make_job(archive, target=f"icechunk+file://{archive}/out")
