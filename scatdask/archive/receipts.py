"""Receipts: what workers report of finished blocks, and how many of them become few."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

# Sums over the blocks of a receipt.
SUMS = (
    "read",
    "compute",
    "write",
    "bytes_read",
    "bytes_written",
    "bytes_stored",
    "coefficients",
    "missing",
    "retries",
)
_NAME = re.compile(r"(\d+)-(\d+)\.(\w+)\.json$")

HISTORY = np.dtype(
    [
        ("first", "i8"),
        ("last", "i8"),
        ("started", "f8"),
        ("ended", "f8"),
        ("read", "f8"),
        ("compute", "f8"),
        ("write", "f8"),
        ("bytes_read", "i8"),
        ("bytes_written", "i8"),
        ("bytes_stored", "i8"),
        ("coefficients", "i8"),
        ("missing", "i8"),
        ("retries", "i8"),
        ("environment", "U12"),
    ]
)
"""Columns of a history, the fields of `Receipt`."""


class Receipt(NamedTuple):
    """What a worker reports of consecutive blocks.

    Attributes
    ----------
    first, last : int
        Blocks, both included.
    started, ended : float
        Unix time, in seconds.
    read, compute, write : float
        Seconds spent.
    bytes_read, bytes_written : int
        Uncompressed.
    bytes_stored : int
        Size of the objects in the store.
    coefficients : int
        Those computed, be they written or only their statistics; 0 where an earlier version did
        not record it.
    missing : int
        Those of them that are NaN.
    retries : int
        Requests to a store that had to be repeated.
    environment : str
        Which device and versions, see `environment`.
    """

    first: int
    last: int
    started: float = 0.0
    ended: float = 0.0
    read: float = 0.0
    compute: float = 0.0
    write: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_stored: int = 0
    coefficients: int = 0
    missing: int = 0
    retries: int = 0
    environment: str = ""

    def name(self, output: str) -> str:
        """Return the name of its file, which says which blocks of which output are done."""
        return f"{self.first:012d}-{self.last:012d}.{output}.json"

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Receipt:
        """Rebuild a receipt from its file."""
        fields = json.loads(content)
        return cls(**{key: fields[key] for key in cls._fields if key in fields})


def blocks_of(name: str, output: str) -> tuple[int, int] | None:
    """Return first and last block that the name of a receipt speaks of, if it is of an output."""
    match = _NAME.search(name)
    return (int(match[1]), int(match[2])) if match and match[3] == output else None


def history(receipts: Iterable[Receipt]) -> np.ndarray:
    """Return receipts as the rows of a structured array."""
    return np.array([tuple(receipt) for receipt in receipts], dtype=HISTORY)


def merge(receipts: list[Receipt]) -> list[Receipt]:
    """Join receipts of consecutive blocks."""
    return [Receipt(*row) for row in merge_rows(history(receipts), np.inf).tolist()]


def merge_rows(rows: np.ndarray, seconds: float) -> np.ndarray:
    """Join rows of consecutive blocks, of one environment, that ended within some seconds.

    Parameters
    ----------
    rows : structured array
        A history.
    seconds : float
        How far ends may be apart: what the history says of time gets no coarser than this.
    """
    if len(rows) < 2:
        return rows
    rows = np.sort(rows, order=["first", "last"])
    same = (
        (rows["first"][1:] == rows["last"][:-1] + 1)
        & (rows["environment"][1:] == rows["environment"][:-1])
        & (_bucket(rows["ended"], seconds)[1:] == _bucket(rows["ended"], seconds)[:-1])
    )
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    merged = rows[starts].copy()
    merged["last"] = rows["last"][np.concatenate([starts[1:], [len(rows)]]) - 1]
    merged["started"] = np.minimum.reduceat(rows["started"], starts)
    merged["ended"] = np.maximum.reduceat(rows["ended"], starts)
    for name in SUMS:
        merged[name] = np.add.reduceat(rows[name], starts)
    return merged


def _bucket(ended: np.ndarray, seconds: float) -> np.ndarray:
    return np.floor(ended / seconds) if np.isfinite(seconds) else np.zeros_like(ended)


def without(rows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return a history without some blocks; rows are cut, and their sums shared out.

    Parameters
    ----------
    rows : structured array
    blocks : array of bool
        Which blocks are to go.
    """
    kept = []
    for row in rows:
        first, last = int(row["first"]), int(row["last"])
        stays = ~blocks[first : last + 1]
        if stays.all():
            kept.append(row)
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], stays, [False]]).astype(np.int8)))
        for low, high in edges.reshape(-1, 2).tolist():
            part = row.copy()
            part["first"], part["last"] = first + low, first + high - 1
            for name in SUMS:
                part[name] = share(row[name], high - low, len(stays))
            kept.append(part)
    return np.array(kept, dtype=HISTORY)


def share(total: np.generic, n: int, of: int) -> int | float:
    """Return what some of a number of blocks have of a sum; of whole things, whole ones."""
    return int(total) * n // of if isinstance(total, np.integer) else float(total) * n / of


def missing_share(rows: np.ndarray, itemsize: int | None) -> float:
    """Return the share of coefficients that are NaN, of blocks whose coefficients are known.

    Parameters
    ----------
    rows : structured array
        A history.
    itemsize : int or None
        Bytes of a coefficient, by which those are known of rows of an earlier version; None where
        other things than coefficients were written.
    """
    written = 0 if itemsize is None else rows["bytes_written"] // itemsize
    coefficients = np.where(rows["coefficients"] > 0, rows["coefficients"], written)
    total = int(coefficients.sum())
    return int(rows["missing"][coefficients > 0].sum()) / total if total else 0.0


def newest_first(rows: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return a history in which no block counts twice: of those computed again the last stays."""
    rows = np.sort(rows, order=["first", "last"])
    if (rows["first"][1:] > rows["last"][:-1]).all():
        return rows
    seen = np.zeros(n_blocks, dtype=bool)
    kept = []
    for row in np.sort(rows, order="ended")[::-1]:
        part = slice(int(row["first"]), int(row["last"]) + 1)
        kept.append(without(row[np.newaxis], seen))
        seen[part] = True
    return np.sort(np.concatenate(kept), order=["first", "last"])


def to_bytes(rows: np.ndarray) -> bytes:
    """Return a history as the content of a file, column by column."""
    buffer = io.BytesIO()
    columns: dict[str, Any] = {name: rows[name] for name in HISTORY.names or ()}
    np.savez_compressed(buffer, **columns)
    return buffer.getvalue()


def from_bytes(content: bytes) -> np.ndarray:
    """Rebuild a history from `to_bytes`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as columns:
        rows = np.zeros(len(columns["first"]), dtype=HISTORY)
        for name in set(HISTORY.names or ()) & set(columns.files):
            rows[name] = columns[name]
    return rows


def ranges(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last blocks of a file by `to_bytes`, without reading the rest."""
    with np.load(io.BytesIO(content), allow_pickle=False) as columns:
        return columns["first"], columns["last"]
