"""From a ledger to what a page says."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Failure
from scatdask.archive.receipts import missing_share
from scatdask.archive.report.blockmap import block_map, times_done
from scatdask.archive.report.summary import (
    BlockMap,
    Comparison,
    Device,
    FailureGroup,
    Retry,
    Run,
    State,
    Summary,
    Variable,
    Versions,
)
from scatdask.archive.report.timeline import late_rate, throughput
from scatdask.archive.reports import Status, is_merged

# Cells of all maps together, and maps: a page stays small however many blocks and variables.
_CELLS, _MAPS = 1200, 6
_RETRIED, _REASONS, _EXAMPLES = 10, 20, 3
_LONGEST_TEXT = 600
# A run that has done nothing for so long, and for so many tasks' time, may have been killed.
_SILENT_SECONDS, _SILENT_TASKS = 600.0, 10.0


class Recorded(Protocol):
    """What is read of a ledger."""

    def read(self) -> dict[str, Any] | None:
        """Return the record of the job."""

    def history(self, output: str, n_blocks: int) -> np.ndarray:
        """Return one row for consecutive blocks that were done together."""

    def environments(self) -> Mapping[str, Mapping[str, str]]:
        """Return devices and versions of workers, by identity."""

    def failures(self, output: str, done: np.ndarray) -> Sequence[Failure]:
        """Return the blocks that were given up and are not done since."""

    def runs(self) -> Sequence[dict[str, Any]]:
        """Return one record a run."""

    def is_locked(self) -> bool:
        """Say whether a run that is alive is writing the output."""


def summarise(ledger: Recorded, target: str, now: float | None = None) -> Summary:
    """Read a ledger.

    Parameters
    ----------
    ledger : Ledger
    target : str
        Where the output is.
    now : float, optional
        Unix seconds.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    now = time.time() if now is None else now
    record = ledger.read()
    if record is None:
        raise FileNotFoundError(
            f"there is no ledger beside {target!r}: no run of this job has begun"
        )
    layouts = [Layout.from_dict(fields) for fields in record["layouts"]]
    n_blocks = sum(layout.n_blocks for layout in layouts)
    history = ledger.history(record["output"], n_blocks)
    environments = ledger.environments()
    times = times_done(history, n_blocks)
    is_done = np.isfinite(times)
    failures = ledger.failures(record["output"], is_done)
    failed = np.zeros(n_blocks, dtype=bool)
    failed[[f.block for f in failures]] = True
    runs = _runs(ledger.runs(), ledger.is_locked())
    done = int(is_done.sum())
    names, which = np.unique(history["environment"], return_inverse=True)
    devices = np.array([_device(environments.get(str(name))) for name in names], np.str_)[which]
    flow = throughput(history, devices) if len(history) else None
    rate = late_rate(history, flow.time) if flow else 0.0
    left = n_blocks - done - len(failures)
    is_published = bool(record.get("is_published", True))
    hint = Status(n_blocks, done, (), is_published, is_merged(record)).hint
    is_writing = bool(hint) and ledger.is_locked()
    state = "running" if is_writing else _state(left, failures, runs, history, now, hint)
    variables, maps = _variables(layouts, times, failed)
    written, stored = int(history["bytes_written"].sum()), int(history["bytes_stored"].sum())
    parameters = {key: value for key, value in record["transform"].items() if key != "name"}
    itemsize = np.dtype(parameters.get("dtype", "float32")).itemsize
    return Summary(
        source=str(record["source"]),
        target=target,
        made=now,
        state=state,
        hint=hint,
        transform=str(record["transform"]["name"]),
        parameters=tuple((str(k), _text(v)) for k, v in parameters.items()),
        dims=tuple(map(str, record["dims"])),
        blocks=n_blocks,
        done=done,
        failed=len(failures),
        rate=rate,
        seconds_left=left / rate if rate and left else None,
        last_done=float(np.nanmax(times)) if done else None,
        missing_share=missing_share(history, None if record.get("reduction") else itemsize),
        written_bytes=written,
        stored_bytes=stored,
        retries=int(history["retries"].sum()),
        variables=variables,
        maps=maps,
        throughput=flow,
        comparisons=_comparisons(record.get("plan") or {}, history, devices, done, n_blocks),
        devices=_devices(history, devices),
        versions=_versions(history, environments),
        failures=_failures(failures, layouts),
        retried=_retried(history, devices, layouts),
        runs=runs,
    )


def _text(value: Any) -> str:
    text = f"({', '.join(map(str, value))})" if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _device(environment: Mapping[str, str] | None) -> str:
    if environment is None:
        return "unknown device"
    kind, name = str(environment.get("device", "cpu")), environment.get("device_name")
    return kind.upper() + (f" ({_text(name)})" if name else "")


def _runs(records: Sequence[dict[str, Any]], is_locked: bool) -> tuple[Run, ...]:
    """Return the runs in order; one without an end that had the output to itself has died."""
    runs: list[Run] = []
    for i, record in enumerate(records):
        ended, state = record["ended"], str(record["state"])
        is_alone, is_last = record.get("range") is None, i + 1 == len(records)
        if ended is None and is_alone and not (is_last and is_locked):
            state = "killed"
        runs.append(
            Run(
                float(record["started"]),
                None if ended is None else float(ended),
                state,
                int(record.get("blocks", 0)),
                _text(record.get("pool", "")),
                _text(record.get("message", "")),
            )
        )
    return tuple(runs)


def _state(
    left: int,
    failures: Sequence[Failure],
    runs: tuple[Run, ...],
    history: np.ndarray,
    now: float,
    hint: str,
) -> State:
    if not left and not failures and not hint:
        return "complete"
    if not runs:
        return "stopped" if len(history) else "not begun"
    at_work = [run for run in runs if run.state == "running"]
    if not at_work:
        if runs[-1].state == "killed":
            return "killed"
        is_failure = runs[-1].state == "failed" or (failures and not left)
        return "failed" if is_failure else "stopped"
    heard, task = at_work[-1].started, 0.0
    if len(history):
        heard = max(heard, float(history["ended"].max()))
        task = float(np.median(history["ended"] - history["started"]))
    patience = max(_SILENT_SECONDS, _SILENT_TASKS * task)
    return "silent" if now - heard > patience else "running"


def _variables(
    layouts: list[Layout], times: np.ndarray, failed: np.ndarray
) -> tuple[tuple[Variable, ...], tuple[BlockMap, ...]]:
    variables, first = [], 0
    parts: list[tuple[int, int, int, Layout, slice]] = []
    for layout in layouts:
        own = slice(first, first + layout.n_blocks)
        first += layout.n_blocks
        done, lost = int(np.isfinite(times[own]).sum()), int(failed[own].sum())
        dims, shape = (*layout.batch_dims, *layout.dims), (*layout.batch_shape, *layout.shape)
        block = (*layout.batch_block, *map(min, layout.lengths, layout.shape))
        variables.append(
            Variable(
                layout.variable,
                tuple(zip(dims, shape, strict=True)),
                tuple(zip(dims, block, strict=True)),
                layout.n_blocks,
                done,
                lost,
            )
        )
        parts.append((-lost, done - layout.n_blocks, len(parts), layout, own))
    shown = sorted(parts, key=lambda part: part[:3])[:_MAPS]  # where something is wrong, first
    most = max(_CELLS // max(len(shown), 1), 1)
    maps = tuple(block_map(layout, times[own], failed[own], most) for *_, layout, own in shown)
    return tuple(variables), maps


def _comparisons(
    plan: dict[str, Any], history: np.ndarray, devices: np.ndarray, done: int, n_blocks: int
) -> tuple[Comparison, ...]:
    """Lay the plan's figures, in proportion to what is done, beside what was measured."""
    if not done:
        return ()

    def planned(key: str, blocks: int = done) -> float | None:
        return None if plan.get(key) is None else float(plan[key]) * blocks / n_blocks

    # The plan's seconds are those of a core: a GPU's are no measure of them.
    cpu = history[~np.strings.startswith(devices, "GPU")]
    cpu_blocks = int((cpu["last"] - cpu["first"] + 1).sum())
    memory = plan.get("peak_memory")
    rows = [
        Comparison("Read from the source, uncompressed", "bytes", planned("bytes_read"),
                   float(history["bytes_read"].sum())),
        Comparison("Written, uncompressed", "bytes", planned("bytes_written"),
                   float(history["bytes_written"].sum())),
        Comparison("Computing, seconds of one core", "seconds",
                   planned("core_seconds", cpu_blocks), float(cpu["compute"].sum())),
        Comparison("Peak memory of a worker", "bytes",
                   None if memory is None else float(memory), None),
    ]  # fmt: skip
    return tuple(row for row in rows if row.planned is not None or row.measured is not None)


def _devices(history: np.ndarray, devices: np.ndarray) -> tuple[Device, ...]:
    names, which = np.unique(devices, return_inverse=True)
    blocks = np.bincount(which, history["last"] - history["first"] + 1, len(names))
    sums = [np.bincount(which, history[f], len(names)) for f in ("read", "compute", "write")]
    found = [
        Device(str(name), int(n), *map(float, seconds))
        for name, n, *seconds in zip(names, blocks, *sums, strict=True)
    ]
    return tuple(sorted(found, key=lambda device: -device.blocks))


def _versions(
    history: np.ndarray, environments: Mapping[str, Mapping[str, str]]
) -> tuple[Versions, ...]:
    names, which = np.unique(history["environment"], return_inverse=True)
    counts = np.bincount(which, history["last"] - history["first"] + 1, minlength=len(names))
    blocks: dict[tuple, int] = defaultdict(int)
    devices: dict[tuple, set[str]] = defaultdict(set)
    for name, count in zip(names, counts, strict=True):
        found = environments.get(str(name))
        versions = sorted((found or {}).items())
        key = tuple((k, _text(v)) for k, v in versions if k not in ("device", "device_name"))
        blocks[key] += int(count)
        devices[key].add(_device(found))
    ordered = sorted(blocks, key=lambda key: -blocks[key])
    return tuple(Versions(key, tuple(sorted(devices[key])), blocks[key]) for key in ordered)


def _failures(failures: Sequence[Failure], layouts: list[Layout]) -> tuple[FailureGroup, ...]:
    groups: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[_text(failure.reason)].append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))[:_REASONS]
    return tuple(
        FailureGroup(
            reason,
            len(members),
            max(int(f.attempts) for f in members),
            max(float(f.time) for f in members),
            tuple(_where(f.block, f.block, layouts) for f in members[:_EXAMPLES]),
        )
        for reason, members in ordered
    )


def _retried(history: np.ndarray, devices: np.ndarray, layouts: list[Layout]) -> tuple[Retry, ...]:
    worst = np.argsort(-history["retries"], kind="stable")[:_RETRIED]
    return tuple(
        Retry(
            _where(int(row["first"]), int(row["last"]), layouts),
            int(row["retries"]),
            str(devices[i]),
            float(row["ended"]),
        )
        for i, row in zip(worst.tolist(), history[worst], strict=True)
        if row["retries"]
    )


def _where(first: int, last: int, layouts: list[Layout]) -> str:
    """Say where blocks lie in the source: of one its ranges, of several the first's."""
    label = f"block {first:,}" if first == last else f"blocks {first:,} to {last:,}"
    own = first
    for layout in layouts:
        if own < layout.n_blocks:
            ranges = [f"{dim} {part.start}:{part.stop}" for dim, part in layout.batch(own).items()]
            bounds = zip(layout.dims, layout.bounds(own), strict=True)
            ranges += [f"{dim} {start}:{stop}" for dim, (start, stop) in bounds]
            return _text(f"{label} of {layout.variable}, at {', '.join(ranges)}")
        own -= layout.n_blocks
    return label
