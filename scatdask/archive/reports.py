"""What a run did, and how far a job is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from dask.utils import format_bytes

from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Failure, Ledger
from scatdask.archive.locations import Location

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes
    ----------
    blocks, done : int
        Blocks in all, and recorded as finished.
    failures : tuple of Failure
        Blocks that could not be computed so far.
    is_published : bool
        Whether readers see what is done; of an Icechunk repository they see a complete output.
    is_merged : bool
        Whether the output holds the statistics of what is done, if the job reduces; they are
        merged once every block is done.
    """

    blocks: int
    done: int
    failures: tuple[Failure, ...] = ()
    is_published: bool = True
    is_merged: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether every block is done."""
        return self.done == self.blocks

    @property
    def hint(self) -> str:
        """What the output lacks though every block is done, and what helps; else nothing."""
        if not self.is_complete or (self.is_merged and self.is_published):
            return ""
        lacking = "published" if self.is_merged else "merged into the output"
        return f"not {lacking} yet: run, or finalise, the job once more"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, as JSON can hold them."""
        failures = [failure._asdict() for failure in self.failures]
        return {**asdict(self), "failures": failures, "is_complete": self.is_complete}

    def __str__(self) -> str:
        share = self.done / self.blocks if self.blocks else 1.0
        head = f"{self.done} of {self.blocks} blocks done ({share:.1%})"
        failed = [
            f"block {failure.block} failed {failure.attempts} times: {failure.reason}"
            for failure in self.failures[:_MOST_SHOWN]
        ]
        more = len(self.failures) - len(failed)
        notes = [*([f"and {more} more"] if more else []), *([self.hint] if self.hint else [])]
        return "\n".join([head, *failed, *notes])


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes
    ----------
    blocks, found_done, computed : int
        Blocks in all, those that earlier runs had finished, and those of this run.
    seconds : float
        Wall-clock time.
    read, compute, write : float
        Seconds of the workers, summed.
    bytes_read, bytes_written : int
        Uncompressed.
    nan_outputs : float
        Share of the coefficients that are NaN.
    retries : int
        Requests to a store that had to be repeated.
    """

    blocks: int
    found_done: int
    computed: int
    seconds: float
    read: float
    compute: float
    write: float
    bytes_read: int
    bytes_written: int
    nan_outputs: float = 0.0
    retries: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        rate = self.bytes_read / self.seconds if self.seconds else 0.0
        again = f"; {self.retries} requests were repeated" if self.retries else ""
        missing = f"; {self.nan_outputs:.2%} of outputs are NaN" if self.nan_outputs else ""
        return (
            f"{self.computed} blocks in {self.seconds:.1f} s, {self.found_done} were done before; "
            f"read {format_bytes(self.bytes_read)} ({format_bytes(int(rate))}/s), wrote "
            f"{format_bytes(self.bytes_written)}; workers spent {self.read:.1f} s reading, "
            f"{self.compute:.1f} s computing, {self.write:.1f} s writing{missing}{again}"
        )


def read_status(
    target: str | PathLike[str] | Location, options: Mapping[str, Any] | None = None
) -> Status:
    """Say how far the job of an output is, from the ledger beside it.

    Parameters
    ----------
    target : path or URL
        Of the output.
    options : mapping, optional
        What the file system of a URL takes.

    Raises
    ------
    FileNotFoundError
        If there is no ledger.
    """
    ledger = Ledger(Location.of(target, options))
    record = ledger.read()
    if record is None:
        raise FileNotFoundError(
            f"there is no ledger at {ledger.location.url!r}: no run of this job has begun"
        )
    blocks = sum(Layout.from_dict(fields).n_blocks for fields in record["layouts"])
    done = ledger.done(record["output"], blocks)
    return Status(
        blocks,
        int(done.sum()),
        tuple(ledger.failures(record["output"], done)),
        record.get("is_published", True),
        is_merged(record),
    )


def is_merged(record: Mapping[str, Any]) -> bool:
    """Say of the record of a job whether no statistics wait to be merged into the output."""
    return bool(record.get("is_merged")) or not record.get("reduction")
