from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive import receipts as records
from scatdask.archive.receipts import HISTORY, Receipt, history, merge, merge_rows


def receipt(first: int, last: int | None = None, ended: float = 0.0, **fields) -> Receipt:
    last = first if last is None else last
    return Receipt(first, last, ended - 1, ended, bytes_written=10 * (last - first + 1), **fields)


def covered(rows: np.ndarray, n: int = 200) -> np.ndarray:
    """Return how often each block is in a history."""
    count = np.zeros(n, dtype=int)
    for row in rows:
        count[row["first"] : row["last"] + 1] += 1
    return count


@st.composite
def histories(draw):
    """Draw receipts, some of which speak of the same blocks."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 180),
                st.integers(0, 19),
                st.integers(0, 500),
                st.sampled_from(["cpu", "gpu"]),
            ),
            max_size=30,
        )
    )
    rows = [
        receipt(first, first + more, ended=time, environment=name)
        for first, more, time, name in drawn
    ]
    return history(rows)


def test_receipts_are_read_back():
    whole = Receipt(3, 7, 1.0, 2.0, 0.25, 0.5, 0.125, 100, 200, 50, 3, 1, "0123456789ab")
    assert Receipt.from_bytes(whole.to_bytes()) == whole
    assert records.blocks_of(whole.name("ab12"), "ab12") == (3, 7)
    assert records.blocks_of(whole.name("ab12"), "cd34") is None
    assert records.blocks_of(".nfs0001", "ab12") is None


def test_merge_joins_neighbours_and_adds_up():
    merged = merge([receipt(n, missing=n, retries=1) for n in (4, 1, 2, 5, 9)])
    assert [(r.first, r.last) for r in merged] == [(1, 2), (4, 5), (9, 9)]
    assert merged[1].bytes_written == 20
    assert merged[1].missing == 9
    assert merged[1].retries == 2
    assert merge([]) == []


def test_neighbours_of_other_devices_or_times_stay_apart():
    rows = history(
        [
            receipt(0, ended=1.0, environment="cpu"),
            receipt(1, ended=2.0, environment="cpu"),
            receipt(2, ended=3.0, environment="gpu"),
            receipt(3, ended=40.0, environment="gpu"),
        ]
    )
    merged = merge_rows(rows, seconds=30.0)
    assert merged["first"].tolist() == [0, 2, 3]
    assert merged["ended"].tolist() == [2.0, 3.0, 40.0]
    assert merged["started"].tolist() == [0.0, 2.0, 39.0]


@given(histories(), st.sampled_from([0.5, 30.0, np.inf]))
def test_merging_keeps_blocks_and_sums(rows, seconds):
    merged = merge_rows(rows, seconds)
    np.testing.assert_array_equal(covered(merged), covered(rows))
    for name in ("bytes_written", "read", "retries"):
        assert merged[name].sum() == rows[name].sum()


@given(histories(), st.lists(st.integers(0, 199), max_size=40))
def test_blocks_that_are_taken_out_are_gone_and_no_others(rows, blocks):
    out = np.zeros(200, dtype=bool)
    out[blocks] = True
    left = records.without(rows, out)
    np.testing.assert_array_equal(covered(left), np.where(out, 0, covered(rows)))
    assert left["bytes_written"].sum() == 10 * covered(left).sum()


def test_share_of_nan_is_of_coefficients_whatever_was_written():
    rows = history(
        [
            Receipt(0, 0, bytes_written=4_000, coefficients=1_000, missing=250),
            Receipt(1, 1, bytes_written=12_000, missing=250),  # of before they were counted
        ]
    )
    assert records.missing_share(rows, 4) == 500 / 4_000
    assert records.missing_share(rows, None) == 250 / 1_000
    assert records.missing_share(rows[:0], 4) == 0


@given(histories())
def test_no_block_counts_twice(rows):
    once = records.newest_first(rows, 200)
    np.testing.assert_array_equal(covered(once), covered(rows) > 0)
    for row in once:  # the last one who computed a block stays
        block = (rows["first"] <= row["first"]) & (rows["last"] >= row["last"])
        assert row["ended"] == rows["ended"][block].max()


@given(histories())
def test_histories_are_read_back(rows):
    content = records.to_bytes(rows)
    again = records.from_bytes(content)
    assert again.dtype == HISTORY
    np.testing.assert_array_equal(again, rows)
    first, last = records.ranges(content)
    np.testing.assert_array_equal(first, rows["first"])
    np.testing.assert_array_equal(last, rows["last"])


def test_ten_million_blocks_of_one_run_are_a_small_file():
    first = np.arange(0, 10_000_000, 100)
    rows = np.zeros(len(first), dtype=HISTORY)
    rows["first"], rows["last"] = first, first + 99
    rows["ended"] = np.arange(len(first)) * 0.01
    merged = merge_rows(rows, 30.0)
    assert len(merged) == 34
    assert len(records.to_bytes(merged)) < 10_000
