"""Ledgers that were never run: histories of any size and fate, without a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Failure
from scatdask.archive.receipts import HISTORY

OUTPUT = "1" * 32
BEGAN = 1_790_000_000.0  # a day in September 2026


@dataclass
class SyntheticLedger:
    """What a page reads of a ledger."""

    layouts: list[Layout]
    rows: np.ndarray
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: list[Failure] = field(default_factory=list)
    ran: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    source: str = "/archive/waveforms.zarr"
    locked: bool = True
    also: dict[str, Any] = field(default_factory=dict)

    def read(self) -> dict[str, Any]:
        return {
            "output": OUTPUT,
            "source": self.source,
            "transform": {"name": "scattering1d", "J": 10, "Q": [8, 1], "dtype": "float32"},
            "dims": ["time"],
            "variables": [layout.variable for layout in self.layouts],
            "layouts": [layout.to_dict() for layout in self.layouts],
            "plan": self.plan,
            **self.also,
        }

    def history(self, output: str, n_blocks: int) -> np.ndarray:
        assert output == OUTPUT
        assert n_blocks == sum(layout.n_blocks for layout in self.layouts)
        return self.rows

    def environments(self) -> dict[str, dict[str, Any]]:
        return self.workers

    def failures(self, output: str, done: np.ndarray) -> list[Failure]:
        assert output == OUTPUT
        return [failure for failure in self.lost if not done[failure.block]]

    def is_locked(self) -> bool:
        return self.locked

    def runs(self) -> list[dict[str, Any]]:
        return self.ran


def layout(rows: int, columns: int, variable: str = "velocity") -> Layout:
    """Return a layout of so many blocks of one station, and of 1,024 samples."""
    shape = (1024 * columns,)
    return Layout(variable, ("time",), shape, ("station",), (rows,), (1,), (1024,), (1024,))


def history(
    n_blocks: int, n_rows: int, *, seconds: float = 1.0, environments: tuple[str, ...] = ("a",)
) -> np.ndarray:
    """Return rows in order, one after the other on each of the environments."""
    bounds = np.linspace(0, n_blocks, n_rows + 1).astype(np.int64)
    rows = np.zeros(n_rows, HISTORY)
    rows["first"], rows["last"] = bounds[:-1], bounds[1:] - 1
    turn = np.arange(n_rows) // len(environments)
    rows["started"], rows["ended"] = BEGAN + turn * seconds, BEGAN + (turn + 1) * seconds
    rows["environment"] = np.resize(environments, n_rows)
    counts = np.diff(bounds)
    for part, of_all in (("read", 0.2), ("compute", 0.7), ("write", 0.1)):
        rows[part] = of_all * seconds
    rows["bytes_read"], rows["bytes_written"] = counts * 2**20, counts * 2**19
    rows["bytes_stored"] = counts * 2**18
    return rows


def worker(device: str = "cpu", **others: str) -> dict[str, Any]:
    """Return what a worker had."""
    names = {"cpu": "AMD EPYC 9654", "gpu": "NVIDIA H100"}
    return {
        "device": device,
        "device_name": names[device],
        "python": "3.12.4",
        "numpy": "2.4.6",
        "zarr": "3.1.6",
        "scatdask": "0.1.0",
        **others,
    }


def run(started: float, ended: float | None, state: str, message: str = "") -> dict[str, Any]:
    return {
        "run": "0" * 32,
        "started": started,
        "ended": ended,
        "state": state,
        "blocks": 1000,
        "pool": "8 threads of dask workers",
        "message": message,
    }


def week() -> SyntheticLedger:
    """A week on a cluster: 1,000,000 blocks, two runs that died, failures, retries, a GPU."""
    layouts = [layout(400, 2000), layout(100, 2000, "pressure")]
    rows = history(830_000, 83_000, seconds=60.0, environments=("cpu1",) * 6 + ("cpu2", "gpu1"))
    gpu = rows["environment"] == "gpu1"
    rows["compute"][gpu] *= 0.1
    later = np.arange(len(rows)) >= 30_000
    rows["started"][later] += 2.5 * 86_400
    rows["ended"][later] += 2.5 * 86_400
    last = np.arange(len(rows)) >= 60_000
    rows["started"][last] += 3_000
    rows["ended"][last] += 3_000
    rows["retries"][[5, 4_000, 40_000]] = [1, 4, 2]
    rows["missing"][::50] = 1000
    rng = np.random.default_rng(0)
    gone = rng.choice(len(rows), 900, replace=False)
    missing = rng.choice(np.arange(30_000, 60_000), 40, replace=False)
    rows = np.delete(rows, [*gone[:40], *missing, *range(41_000, 41_300)])
    edges = np.zeros(830_001)
    np.add.at(edges, rows["first"], 1)
    np.add.at(edges, rows["last"] + 1, -1)
    holes = np.flatnonzero(np.cumsum(edges[:-1]) == 0)
    lost = [
        Failure(int(b), "RuntimeError: error during blosc decompression: -1", 3, BEGAN + 7e5)
        for b in holes[:37]
    ]
    lost += [
        Failure(int(b), "OSError: [Errno 5] Input/output error", 5, BEGAN) for b in holes[900:910]
    ]
    return SyntheticLedger(
        layouts,
        rows,
        {
            "cpu1": worker(),
            "cpu2": worker(zarr="3.2.0"),
            "gpu1": worker("gpu"),
        },
        lost,
        [
            run(BEGAN - 40, None, "running"),
            run(BEGAN + 5.1e5, BEGAN + 5.2e5, "failed", "the cluster has had no workers for 60 s"),
            run(BEGAN + 5.9e5, None, "running"),
        ],
        {
            "bytes_read": 1.02e12,
            "bytes_written": 4.8e11,
            "core_seconds": 3.1e6,
            "peak_memory": 2**31,
        },
    )
