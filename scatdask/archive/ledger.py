"""The ledger: what a job is, and which of its blocks are done.

It is a folder beside the output. ``job.json`` says what the job is: fingerprints of transform and
source, the layout of the blocks, and the identity of the output. A worker writes a small file to
``receipts/`` for each finished task, after the chunks of the output; its *name* says which blocks
are done, so a run knows from a listing, and a receipt cannot be torn. The run that holds the lock
puts receipts together into ``segments/``, and those into larger ones, so that ten million blocks
are some dozens of files.

An output that is made anew has another identity. Workers of an earlier run, which may still be at
work somewhere, see it and write no more; receipts of theirs count for nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from scatdask.archive import receipts as records
from scatdask.archive.files import Folder
from scatdask.archive.locations import LEDGER, Location
from scatdask.archive.lock import COMMITS, OUTPUT, Lock, is_held
from scatdask.archive.receipts import Receipt
from scatdask.errors import OutputExistsError

# So many receipts become a segment, and so many segments one of the next level.
_RECEIPTS, _SEGMENTS = 500, 12
# Seconds to which the times of blocks are known in segments of the first level; four times as
# many on each further one.
_RESOLUTION = 30.0
_SEGMENT = re.compile(r"(\d+)-\w+\.(\w+)\.npz$")
_OF_OUTPUT = re.compile(r"\.[0-9a-f]{32}\.(npz|json)$")
_FAILURE = re.compile(r"(\d+)\.(\w+)\.json$")


class Failure(NamedTuple):
    """A block that could not be computed.

    Attributes
    ----------
    block : int
    reason : str
    attempts : int
        Runs that tried.
    time : float
        Of the last attempt, Unix time in seconds.
    """

    block: int
    reason: str
    attempts: int
    time: float


class Ledger:
    """Ledger of the output at a location.

    Parameters
    ----------
    target : Location
        Of the output.
    """

    def __init__(self, target: Location) -> None:
        self.location = target.beside(LEDGER)
        self._folder = Folder(self.location)

    def lock(self, run: str) -> Lock:
        """Return the lock on the output, not taken yet."""
        return Lock(self._folder, run)

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Wait for the right to commit to the repository of the output, and hold it."""
        with Lock(self._folder, uuid.uuid4().hex, COMMITS) as lock:
            lock.wait()
            yield

    def is_locked(self) -> bool:
        """Say whether a run that is alive is writing the output."""
        return is_held(self._folder)

    def exists(self) -> bool:
        """Say whether there is a ledger, be it readable or not."""
        return self._folder.exists("job.json")

    def read(self) -> dict[str, Any] | None:
        """Return the record of the job, or None where there is no ledger."""
        try:
            record: dict[str, Any] = json.loads(self._folder.read("job.json"))
            str(record["output"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.location.url}/job.json is not a ledger's record ({error}): remove "
                f"{self.location.url!r}, or run with overwrite=True"
            ) from error
        return record

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the record of the job; its ``"output"`` is the identity of the output."""
        self._folder.write("job.json", json.dumps(record, indent=1, sort_keys=True).encode())

    def amend(self, output: str, **fields: Any) -> None:
        """Record more of an output, unless that is recorded; only for a run with the lock.

        Raises
        ------
        OutputExistsError
            If it was replaced meanwhile.
        """
        self.check(output)
        record = self.read() or {}
        if any(record.get(name) != value for name, value in fields.items()):
            self.write({**record, **fields})

    def check(self, output: str) -> None:
        """Raise OutputExistsError unless the output is still the one of this identity."""
        record = self.read()
        if record is None or record["output"] != output:
            raise OutputExistsError("the output was replaced meanwhile")

    def remove(self) -> None:
        """Forget the job; locks stay."""
        for folder in ("receipts", "segments", "failures", "environments", "runs"):
            self._folder.remove(folder, self._folder.names(folder))
        self._folder.remove(
            "", [name for name in self._folder.names() if name not in (OUTPUT, COMMITS)]
        )

    def mark(self, output: str, receipts: Iterable[Receipt]) -> None:
        """Record finished blocks of an output."""
        for receipt in receipts:
            self.check(output)
            self._folder.write(f"receipts/{receipt.name(output)}", receipt.to_bytes())

    def done(self, output: str, n_blocks: int) -> np.ndarray:
        """Return a boolean array that says which blocks of an output are done."""
        done = np.zeros(n_blocks, dtype=bool)
        # Receipts before segments: what is put together meanwhile is seen twice, but not missed.
        for _, (first, last) in self._receipts(output):
            done[first : last + 1] = True
        for content in self._segments(output).values():
            for first, last in zip(*records.ranges(content), strict=True):
                done[first : last + 1] = True
        return done

    def history(self, output: str, n_blocks: int) -> np.ndarray:
        """Return what is known of the finished blocks, see `HISTORY`; none counts twice."""
        return records.newest_first(self._rows(output)[0], n_blocks)

    def begin(self, output: str, rows: np.ndarray) -> None:
        """Record the blocks that an output has from the beginning."""
        if len(rows):
            self._write_segment(output, 1, rows)

    def compact(self, output: str, *, all_receipts: bool = False) -> None:
        """Put many small files together into few; only for a run that holds the lock."""
        names = [name for name, _ in self._receipts(output)]
        if len(names) >= _RECEIPTS or (all_receipts and names):
            files = self._folder.read_all("receipts", names)
            self._write_segment(output, 1, records.history(map(Receipt.from_bytes, files.values())))
            self._folder.remove("receipts", names)
        level = 1
        while True:
            files = self._segments(output, level)
            if len(files) < _SEGMENTS:
                return
            rows = np.concatenate([records.from_bytes(content) for content in files.values()])
            level += 1
            self._write_segment(output, level, rows)
            self._folder.remove("segments", list(files))

    def forget(self, output: str, blocks: np.ndarray) -> None:
        """Take blocks for not done; only for a run that holds the lock.

        Parameters
        ----------
        output : str
        blocks : array of bool
            Which ones.
        """
        # What they failed of before they were done says nothing of why they are not now.
        failed = [failure.block for failure in self._failures(output) if blocks[failure.block]]
        self._folder.remove("failures", [_failure_name(block, output) for block in failed])
        rows, names, segments = self._rows(output)
        self.begin(output, records.without(records.newest_first(rows, len(blocks)), blocks))
        # What is done is written first: a death in between costs no work, and leaves bad blocks
        # to the next verification.
        self._folder.remove("receipts", names)
        self._folder.remove("segments", segments)

    def fail(self, output: str, failures: Mapping[int, str], time: float) -> None:
        """Record blocks that could not be computed, with the reasons."""
        before = {failure.block: failure.attempts for failure in self._failures(output)}
        for block, reason in failures.items():
            failure = Failure(block, reason, before.get(block, 0) + 1, time)
            content = json.dumps(failure._asdict()).encode()
            self._folder.write(f"failures/{_failure_name(block, output)}", content)

    def failures(self, output: str, done: np.ndarray) -> list[Failure]:
        """Return the blocks that could not be computed and are not done since."""
        return [failure for failure in self._failures(output) if not done[failure.block]]

    def note_environment(self, identity: str, description: Mapping[str, str]) -> None:
        """Record in what environment blocks were computed."""
        self._folder.write(f"environments/{identity}.json", json.dumps(description).encode())

    def environments(self) -> dict[str, dict[str, str]]:
        """Return the environments of all blocks by their identities."""
        files = self._folder.read_all("environments", self._folder.names("environments"))
        return {name.removesuffix(".json"): json.loads(text) for name, text in files.items()}

    def note_run(self, run: Mapping[str, Any]) -> None:
        """Record that a run has begun or ended; it has ``"run"`` and ``"started"``."""
        name = f"runs/{run['started']:017.6f}-{run['run']}.json"
        self._folder.write(name, json.dumps(run).encode())

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, the first one first."""
        files = self._folder.read_all("runs", self._folder.names("runs"))
        return [json.loads(files[name]) for name in sorted(files)]

    def keep(self, output: str, source: bytes) -> None:
        """Keep what the objects of the source were when an output was begun."""
        self._folder.write(f"source.{output}.npz", source)

    def kept(self, output: str) -> bytes:
        """Return what `keep` was given."""
        return self._folder.read(f"source.{output}.npz")

    def tidy(self, output: str) -> None:
        """Remove what is left of earlier outputs."""
        for folder in ("", "receipts", "segments", "failures"):
            names = [name for name in self._folder.names(folder) if _OF_OUTPUT.search(name)]
            self._folder.remove(folder, [name for name in names if f".{output}." not in name])

    def _rows(self, output: str) -> tuple[np.ndarray, list[str], list[str]]:
        """Return all rows of a history, and the names of receipts and segments that have them."""
        receipts = self._folder.read_all("receipts", [name for name, _ in self._receipts(output)])
        segments = self._segments(output)
        parts = [records.history(map(Receipt.from_bytes, receipts.values()))]
        parts += map(records.from_bytes, segments.values())
        return np.concatenate(parts), list(receipts), list(segments)

    def _receipts(self, output: str) -> list[tuple[str, tuple[int, int]]]:
        named = ((name, records.blocks_of(name, output)) for name in self._folder.names("receipts"))
        return [(name, blocks) for name, blocks in named if blocks is not None]

    def _segments(self, output: str, level: int | None = None) -> dict[str, bytes]:
        """Return the contents of segments by their names."""
        while True:
            matches = map(_SEGMENT.match, self._folder.names("segments"))
            names = [
                match[0]
                for match in matches
                if match and match[2] == output and level in (None, int(match[1]))
            ]
            files = self._folder.read_all("segments", names)
            if len(files) == len(names):  # or else some were put together meanwhile
                return files

    def _write_segment(self, output: str, level: int, rows: np.ndarray) -> None:
        rows = records.merge_rows(rows, _RESOLUTION * 4 ** (level - 1))
        name = f"segments/{level}-{uuid.uuid4().hex}.{output}.npz"
        self._folder.write(name, records.to_bytes(rows))

    def _failures(self, output: str) -> list[Failure]:
        matches = map(_FAILURE.match, self._folder.names("failures"))
        names = [match[0] for match in matches if match and match[2] == output]
        files = self._folder.read_all("failures", names)
        return [Failure(**json.loads(files[name])) for name in sorted(files)]


def _failure_name(block: int, output: str) -> str:
    return f"{block:012d}.{output}.json"
