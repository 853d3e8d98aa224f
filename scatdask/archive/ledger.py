"""The ledger: what a job is, and which of its blocks are done.

It is a folder beside the output. ``job.json`` holds fingerprints of transform and source, and the
layout of the blocks; ``receipts/`` holds one small file for each finished task, written by the
worker after the chunks of the output. The *name* of a receipt is its content: a run lists the
folder and knows what is done, without opening a million files, and a receipt cannot be torn.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import fsspec
import numpy as np

_RECEIPT = re.compile(r"(\d+)-(\d+)\.json$")


class Receipt(NamedTuple):
    """What a worker reports of consecutive blocks.

    Attributes
    ----------
    first, last : int
        Blocks, both included.
    read, compute, write : float
        Seconds spent.
    bytes_read, bytes_written : int
        Uncompressed.
    """

    first: int
    last: int
    read: float
    compute: float
    write: float
    bytes_read: int
    bytes_written: int


class Ledger:
    """Ledger of the output at a location.

    Parameters
    ----------
    target : str
        Path or URL of the output.
    """

    def __init__(self, target: str) -> None:
        self.location = target.rstrip("/") + ".ledger"
        self._filesystem, self._root = fsspec.core.url_to_fs(self.location)

    def _path(self, *names: str) -> str:
        return posixpath.join(self._root, *names)

    def read(self) -> dict[str, Any] | None:
        """Return the record of the job, or None where there is no ledger."""
        try:
            record = json.loads(self._filesystem.cat_file(self._path("job.json")))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(
                f"{self._path('job.json')} is not a ledger's record ({error}): remove "
                f"{self.location!r}, or run with overwrite=True"
            ) from error
        assert isinstance(record, dict)
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Start a ledger."""
        self._filesystem.makedirs(self._path("receipts"), exist_ok=True)
        text = json.dumps(record, indent=1, sort_keys=True)
        self._filesystem.pipe_file(self._path("job.json"), text.encode())

    def remove(self) -> None:
        """Forget the job."""
        self._filesystem.invalidate_cache(self._root)
        if self._filesystem.exists(self._root):
            self._filesystem.rm(self._root, recursive=True)

    def mark_created(self) -> None:
        """Record that the output's arrays and coordinates are in place."""
        self._filesystem.pipe_file(self._path("created"), b"")

    def is_created(self) -> bool:
        """Say whether the output's arrays and coordinates are in place."""
        self._filesystem.invalidate_cache(self._path("created"))
        return bool(self._filesystem.exists(self._path("created")))

    def mark(self, receipts: Iterable[Receipt]) -> None:
        """Record finished blocks."""
        for receipt in receipts:
            name = f"{receipt.first:012d}-{receipt.last:012d}.json"
            text = json.dumps(receipt._asdict())
            self._filesystem.pipe_file(self._path("receipts", name), text.encode())

    def done(self, n_blocks: int) -> np.ndarray:
        """Return a boolean array that says which blocks are done."""
        done = np.zeros(n_blocks, dtype=bool)
        self._filesystem.invalidate_cache(self._path("receipts"))
        try:
            names = self._filesystem.ls(self._path("receipts"), detail=False)
        except FileNotFoundError:
            return done
        for name in names:
            if match := _RECEIPT.search(name):
                done[int(match[1]) : int(match[2]) + 1] = True
        return done


def merge(receipts: list[Receipt]) -> list[Receipt]:
    """Join receipts of consecutive blocks."""
    ordered = sorted(receipts)
    merged = []
    for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1].first - pair[0]):
        members = [receipt for _, receipt in run]
        sums = (sum(values) for values in list(zip(*members, strict=True))[2:])
        merged.append(Receipt(members[0].first, members[-1].last, *sums))
    return merged
