from __future__ import annotations

import numpy as np
import pytest

from scatdask.archive.ledger import Ledger, Receipt, merge


def receipt(block: int, seconds: float = 1.0) -> Receipt:
    return Receipt(block, block, seconds, seconds, seconds, 10, 20)


def test_nothing_there_means_nothing_done(tmp_path):
    ledger = Ledger(str(tmp_path / "out.zarr"))
    assert ledger.read() is None
    assert not ledger.is_created()
    assert not ledger.done(5).any()


def test_record_and_receipts_are_read_back_by_another_ledger(tmp_path):
    target = str(tmp_path / "out.zarr")
    ledger = Ledger(target)
    ledger.write({"dim": "time"})
    ledger.mark_created()
    ledger.mark([Receipt(2, 4, 1.0, 1.0, 1.0, 1, 1), receipt(7)])
    other = Ledger(target)
    assert other.read() == {"dim": "time"}
    assert other.is_created()
    np.testing.assert_array_equal(np.flatnonzero(other.done(9)), [2, 3, 4, 7])


def test_ledger_lies_beside_the_output(tmp_path):
    Ledger(str(tmp_path / "out.zarr/")).write({})
    assert (tmp_path / "out.zarr.ledger" / "job.json").exists()
    assert not (tmp_path / "out.zarr").exists()


def test_marking_twice_is_harmless(tmp_path):
    ledger = Ledger(str(tmp_path / "out.zarr"))
    ledger.write({})
    ledger.mark([receipt(3)])
    ledger.mark([receipt(3, seconds=2.0)])
    assert ledger.done(5).sum() == 1


def test_strangers_among_the_receipts_are_ignored(tmp_path):
    ledger = Ledger(str(tmp_path / "out.zarr"))
    ledger.write({})
    (tmp_path / "out.zarr.ledger" / "receipts" / ".nfs0001").touch()
    (tmp_path / "out.zarr.ledger" / "receipts" / "note.txt").touch()
    assert not ledger.done(5).any()


def test_torn_record_names_the_file_and_the_way_out(tmp_path):
    ledger = Ledger(str(tmp_path / "out.zarr"))
    ledger.write({"dim": "time"})
    path = tmp_path / "out.zarr.ledger" / "job.json"
    path.write_text(path.read_text()[:5])
    with pytest.raises(ValueError, match=r"job\.json.*overwrite=True"):
        ledger.read()


def test_merge_joins_neighbours_and_adds_up():
    merged = merge([receipt(4), receipt(1), receipt(2), receipt(5), receipt(9)])
    assert [(r.first, r.last) for r in merged] == [(1, 2), (4, 5), (9, 9)]
    assert merged[0].read == 2.0
    assert merged[0].bytes_written == 40
    assert merge([]) == []
