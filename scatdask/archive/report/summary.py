"""What a page says of a job: numbers and words, and nothing of how they look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["not begun", "running", "silent", "killed", "stopped", "failed", "complete"]


@dataclass(frozen=True)
class Cell:
    """Some blocks of a map, drawn as one rectangle.

    Attributes
    ----------
    row, column : int
    what : str
        Which blocks.
    blocks, done, failed : int
        How many, how many are done, and how many were given up.
    since, until : float
        When the first and the last of them were done, in Unix seconds; NaN if none is.
    """

    row: int
    column: int
    what: str
    blocks: int
    done: int
    failed: int
    since: float
    until: float


@dataclass(frozen=True)
class BlockMap:
    """The blocks of a variable, put together in cells.

    Attributes
    ----------
    variable : str
    rows, columns : int
    row_label, column_label : str
        What runs down and across; empty where blocks are laid out as words on a page.
    per_cell : int
        Blocks of a cell, at most.
    cells : tuple of Cell
    """

    variable: str
    rows: int
    columns: int
    row_label: str
    column_label: str
    per_cell: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Variable:
    """A variable of the source, and how far it is."""

    name: str
    sizes: tuple[tuple[str, int], ...]
    block: tuple[tuple[str, int], ...]
    blocks: int
    done: int
    failed: int


@dataclass(frozen=True)
class WorkingTime:
    """Time without the long pauses between runs.

    Attributes
    ----------
    starts, stops : tuple of float
        Stretches during which blocks were under way, in Unix seconds.
    """

    starts: tuple[float, ...]
    stops: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """How long the stretches are together."""
        return sum(stop - start for start, stop in zip(self.starts, self.stops, strict=True))


@dataclass(frozen=True)
class Throughput:
    """Blocks and bytes over working time.

    Attributes
    ----------
    time : WorkingTime
    edges : tuple of float
        Of equal intervals, in seconds of working time.
    devices : tuple of str
    blocks, bytes : tuple of tuple of float
        A second, read and uncompressed: of each device in each interval.
    """

    time: WorkingTime
    edges: tuple[float, ...]
    devices: tuple[str, ...]
    blocks: tuple[tuple[float, ...], ...]
    bytes: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Device:
    """What the workers of one kind of device did."""

    name: str
    blocks: int
    read: float
    compute: float
    write: float


@dataclass(frozen=True)
class Versions:
    """A set of versions that workers had, and how many blocks they computed with it."""

    versions: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]
    blocks: int


@dataclass(frozen=True)
class Comparison:
    """A figure of the plan, for the blocks that are done, beside what was measured.

    Attributes
    ----------
    name, kind : str
        The kind is ``"bytes"`` or ``"seconds"``.
    planned, measured : float or None
        None where it is not known.
    """

    name: str
    kind: str
    planned: float | None
    measured: float | None


@dataclass(frozen=True)
class FailureGroup:
    """Blocks that were given up for the same reason.

    Attributes
    ----------
    reason : str
    blocks : int
    attempts : int
        Runs that tried, the most of any of them.
    last : float
        When the last of them was given up, in Unix seconds.
    examples : tuple of str
        Where some of them lie.
    """

    reason: str
    blocks: int
    attempts: int
    last: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Retry:
    """Blocks done together for which requests to a store had to be repeated."""

    where: str
    retries: int
    device: str
    ended: float


@dataclass(frozen=True)
class Run:
    """A run: when, where, how it ended, and how many blocks it was to compute."""

    started: float
    ended: float | None
    state: str
    blocks: int
    pool: str
    message: str


@dataclass(frozen=True)
class Summary:
    """What a page says of a job.

    Attributes
    ----------
    source, target : str
        Locations.
    made : float
        When this was read, in Unix seconds.
    state : State
        "silent" is a run that says it is running, and has done nothing for long; "killed" one that
        had the output to itself, recorded no end, and gives no sign of life.
    hint : str
        What the output lacks though every block is done; else empty.
    blocks, done, failed : int
    rate : float
        Blocks a second of late, in working time; zero where none is done.
    seconds_left : float or None
        At that rate; None where there is none, or nothing is left.
    last_done : float or None
        When the last block was done.
    missing_share : float
        Share of the coefficients that are NaN.
    stored_bytes, written_bytes : int
        Of the output: as stored, and uncompressed.
    retries : int
        Requests to a store that had to be repeated.
    """

    source: str
    target: str
    made: float
    state: State
    hint: str
    transform: str
    parameters: tuple[tuple[str, str], ...]
    dims: tuple[str, ...]
    blocks: int
    done: int
    failed: int
    rate: float
    seconds_left: float | None
    last_done: float | None
    missing_share: float
    written_bytes: int
    stored_bytes: int
    retries: int
    variables: tuple[Variable, ...]
    maps: tuple[BlockMap, ...]
    throughput: Throughput | None
    comparisons: tuple[Comparison, ...]
    devices: tuple[Device, ...]
    versions: tuple[Versions, ...]
    failures: tuple[FailureGroup, ...]
    retried: tuple[Retry, ...]
    runs: tuple[Run, ...]
