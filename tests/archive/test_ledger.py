from __future__ import annotations

import numpy as np
import pytest

from scatdask.archive import ledger as module
from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.receipts import Receipt
from scatdask.errors import OutputExistsError


def receipt(first: int, last: int | None = None, ended: float = 1.0) -> Receipt:
    last = first if last is None else last
    return Receipt(first, last, ended - 1, ended, bytes_stored=last - first + 1)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.write({"output": "a"})
    return ledger


def n_files(ledger: Ledger, folder: str) -> int:
    return len(ledger._folder.names(folder))


def test_nothing_there_means_nothing_done(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    assert ledger.read() is None
    assert not ledger.exists()
    assert not ledger.done("a", 5).any()
    assert len(ledger.history("a", 5)) == 0
    assert ledger.failures("a", np.zeros(5, bool)) == []
    assert (ledger.environments(), ledger.runs()) == ({}, [])


def test_record_and_receipts_are_read_back_by_another_ledger(tmp_path):
    target = Location.of(tmp_path / "out.zarr")
    ledger = Ledger(target)
    ledger.write({"dims": ["time"], "output": "a"})
    ledger.mark("a", [receipt(2, 4), receipt(7)])
    other = Ledger(target)
    assert other.read() == {"dims": ["time"], "output": "a"}
    np.testing.assert_array_equal(np.flatnonzero(other.done("a", 9)), [2, 3, 4, 7])
    assert other.history("a", 9)["first"].tolist() == [2, 7]


def test_ledger_lies_beside_the_output(tmp_path):
    Ledger(Location.of(f"{tmp_path}/out.zarr/")).write({"output": "a"})
    assert (tmp_path / "out.zarr.ledger" / "job.json").exists()
    assert not (tmp_path / "out.zarr").exists()


def test_marking_twice_is_harmless(ledger):
    ledger.mark("a", [receipt(3)])
    ledger.mark("a", [receipt(3, ended=2.0), receipt(2, 4, ended=1.5)])
    assert ledger.done("a", 5).sum() == 3
    assert ledger.history("a", 5)["bytes_stored"].sum() == 3


def test_strangers_among_the_receipts_are_ignored(ledger):
    ledger.mark("a", [receipt(0)])
    for name in (".nfs0001", "note.txt"):
        ledger._folder.write(f"receipts/{name}", b"")
        ledger._folder.write(f"segments/{name}", b"")
    assert ledger.done("a", 5).sum() == 1


def test_torn_record_names_the_file_and_the_way_out(ledger, tmp_path):
    path = tmp_path / "out.zarr.ledger" / "job.json"
    path.write_text(path.read_text()[:5])
    with pytest.raises(ValueError, match=r"job\.json.*overwrite=True"):
        ledger.read()


def test_nothing_is_recorded_of_an_output_that_was_replaced(ledger):
    ledger.mark("a", [receipt(1)])
    ledger.write({"output": "b"})
    assert not ledger.done("b", 5).any()
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        ledger.mark("a", [receipt(2)])


def test_removing_leaves_the_lock_alone(ledger):
    with ledger.lock("run") as lock:
        lock.acquire()
        ledger.mark("a", [receipt(1)])
        ledger.fail("a", {2: "no"}, 1.0)
        ledger.remove()
        assert ledger.read() is None
        assert not ledger.done("a", 5).any()
        lock.check()


def test_ten_thousand_receipts_become_a_few_files(ledger, monkeypatch):
    monkeypatch.setattr(module, "_RECEIPTS", 20)
    monkeypatch.setattr(module, "_SEGMENTS", 3)
    rng = np.random.default_rng(0)
    order = rng.permutation(2000)
    for number, block in enumerate(order[:1900]):
        ledger.mark("a", [receipt(int(block), ended=number * 0.1)])
        if number % 10 == 9:
            ledger.compact("a")
            assert n_files(ledger, "receipts") < 30
            assert n_files(ledger, "segments") < 3 * 6
    done = np.zeros(2000, dtype=bool)
    done[order[:1900]] = True
    np.testing.assert_array_equal(ledger.done("a", 2000), done)
    assert ledger.history("a", 2000)["bytes_stored"].sum() == 1900
    ledger.compact("a", all_receipts=True)
    assert n_files(ledger, "receipts") == 0
    np.testing.assert_array_equal(ledger.done("a", 2000), done)


@pytest.mark.parametrize("victim", ["receipts", "segments"])
def test_death_between_putting_together_and_removing_counts_nothing_twice(
    ledger, monkeypatch, victim
):
    monkeypatch.setattr(module, "_RECEIPTS", 2)
    monkeypatch.setattr(module, "_SEGMENTS", 2)
    ledger.mark("a", [receipt(n) for n in range(4)])
    if victim == "segments":
        ledger.compact("a")
        ledger.mark("a", [receipt(n) for n in range(4, 8)])
    before = ledger.history("a", 8)["bytes_stored"].sum()
    real = type(ledger._folder).remove

    def dies(folder, kind, names):
        if kind == victim:
            raise KeyboardInterrupt
        real(folder, kind, names)

    with monkeypatch.context() as patch:
        patch.setattr(type(ledger._folder), "remove", dies)
        with pytest.raises(KeyboardInterrupt):
            ledger.compact("a")
    assert ledger.history("a", 8)["bytes_stored"].sum() == before == ledger.done("a", 8).sum()
    ledger.compact("a")
    assert ledger.history("a", 8)["bytes_stored"].sum() == before


def test_segments_that_are_put_together_while_they_are_read(ledger, monkeypatch):
    monkeypatch.setattr(module, "_SEGMENTS", 2)
    for n in range(2):
        ledger.mark("a", [receipt(n)])
        monkeypatch.setattr(module, "_SEGMENTS", 2 if n else 9)
        ledger.begin("a", np.zeros(0)) if n else ledger.compact("a", all_receipts=True)
    real = type(ledger._folder).read_all

    def overtaken(folder, kind, names):
        if kind == "segments":
            monkeypatch.setattr(type(folder), "read_all", real)
            ledger.compact("a", all_receipts=True)
        return real(folder, kind, names)

    monkeypatch.setattr(type(ledger._folder), "read_all", overtaken)
    assert ledger.done("a", 2).all()


def test_blocks_that_are_forgotten_are_not_done(ledger):
    ledger.mark("a", [receipt(0, 9)])
    ledger.compact("a", all_receipts=True)
    ledger.mark("a", [receipt(10, 19)])
    bad = np.zeros(20, dtype=bool)
    bad[[0, 5, 19]] = True
    ledger.forget("a", bad)
    np.testing.assert_array_equal(ledger.done("a", 20), ~bad)
    assert ledger.history("a", 20)["bytes_stored"].sum() == 17
    ledger.mark("a", [receipt(5)])
    assert ledger.done("a", 20)[5]


def test_death_while_blocks_are_forgotten_loses_no_others(ledger, monkeypatch):
    ledger.mark("a", [receipt(n, n) for n in range(0, 20, 2)])
    ledger.compact("a", all_receipts=True)
    ledger.mark("a", [receipt(n, n) for n in range(1, 20, 2)])
    bad = np.zeros(20, dtype=bool)
    bad[5] = True

    def dies(folder, kind, names):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(ledger._folder), "remove", dies)
        with pytest.raises(KeyboardInterrupt):
            ledger.forget("a", bad)
    assert ledger.done("a", 20).all()
    ledger.forget("a", bad)
    np.testing.assert_array_equal(ledger.done("a", 20), ~bad)


def test_failures_count_attempts_and_end_with_success(ledger):
    ledger.fail("a", {3: "no", 4: "never"}, 1.0)
    ledger.fail("a", {3: "not yet"}, 2.0)
    done = np.zeros(5, dtype=bool)
    assert ledger.failures("a", done) == [
        module.Failure(3, "not yet", 2, 2.0),
        module.Failure(4, "never", 1, 1.0),
    ]
    done[3] = True
    assert [failure.block for failure in ledger.failures("a", done)] == [4]
    assert ledger.failures("b", done) == []


def test_failures_that_were_overcome_do_not_come_back_with_damage(ledger):
    ledger.fail("a", {3: "no", 4: "never"}, 1.0)
    ledger.mark("a", [receipt(0, 3)])
    bad = np.zeros(5, dtype=bool)
    bad[3] = True
    ledger.forget("a", bad)
    assert ledger.failures("a", ledger.done("a", 5)) == [module.Failure(4, "never", 1, 1.0)]
    ledger.fail("a", {3: "again"}, 2.0)
    assert ledger.failures("a", bad)[0].block == 4
    assert ledger.failures("a", ~bad)[0].attempts == 1


def test_environments_and_runs_are_read_back(ledger):
    ledger.note_environment("0123456789ab", {"device": "cpu"})
    assert ledger.environments() == {"0123456789ab": {"device": "cpu"}}
    later = {"run": "b", "started": 2.0, "state": "running"}
    ledger.note_run(later)
    ledger.note_run({"run": "a", "started": 1.0, "state": "running"})
    ledger.note_run(later | {"state": "finished"})
    assert [(run["run"], run["state"]) for run in ledger.runs()] == [
        ("a", "running"),
        ("b", "finished"),
    ]
