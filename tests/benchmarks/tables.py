"""The figures of a run as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# What is measured, and what is to be reached.
PARTS = {
    "kernel": "at least 8 (J=8, Q=8)",
    "images": "at least 4 (224 x 224)",
    "volumes": "at least 2.5",
    "ffts": "at most 1.5",
    "jobs": "at most 1.15",
    "archive": "at least 8",
    "memory": "at most 1.1",
    "scale": "at most 1 ms of client and scheduler a block, memory flat",
    "codecs": "small and fast",
    "reading": "a small part of the archive",
    "gpu": "at least 5 (and 40 % of the bandwidth)",
}
KERNELS = {"kernel": "Signals", "images": "Images", "volumes": "Volumes"}


def tables(results: dict[str, Any]) -> str:
    """Lay out the results as Markdown tables."""
    parts = []
    for part, what in KERNELS.items():
        if rows := results.get(part):
            parts += _table(
                f"{what} in memory, float32, one thread, time of one; target {PARTS[part]}",
                [
                    "case",
                    "batch",
                    "FFT",
                    "Kymatio",
                    "scatdask",
                    "ratio",
                    "least",
                    "by CPU time",
                    "error",
                ],
                (
                    [
                        f"{_case(r)} ({r['scatdask']['paths']} paths)",
                        r["rows"],
                        r["fft"],
                        f"{r['kymatio_ms']:.1f} ms",
                        f"{r['scatdask_ms']:.1f} ms",
                        f"{r['speedup']['median']:.1f}x",
                        f"{r['speedup']['minimum']:.1f}x",
                        f"{r['speedup_cpu']['median']:.1f}x",
                        f"{r['scatdask']['error']:.0e}, worst path "
                        f"{r['scatdask']['error_of_worst_path']:.0e}",
                    ]
                    for r in rows
                ),
            )
            parts.append(
                f"Given float32, Kymatio returns {rows[0]['kymatio']['dtype']} and scatdask "
                f"{rows[0]['scatdask']['dtype']}. Errors are relative L2 against scatdask in "
                "float64."
            )
    if rows := results.get("ffts"):
        parts += _table(
            f"Kernel over its FFTs alone, CPU time of one; target {PARTS['ffts']}",
            ["case", "batch", "FFT calls", "FFTs", "kernel", "whole call", "ratio", "whole call"],
            (
                [
                    _case(r),
                    r["rows"],
                    r["n_ffts"],
                    f"{1e3 * r['ffts']:.1f} ms",
                    f"{1e3 * r['kernel']:.1f} ms",
                    f"{1e3 * r['call']:.1f} ms",
                    f"{r['kernel_over_ffts']:.2f}",
                    f"{r['call_over_ffts']:.2f}",
                ]
                for r in rows
            ),
        )
    if rows := results.get("jobs"):
        parts += _table(
            f"Job over its kernel times, summed over the cores; target {PARTS['jobs']}",
            [
                "archive",
                "pool",
                "wall",
                "kernels / cores",
                "read",
                "write",
                "ratio",
                "least",
                "cold",
            ],
            (
                [
                    " x ".join(map(str, r["shape"])),
                    r["pool"],
                    f"{r['wall']:.2f} s",
                    f"{r['compute'] / r['workers']:.2f} s",
                    f"{r['read'] / r['workers']:.2f} s",
                    f"{r['write'] / r['workers']:.2f} s",
                    f"{r['over_kernels']:.2f}",
                    f"{r['least_over_kernels']:.2f}",
                    f"{r['first_over_kernels']:.2f}",
                ]
                for r in rows
            ),
        )
    if rows := results.get("archive"):
        parts += _table(
            f"Zarr to Zarr, 2 processes of one thread; target {PARTS['archive']}",
            ["case", "apply_ufunc(kymatio)", "scatdask.Job", "ratio", "least", "by CPU"],
            (
                [
                    f"{' x '.join(map(str, r['shape']))}, J={r['J']}, Q={r['Q']}",
                    f"{r['kymatio_s']:.1f} s",
                    f"{r['scatdask_s']:.2f} s",
                    f"{r['speedup']['median']:.1f}x",
                    f"{r['speedup']['minimum']:.1f}x",
                    f"{r['speedup_cpu']['median']:.1f}x",
                ]
                for r in rows
            ),
        )
    if rows := results.get("memory"):
        parts += _table(
            f"Peak memory of a worker over the plan; target {PARTS['memory']}",
            ["case", "pool", "threads", "block", "idle", "peak", "planned", "ratio", "beyond idle"],
            (
                [
                    r["name"],
                    r["pool"],
                    r["threads"],
                    " x ".join(map(str, r["block"])),
                    f"{r['base'] / 2**20:.0f} MiB",
                    f"{r['peak'] / 2**20:.0f} MiB",
                    f"{r['planned'] / 2**20:.0f} MiB",
                    f"{r['over_plan']:.2f}",
                    f"{(r['peak'] - r['base']) / 2**20:.0f} of "
                    f"{r['planned_block'] / 2**20:.0f} MiB",
                ]
                for r in rows
            ),
        )
    if rows := results.get("scale"):
        parts += _table(
            f"Blocks that do nothing, 2 workers of one thread; target {PARTS['scale']}",
            [
                "blocks",
                "of a task",
                "plan",
                "run",
                "client and scheduler, a block",
                "client",
                "scheduler",
                "worker",
                "status",
                "files",
            ],
            (
                [
                    f"{r['blocks']:,}",
                    f"{r['blocks_per_task']:,}",
                    f"{r['seconds']['plan']:.1f} s",
                    f"{r['seconds']['run']:.0f} s",
                    f"{r['overhead'] * 1e3:.3f} ms",
                    *(_course(r["memory"][name]) for name in ("client", "scheduler", "worker")),
                    f"{r['seconds']['status'] * 1e3:.0f} ms",
                    str(r["ledger_files"]),
                ]
                for r in rows
            ),
        )
    if rows := results.get("codecs"):
        parts += _table(
            "Codecs on coefficients of recordings, float32, by CPU time",
            ["coefficients", "codec", "size", "encode", "decode"],
            (
                [
                    r["name"],
                    r["codec"],
                    f"{r['size']:.3f}",
                    f"{r['encode'] / 2**20:.0f} MiB/s",
                    f"{r['decode'] / 2**20:.0f} MiB/s",
                ]
                for r in rows
            ),
        )
    if rows := results.get("reading"):
        parts += _table(
            "Reading from 128 stations x 234 paths x 4096 frames, local disk, by CPU time",
            ["read", "layout", "time", "requests", "fetched"],
            (
                [
                    r["read"],
                    r["layout"],
                    f"{1e3 * r['seconds']:.0f} ms",
                    r["requests"],
                    f"{r['bytes_read'] / 2**20:.1f} MiB",
                ]
                for r in sorted(rows, key=lambda row: row["read"])
            ),
        )
    if rows := results.get("gpu"):
        parts += _table(
            f"Batches on one {rows[0]['device']}, float32; target {PARTS['gpu']}",
            ["case", "Kymatio torch", "scatdask", "ratio", "bytes", "of the bandwidth"],
            (
                [
                    f"{' x '.join(map(str, r['batch']))} x {_case(r)} ({r['paths']} paths)",
                    f"{1e3 * r['kymatio_s']:.1f} ms" if "kymatio_s" in r else r["rival"],
                    f"{1e3 * r['scatdask_s']:.1f} ms",
                    f"{r['speedup']:.1f}x" if "speedup" in r else "",
                    f"{r['bytes'] / 2**30:.1f} GiB",
                    f"{100 * r['share_of_bandwidth']:.0f} %",
                ]
                for r in rows
            ),
        )
        parts.append(
            "Bytes are what FFTs read and write, the input and the output; the bandwidth is that "
            f"of a copy on the device, {rows[0]['bandwidth'] / 1e12:.2f} TB/s."
        )
    return "\n".join(parts)


def _course(memory: list[tuple[float, int]]) -> str:
    """Return the memory of a process after a tenth of the run, and at its end."""
    early = memory[len(memory) // 10][1]
    return f"{early / 2**20:.0f}, {memory[-1][1] / 2**20:.0f} MiB"


def _case(row: dict[str, Any]) -> str:
    """Name a case by its size and parameters."""
    given = ", ".join(f"{name}={value}" for name, value in row["parameters"].items())
    note = f", {row['note']}" if row.get("note") else ""
    return f"{' x '.join(map(str, row['shape']))}, {given}{note}"


def _table(title: str, head: list[str], rows: Iterable[list[Any]]) -> list[str]:
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return ["", f"**{title}**", "", *lines, ""]
