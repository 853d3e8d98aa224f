"""Peak resident memory of a job over what its plan promised, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

# Core dimensions of the archives that `jobs.make_archive` writes.
DIMS = {1: ("time",), 2: ("lat", "lon"), 3: ("depth", "lat", "lon")}


def peak_bytes() -> int:
    """Return the peak resident memory of this process since it began.

    On Linux from /proc: what `resource` says there starts with the peak of the parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (s for s in status.read_text().splitlines() if s.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    factor = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor


def reset_peak() -> None:
    """Start the peak anew at what is resident now, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Run a job with one worker, of one thread if not said otherwise, and compare with the plan.

    Returns
    -------
    dict
        ``peak`` and ``planned`` bytes, ``base`` (what the process held before the job, after a
        tiny one that imported everything), and their ratio.
    """
    threads = case.get("threads", 1)
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    import scatdask
    from scatdask.archive import Job

    transform = getattr(scatdask, case.get("kind", "Scattering1D"))(**case["transform"])
    client = None
    if case["pool"] == "cluster":
        import distributed

        client = distributed.Client(
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=threads, dashboard_address=None, host="127.0.0.1"
            )
        )
    tiny = scatdask.Scattering1D(J=4)
    Job(case["tiny"], case["target"], tiny, dim="time").run(client, progress=False, overwrite=True)

    def on_worker(function: Any) -> Any:
        return function() if client is None else next(iter(client.run(function).values()))

    on_worker(reset_peak)
    base = on_worker(peak_bytes)
    dims = DIMS[transform.ndim]
    job = Job(case["source"], case["target"], transform, dims=dims, memory=case["memory"])
    job.run(client, progress=False, overwrite=True)
    peak = on_worker(peak_bytes)
    plan = job.plan()
    planned_blocks = threads * plan.block_memory
    planned = plan.peak_memory - plan.block_memory + planned_blocks
    if client is not None:
        client.cluster.close()
        client.close()
    return {
        "peak": peak,
        "base": base,
        "planned": planned,
        "planned_block": planned_blocks,
        "parts": plan.memory_parts(),
        "over_plan": peak / planned,
        "block_over_plan": (peak - base) / planned_blocks,
        "block": [plan.layouts[0].rows, *plan.layouts[0].lengths],
        "blocks": plan.blocks,
    }


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
