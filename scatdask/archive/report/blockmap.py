"""From receipts to a map: blocks put together in cells, so that any job fits on a page."""

from __future__ import annotations

import math

import numpy as np

from scatdask.archive.layout import Layout
from scatdask.archive.report.summary import BlockMap, Cell

_COLUMNS, _ROWS = 80, 24


def times_done(history: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return when each block was last done, in Unix seconds; NaN where it is not.

    Parameters
    ----------
    history : structured array
        One row for consecutive blocks that were done together.
    n_blocks : int
    """
    rows = history[np.argsort(history["ended"], kind="stable")]  # of two times the later stays
    times = np.full(n_blocks, np.nan)
    for first, last, ended in zip(rows["first"], rows["last"], rows["ended"], strict=True):
        times[first : last + 1] = ended
    return times


def block_map(layout: Layout, times: np.ndarray, failed: np.ndarray, most: int) -> BlockMap:
    """Put the blocks of a variable together in cells.

    Signals run down and core dimensions across where that shows enough; else blocks are laid out
    in the order of their numbers, as words on a page.

    Parameters
    ----------
    layout : Layout
    times : array of float, shape (n_blocks,)
        When each was done; NaN where it is not.
    failed : array of bool, shape (n_blocks,)
        Which were given up.
    most : int
        Cells, at most.
    """
    n_core = len(layout.grid)
    n_rows = layout.n_blocks // n_core if n_core else 0
    rows = _Axis.of(n_rows, min(_ROWS, max(most // _COLUMNS, 1)))
    columns = _Axis.of(n_core, min(_COLUMNS, most))
    block = np.arange(layout.n_blocks)
    if min(n_rows, n_core) > 1 and 2 * rows.cells * columns.cells >= min(most, layout.n_blocks):
        down, across = np.divmod(block, n_core)
        cell = down // rows.per_cell * columns.cells + across // columns.per_cell
        row_label = " × ".join(layout.batch_dims)
        column_label = " × ".join(layout.dims)
        width, per_cell = columns.cells, rows.per_cell * columns.per_cell
    else:
        all_cells = _Axis.of(layout.n_blocks, most)
        cell, per_cell = block // max(all_cells.per_cell, 1), all_cells.per_cell
        width = -(-all_cells.cells // max(-(-all_cells.cells // _COLUMNS), 1))
        row_label = column_label = ""
    count = int(cell[-1]) + 1 if len(cell) else 0
    is_done = np.isfinite(times)
    first = np.full(count, layout.n_blocks)
    np.minimum.at(first, cell, block)
    last = np.zeros(count, dtype=np.int64)
    np.maximum.at(last, cell, block)
    since, until = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(since, cell[is_done], times[is_done])
    np.maximum.at(until, cell[is_done], times[is_done])
    total = np.bincount(cell, minlength=count)
    done = np.bincount(cell[is_done], minlength=count)
    lost = np.bincount(cell[failed & ~is_done], minlength=count)
    cells = tuple(
        Cell(
            i // width,
            i % width,
            _what(int(first[i]), int(last[i]), int(total[i])),
            int(total[i]),
            int(done[i]),
            int(lost[i]),
            float(since[i]) if done[i] else math.nan,
            float(until[i]) if done[i] else math.nan,
        )
        for i in range(count)
    )
    height = -(-count // width) if count else 0
    return BlockMap(layout.variable, height, width, row_label, column_label, per_cell, cells)


class _Axis:
    """How many blocks in a row go into how many cells."""

    def __init__(self, cells: int, per_cell: int) -> None:
        self.cells, self.per_cell = cells, per_cell

    @classmethod
    def of(cls, n: int, most: int) -> _Axis:
        per_cell = max(-(-n // most), 1)
        return cls(-(-n // per_cell), per_cell)


def _what(first: int, last: int, count: int) -> str:
    if count == 1:
        return f"block {first:,}"
    if last - first + 1 == count:
        return f"blocks {first:,} to {last:,}"
    return f"{count:,} blocks from {first:,} to {last:,}"
