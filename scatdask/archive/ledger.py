"""The ledger: what a job is, and which of its blocks are done.

It is a folder beside the output. ``job.json`` holds fingerprints of transform and source, the
layout of the blocks, and the identity of the output; ``receipts/`` holds one small file for each
finished task, written by the worker after the chunks of the output. The *name* of a receipt is its
content: a run lists the folder and knows what is done, without opening a million files, and a
receipt cannot be torn.

An output that is made anew has another identity. Workers of an earlier run, which may still be at
work somewhere, see it and write no more; receipts of theirs count for nothing.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scatdask.archive.locations import Location
from scatdask.errors import OutputExistsError

_RECEIPT = re.compile(r"(\d+)-(\d+)\.(\w+)\.json$")


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
    missing : int
        Numbers written that are NaN.
    """

    first: int
    last: int
    read: float
    compute: float
    write: float
    bytes_read: int
    bytes_written: int
    missing: int = 0


class Ledger:
    """Ledger of the output at a location.

    Parameters
    ----------
    target : Location
        Of the output.
    """

    def __init__(self, target: Location) -> None:
        self.location = target.beside(".ledger")
        self._filesystem, self._root = self.location.filesystem, self.location.path
        self._is_local = self.location.is_local

    def _path(self, *names: str) -> str:
        return posixpath.join(self._root, *names)

    def exists(self) -> bool:
        """Say whether there is a ledger, be it readable or not."""
        self._filesystem.invalidate_cache(self._root)
        return bool(self._filesystem.exists(self._path("job.json")))

    def read(self) -> dict[str, Any] | None:
        """Return the record of the job, or None where there is no ledger."""
        try:
            record: dict[str, Any] = json.loads(self._filesystem.cat_file(self._path("job.json")))
            str(record["output"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self._path('job.json')} is not a ledger's record ({error}): remove "
                f"{self.location.url!r}, or run with overwrite=True"
            ) from error
        return _renewed(record)

    def begin(self, record: dict[str, Any], after: str | None = None) -> bool:
        """Write the record of an output that is to be made.

        Parameters
        ----------
        record : dict
            Its ``"output"`` is the identity of the output.
        after : str, optional
            Identity of the output that it replaces, which was left half made or removed.

        Returns
        -------
        bool
            False if another run was first, and has written or is about to write its own.
        """
        self._filesystem.makedirs(self._path("receipts"), exist_ok=True)
        if not self._claim("begun" if after is None else f"begun-after-{after}"):
            return False
        text = json.dumps(record, indent=1, sort_keys=True)
        path = self._path("job.json")
        if self._is_local:  # never half a file under this name; object stores see to it themselves
            written = Path(f"{path}.{record['output']}")
            written.write_text(text)
            written.replace(path)
        else:
            self._filesystem.pipe_file(path, text.encode())
        return True

    def _claim(self, name: str) -> bool:
        """Create an empty file; False if it exists."""
        path = self._path(name)
        try:
            if self._is_local:  # where fsspec itself would first look and then write
                Path(path).touch(exist_ok=False)
            else:
                self._filesystem.pipe_file(path, b"", mode="create")
        except FileExistsError:
            return False
        return True

    def check(self, output: str) -> None:
        """Raise OutputExistsError unless the output is still the one of this identity."""
        record = self.read()
        if record is None or record["output"] != output:
            raise OutputExistsError("the output was replaced meanwhile")

    def remove(self) -> None:
        """Forget the job."""
        self._filesystem.invalidate_cache(self._root)
        if self._filesystem.exists(self._root):
            self._filesystem.rm(self._root, recursive=True)

    def mark_created(self, output: str) -> None:
        """Record that the output's arrays and coordinates are in place."""
        self.check(output)
        self._filesystem.pipe_file(self._path("created"), output.encode())

    def is_created(self, output: str) -> bool:
        """Say whether the output's arrays and coordinates are in place."""
        try:
            return bool(self._filesystem.cat_file(self._path("created")) == output.encode())
        except FileNotFoundError:
            return False

    def mark(self, output: str, receipts: Iterable[Receipt]) -> None:
        """Record finished blocks of an output."""
        for receipt in receipts:
            self.check(output)
            name = f"{receipt.first:012d}-{receipt.last:012d}.{output}.json"
            text = json.dumps(receipt._asdict())
            self._filesystem.pipe_file(self._path("receipts", name), text.encode())

    def done(self, output: str, n_blocks: int) -> np.ndarray:
        """Return a boolean array that says which blocks of an output are done."""
        done = np.zeros(n_blocks, dtype=bool)
        self._filesystem.invalidate_cache(self._path("receipts"))
        try:
            names = self._filesystem.ls(self._path("receipts"), detail=False)
        except FileNotFoundError:
            return done
        for name in names:
            if (match := _RECEIPT.search(name)) and match[3] == output:
                done[int(match[1]) : int(match[2]) + 1] = True
        return done


def _renewed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of before there were several core dimensions in the form of today."""
    if "dim" not in record:
        return record
    old = {"dim": "dims", "n": "shape", "length": "lengths", "at_once": "at_once"}
    layouts = [
        {old.get(key, key): [value] if key in old else value for key, value in fields.items()}
        for fields in record["layouts"]
    ]
    return {**record, "dims": [record["dim"]], "layouts": layouts}


def merge(receipts: list[Receipt]) -> list[Receipt]:
    """Join receipts of consecutive blocks."""
    ordered = sorted(receipts)
    merged = []
    for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1].first - pair[0]):
        members = [receipt for _, receipt in run]
        sums = (sum(values) for values in list(zip(*members, strict=True))[2:])
        merged.append(Receipt(members[0].first, members[-1].last, *sums))
    return merged
