from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive.report.blockmap import block_map, times_done
from tests.archive.report.synthetic import BEGAN, history, layout


def test_of_two_times_the_later_counts() -> None:
    rows = history(10, 2)[[1, 0, 1]]  # in any order
    rows["ended"] = BEGAN + np.array([5.0, 1.0, 3.0])
    times = times_done(rows, 12)
    np.testing.assert_array_equal(times[:5], BEGAN + 1)
    np.testing.assert_array_equal(times[5:10], BEGAN + 5)
    assert np.isnan(times[10:]).all()


@given(
    st.integers(0, 60),
    st.integers(1, 300),
    st.integers(1, 500),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_every_block_is_in_one_cell(
    rows: int, columns: int, most: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = rows * columns
    times = np.where(rng.random(n) < share, rng.uniform(1, 2, n), np.nan)
    failed = rng.random(n) < 0.1
    found = block_map(layout(rows, columns), times, failed, most)
    assert len(found.cells) <= max(most, 80)
    assert sum(cell.blocks for cell in found.cells) == n
    assert sum(cell.done for cell in found.cells) == np.isfinite(times).sum()
    assert sum(cell.failed for cell in found.cells) == (failed & np.isnan(times)).sum()
    assert all(cell.blocks <= found.per_cell for cell in found.cells)
    assert len({(cell.row, cell.column) for cell in found.cells}) == len(found.cells)
    assert all(c.row < found.rows and c.column < found.columns for c in found.cells)
    done = [cell for cell in found.cells if cell.done]
    if done:
        assert min(cell.since for cell in done) == np.nanmin(times)
        assert max(cell.until for cell in done) == np.nanmax(times)


def test_signals_run_down_and_time_across() -> None:
    times = np.full(400 * 2000, np.nan)
    times[17 * 2000 : 18 * 2000] = BEGAN  # one station
    found = block_map(layout(400, 2000), times, np.zeros(len(times), dtype=bool), 1200)
    assert (found.row_label, found.column_label) == ("station", "time")
    assert {cell.row for cell in found.cells if cell.done} == {0}
    assert len([cell for cell in found.cells if cell.done]) == found.columns


def test_one_long_signal_is_laid_out_as_words() -> None:
    found = block_map(layout(1, 1_000_000), np.full(10**6, np.nan), np.zeros(10**6, bool), 1200)
    assert (found.row_label, found.column_label) == ("", "")
    assert found.rows == 15
    assert found.cells[1].what == "blocks 834 to 1,667"


@pytest.mark.parametrize(("row", "what"), [(0, "block 0"), (1, "block 40")])
def test_few_blocks_have_a_cell_each(row: int, what: str) -> None:
    found = block_map(layout(3, 40), np.full(120, np.nan), np.zeros(120, dtype=bool), 1200)
    assert found.per_cell == 1
    assert found.cells[40 * row].what == what
