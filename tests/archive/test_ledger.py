from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scatdask.archive.ledger import Ledger, Receipt, merge
from scatdask.archive.locations import Location
from scatdask.errors import OutputExistsError


def receipt(block: int, seconds: float = 1.0) -> Receipt:
    return Receipt(block, block, seconds, seconds, seconds, 10, 20)


def test_nothing_there_means_nothing_done(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    assert ledger.read() is None
    assert not ledger.is_created("a")
    assert not ledger.done("a", 5).any()


def test_record_and_receipts_are_read_back_by_another_ledger(tmp_path):
    target = Location.of(tmp_path / "out.zarr")
    ledger = Ledger(target)
    ledger.begin({"dims": ["time"], "output": "a"})
    ledger.mark_created("a")
    ledger.mark("a", [Receipt(2, 4, 1.0, 1.0, 1.0, 1, 1), receipt(7)])
    other = Ledger(target)
    assert other.read() == {"dims": ["time"], "output": "a"}
    assert other.is_created("a")
    np.testing.assert_array_equal(np.flatnonzero(other.done("a", 9)), [2, 3, 4, 7])


def test_ledger_lies_beside_the_output(tmp_path):
    Ledger(Location.of(f"{tmp_path}/out.zarr/")).begin({"output": "a"})
    assert (tmp_path / "out.zarr.ledger" / "job.json").exists()
    assert not (tmp_path / "out.zarr").exists()


def test_marking_twice_is_harmless(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.begin({"output": "a"})
    ledger.mark("a", [receipt(3)])
    ledger.mark("a", [receipt(3, seconds=2.0)])
    assert ledger.done("a", 5).sum() == 1


def test_strangers_among_the_receipts_are_ignored(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.begin({"output": "a"})
    (tmp_path / "out.zarr.ledger" / "receipts" / ".nfs0001").touch()
    (tmp_path / "out.zarr.ledger" / "receipts" / "note.txt").touch()
    assert not ledger.done("a", 5).any()


def test_torn_record_names_the_file_and_the_way_out(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.begin({"dims": ["time"], "output": "a"})
    path = tmp_path / "out.zarr.ledger" / "job.json"
    path.write_text(path.read_text()[:5])
    with pytest.raises(ValueError, match=r"job\.json.*overwrite=True"):
        ledger.read()


@pytest.mark.parametrize("place", ["{}", "memory:/{}"])
def test_only_one_run_begins_an_output(tmp_path, place):
    target = Location.of(place.format(tmp_path / "out.zarr"))
    assert Ledger(target).begin({"output": "a"})
    assert not Ledger(target).begin({"output": "b"})
    assert Ledger(target).begin({"output": "c"}, after="a")
    assert not Ledger(target).begin({"output": "d"}, after="a")
    assert Ledger(target).read() == {"output": "c"}


def test_record_is_never_half_written(tmp_path, monkeypatch):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.begin({"output": "a"})

    def stopped(self, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        ledger.begin({"output": "b"}, after="a")
    assert ledger.read() == {"output": "a"}


def test_nothing_is_recorded_of_an_output_that_was_replaced(tmp_path):
    ledger = Ledger(Location.of(tmp_path / "out.zarr"))
    ledger.begin({"output": "a"})
    ledger.mark_created("a")
    ledger.mark("a", [receipt(1)])
    ledger.begin({"output": "b"}, after="a")
    assert not ledger.is_created("b")
    assert not ledger.done("b", 5).any()
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        ledger.mark("a", [receipt(2)])
    with pytest.raises(OutputExistsError, match="replaced meanwhile"):
        ledger.mark_created("a")


def test_merge_joins_neighbours_and_adds_up():
    merged = merge([receipt(4), receipt(1), receipt(2), receipt(5), receipt(9)])
    spoilt = [receipt(n)._replace(missing=n) for n in (4, 5)]
    assert merge(spoilt)[0].missing == 9
    assert [(r.first, r.last) for r in merged] == [(1, 2), (4, 5), (9, 9)]
    assert merged[0].read == 2.0
    assert merged[0].bytes_written == 40
    assert merge([]) == []
