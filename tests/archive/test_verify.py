from __future__ import annotations

import errno
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from zarr.storage import LocalStore

from scatdask import Scattering1D
from scatdask.archive import retries
from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Ledger
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.verify import Verification, _other_ranges, verify_blocks
from scatdask.archive.work import Task, Work, run_task
from scatdask.errors import NonFiniteWarning
from tests.archive.common import forget, layouts, make_work, write_source
from tests.archive.conftest import make_job


def test_verification_finds_a_changed_number(archive):
    job = make_job(archive)
    job.run()
    assert job.verify().is_good
    array = zarr.open_group(archive.parent / "out.zarr", mode="r+")["velocity"]
    array[0, 5, 100] = array[0, 5, 100] * 1.01
    found = job.verify()
    assert not found.is_good
    assert "differs" in str(found)


def test_verification_finds_a_lost_chunk(archive):
    job = make_job(archive)
    job.run()
    next(
        p for p in (archive.parent / "out.zarr" / "velocity" / "c").rglob("0") if p.is_file()
    ).unlink()
    found = job.verify()
    assert not found.is_good
    assert "chunks of variable 'velocity' are not in" in found.problems[0]


def test_verification_of_an_interrupted_run_misses_chunks_of_finished_blocks_only(archive):
    job = make_job(archive)
    job.run()
    forget(job, slice(1, None))
    chunks = archive.parent / "out.zarr" / "velocity" / "c"
    (chunks / "1" / "0" / "0").unlink()  # of the other block
    assert job.verify().is_good
    (chunks / "0" / "0" / "0").unlink()
    assert "1 chunks of variable 'velocity' are not in" in job.verify().problems[0]


SMALL = {"memory": "156 MiB"}


@pytest.fixture
def cut_off(monkeypatch):
    """Return a function that has all requests for chunks of the variable below a folder fail."""

    def cut(folder: str, error: OSError) -> list[str]:
        answer, asked = LocalStore.get, []

        async def get(self, key, *others, **options):
            if folder in str(self.root) and key.startswith("velocity/c/"):
                asked.append(key)
                raise error
            return await answer(self, key, *others, **options)

        monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)
        monkeypatch.setattr(LocalStore, "get", get)
        return asked

    return cut


RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
REFUSED = PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(("error", "tried"), [(RESET, 3), (REFUSED, 1)])
@pytest.mark.parametrize("folder", ["in.zarr", "out.zarr"])
def test_outage_makes_no_block_be_forgotten(archive, cut_off, folder, error, tried):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    assert blocks > tried
    asked = cut_off(folder, error)
    found = job.verify(blocks)
    assert (found.checked, found.bad, found.problems) == (0, (), ())
    assert len(found.not_compared) == blocks
    assert sum("not tried" in line for line in found.not_compared) == blocks - tried
    assert asked
    assert not found.is_good
    assert not found.is_recorded
    assert f"{blocks} could not be compared" in str(found)
    assert error.strerror in str(found)
    assert len(found.to_dict()["not_compared"]) == blocks
    assert job.status().done == blocks


def test_outage_while_damage_is_looked_for_makes_no_block_be_forgotten(archive, cut_off):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    chunk = next(p for p in (archive.parent / "out.zarr/velocity/c").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-100])
    cut_off("out.zarr", RESET)
    with pytest.raises(ConnectionError, match="Connection reset"):
        job.verify()
    assert job.status().done == blocks


def test_torn_chunk_of_the_source_makes_no_block_be_forgotten(archive):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    chunk = archive / "velocity" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-100])
    found = job.verify(blocks)
    assert 0 < found.checked < blocks
    assert found.checked + len(found.not_compared) == blocks
    assert "chunk c/0/0 of variable 'velocity' cannot be decoded" in found.not_compared[0]
    assert found.bad == ()
    assert not found.is_good
    assert job.status().done == blocks


def test_lack_of_memory_makes_no_block_be_forgotten(archive, monkeypatch):
    def too_large(*_):
        raise MemoryError("cannot allocate")

    job = make_job(archive)
    blocks = job.run().blocks
    monkeypatch.setattr("scatdask.archive.verify._stored", too_large)
    found = job.verify()
    assert len(found.not_compared) == blocks
    assert job.status().done == blocks


def test_blocks_that_are_damaged_are_not_said_to_be_computed_anew(archive):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    for path in (archive.parent / "out.zarr" / "velocity" / "c").rglob("*"):
        if path.is_file():
            path.unlink()
    found = job.verify(1)
    assert found.checked == 0
    assert len(found.bad) == blocks
    assert str(found).startswith(f"0 of {blocks} finished blocks computed anew\n")


def test_verification_of_half_a_job_says_so(archive):
    job = make_job(archive)
    job.run()
    forget(job, slice(None))
    assert "not done yet" in str(job.verify())


@pytest.mark.parametrize("T", [0, "global"])
@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_verification_holds_for_every_kind_of_output(archive, T, boundary):
    job = make_job(archive, Scattering1D(J=5, T=T, boundary=boundary, dtype="float64"))
    job.run()
    found = job.verify()
    assert found.is_good
    assert found.worst <= 1e-6


def test_verification_finds_numbers_that_became_missing(archive):
    job = make_job(archive)
    job.run()
    array = zarr.open_group(archive.parent / "out.zarr", mode="r+")["velocity"]
    array[1, 3, 7] = np.nan
    assert not job.verify().is_good


def test_missing_samples_are_missing_in_both(write_archive):
    samples = np.random.default_rng(0).standard_normal((1, 9_000))
    samples[0, 4_000:4_010] = np.nan
    job = make_job(write_archive(xr.Dataset({"v": (("channel", "time"), samples)})))
    with pytest.warns(NonFiniteWarning):
        job.run()
    assert job.verify().is_good


def test_verification_for_machines(archive):
    job = make_job(archive)
    job.run()
    figures = json.loads(json.dumps(job.verify(blocks=1).to_dict()))
    assert figures["checked"] == 1
    assert figures["is_good"] is True


TIME = np.arange(30_000)
NOISE = np.random.default_rng(0).standard_normal(TIME.size)


@pytest.mark.parametrize("T", [None, 0, "global"])
@pytest.mark.parametrize(
    "samples",
    [np.sin(0.1 * TIME), NOISE + 1e4 * TIME / TIME.size, TIME // 3_000, np.full(TIME.size, 0.1)],
    ids=["sine", "noise on a ramp", "staircase", "constant"],
)
def test_faint_paths_are_held_to_the_size_of_the_signal(write_archive, samples, T):
    dataset = xr.Dataset({"v": (("channel", "time"), samples[np.newaxis].astype("f4"))})
    transform = Scattering1D(J=6, Q=8, T=T)
    job = make_job(write_archive(dataset), transform, memory=PROCESS_BYTES + 5 * 2**20)
    job.run()
    found = job.verify()
    assert found.is_good, str(found)
    if T is None:
        array = zarr.open_group(job.request.target.url, mode="r+")["v"]
        loudest = int(np.argmax(array[0, :, 100]))
        array[0, loudest, 100] *= 1.01
        assert not job.verify(blocks=found.done).is_good


def test_rounding_of_a_constant_is_no_difference(write_archive):
    samples = np.full((1, 12_000), 0.1)
    samples[0, :5] = np.nan
    source = write_archive(xr.Dataset({"v": (("channel", "time"), samples)}))
    job = make_job(source, Scattering1D(J=5, Q=4, stride=4, dtype="float64"))
    with pytest.warns(NonFiniteWarning):
        job.run()
    found = job.verify()
    assert found.is_good, str(found)


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
@pytest.mark.parametrize("T", [None, 0, "global"])
@pytest.mark.parametrize(("n", "at_once"), [(20_000, 20_032), (20_000, 32), (33, 64), (20, 32)])
def test_block_is_never_compared_with_the_same_slabs(boundary, T, n, at_once):
    transform = Scattering1D(J=5, T=T, boundary=boundary)
    whole = -(-n // transform.alignment) * transform.alignment
    at_once = at_once if T == "global" else whole
    layout = Layout("v", ("time",), (n,), (), (), (), (whole,), (at_once,))
    (ranges,) = _other_ranges(transform, layout, 0)
    assert (ranges[0][0], ranges[-1][1]) == (0, n)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    assert all(start % transform.alignment == 0 for start, _ in ranges)
    if n > transform.alignment:
        before = {(slab.start, slab.stop) for (slab,) in layout.parts(transform, 0)}
        assert not before & set(ranges[:-1])


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_verification_of_a_single_block_cuts_it_in_two(write_archive, T):
    samples = np.random.default_rng(0).standard_normal((2, 5_000))
    job = make_job(
        write_archive(xr.Dataset({"v": (("channel", "time"), samples)})),
        Scattering1D(J=5, T=T, dtype="float64"),
    )
    job.run()
    found = job.verify()
    assert (found.blocks, found.is_good) == (1, True)
    assert found.worst > 0


@given(layouts())
def test_blocks_of_several_axes_are_compared_with_other_slabs_on_all_axes(drawn):
    transform, layout, _ = drawn
    for block in range(len(layout.grid)):
        for (start, stop), n, ranges in zip(
            layout.bounds(block),
            layout.shape,
            _other_ranges(transform, layout, block),
            strict=True,
        ):
            assert ranges[0][0] <= start
            assert stop <= ranges[-1][1]
            assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
            assert all(low % transform.alignment == 0 and low < high for low, high in ranges)
            if n > transform.alignment:
                assert ranges != [(start, stop)]


def verify(work: Work) -> Verification:
    done = np.ones(work.n_blocks, dtype=bool)
    rows = Ledger(work.target).history(work.output, work.n_blocks)
    return verify_blocks(work, done, rows, work.n_blocks, seed=0)


@settings(max_examples=6)
@given(layouts(longest=12, most=2))
def test_verification_of_several_axes(drawn):
    transform, layout, stored = drawn
    noise = np.random.default_rng(0).standard_normal(tuple(stored.sizes.values()))
    array = xr.DataArray(noise, dims=tuple(stored.sizes))
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder) / "in.zarr", array, tuple(stored.chunks.values()))
        work = make_work(Path(folder), transform, array, layout)
        run_task(work, Task(0, work.n_blocks - 1))
        found = verify(work)
        assert found.is_good
        assert found.worst <= 1e-12
        output = zarr.open_group(work.target.url, mode="r+")[work.names[0][0]]
        last = tuple(n - 1 for n in output.shape)
        output[last] = output[last] + 1
        assert not verify(work).is_good
