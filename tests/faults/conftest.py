"""An archive, what an undisturbed run makes of it, a cluster, and a table of what was tried."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

from scatdask import Job, Scattering1D
from scatdask.archive import plan, read_status
from scatdask.cli import main
from tests.faults.processes import Cluster, start, wait_until

CHANNELS, N = 24, 20_000
S = Scattering1D(J=6, Q=4)
MEMORY = "156 MiB"
PARAMETERS = ("--transform", "scattering1d", "--dim", "time", "-J", 6, "-Q", 4, "--memory", MEMORY)


@dataclass
class Archive:
    """An archive of noise, and outputs of it.

    Attributes
    ----------
    folder : Path
    expected : array
        What an undisturbed run in threads of one process wrote.
    blocks : int
    """

    folder: Path
    expected: np.ndarray = field(init=False)
    blocks: int = field(init=False)
    _targets: int = 0

    def __post_init__(self) -> None:
        self.source = self.folder / "in.zarr"
        samples = np.random.default_rng(0).standard_normal((CHANNELS, N)).astype("f4")
        dataset = xr.Dataset({"v": (("channel", "time"), samples)})
        dataset.v.encoding["chunks"] = (1, 5_000)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
            dataset.to_zarr(self.source)
        target = self.new_target()
        self.blocks = Job(self.source, target, S, dim="time", memory=MEMORY).run().blocks
        assert self.blocks >= 2 * CHANNELS
        self.expected = _numbers(target)

    def new_target(self, folder: Path | None = None) -> Path:
        """Return where nothing is yet."""
        self._targets += 1
        return (folder or self.folder) / f"out{self._targets}.zarr"

    def start(
        self,
        target: Path,
        *words: object,
        source: Path | None = None,
        address: str | None = None,
    ) -> subprocess.Popen:
        """Run the job in a process of its own, one block a task; see `said`.

        The address is what the command is told of the target; by default its path.
        """
        return start(
            _log(target),
            *("tests.faults.command", "run", source or self.source, address or target),
            *(*PARAMETERS, *words, "--quiet"),
        )

    def said(self, target: Path) -> str:
        """Return what the processes of `start` have said."""
        return _log(target).read_text()

    def run(
        self, target: Path | str, *words: object, source: Path | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Run the job from this process; return the exit code, and what is printed as JSON."""
        command = ("run", source or self.source, target, *PARAMETERS, *words, "--json", "--quiet")
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(plan, "_TASK_SECONDS", 0.0)
            patches.setattr(plan, "_SCHEDULER_SECONDS", 0.0)
            result = CliRunner().invoke(main, list(map(str, command)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    def wrong(self, target: Path, expected: np.ndarray | None = None) -> int:
        """Count the numbers that are not those of the undisturbed run, to the bit."""
        numbers = _numbers(target)
        expected = self.expected if expected is None else expected
        assert numbers.shape == expected.shape
        return int((numbers.view("u4") != expected.view("u4")).sum())


def _log(target: Path) -> Path:
    return Path(f"{target}.log")


def _numbers(target: Path) -> np.ndarray:
    store: Any = target
    if not (target / "zarr.json").exists():
        store = repository(target).readonly_session("main").store
    array = zarr.open_group(store, mode="r")["v"]
    assert isinstance(array, zarr.Array)
    return np.asarray(array[...])


def repository(target: Path) -> icechunk.Repository:
    """Open an Icechunk repository."""
    return icechunk.Repository.open(icechunk.local_filesystem_storage(str(target)))


def receipts(target: Path) -> int:
    """Count the receipts of an output."""
    folder = Path(f"{target}.ledger", "receipts")
    try:
        return sum(file.suffix == ".json" for file in folder.iterdir())
    except FileNotFoundError:
        return 0


def wait_for_receipts(target: Path, more: int, *processes: subprocess.Popen) -> None:
    """Wait until so many more blocks are done than now."""
    now = receipts(target)
    wait_until(lambda: receipts(target) >= now + more, *processes)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive of noise."""
    return Archive(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that are started anew when they die."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def count(archive: Archive) -> Callable[..., None]:
    """Return a function that checks an output, and counts in the table what was tried."""

    def count(fault: str, times: int, target: Path) -> None:
        status = read_status(target)
        lost, wrong = status.blocks - status.done, archive.wrong(target)
        rows.setdefault(fault, Row()).add(times, status.blocks, lost, wrong)
        assert (lost, wrong) == (0, 0)

    return count


@dataclass
class Row:
    """What was tried of a fault, and what became of it."""

    times: int = 0
    blocks: int = 0
    lost: int = 0
    wrong: int = 0

    def add(self, times: int, blocks: int, lost: int, wrong: int) -> None:
        self.times += times
        self.blocks += blocks
        self.lost += lost
        self.wrong += wrong


rows: dict[str, Row] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of docs/reliability.md."""
    if rows:
        terminalreporter.section("faults")
        head = ("fault", "times", "blocks", "lost", "wrong numbers")
        terminalreporter.line("| " + " | ".join(head) + " |")
        terminalreporter.line("|---" * len(head) + "|")
        for fault, row in rows.items():
            cells = (fault, row.times, row.blocks, row.lost, row.wrong)
            terminalreporter.line("| " + " | ".join(map(str, cells)) + " |")
