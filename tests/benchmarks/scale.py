"""What the engine itself costs: archives of very many blocks, and a block that does nothing.

Scheduler, workers, client and ledger are real; reading, transforming and writing are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import distributed
import psutil
import zarr

SAMPLES = 4096


class Idle(distributed.WorkerPlugin):
    """Have workers do nothing for a block but say that it is done."""

    def setup(self, worker: distributed.Worker) -> None:
        from scatdask.archive import work as module
        from scatdask.archive.environment import environment, identity
        from scatdask.archive.receipts import Receipt

        name = identity(environment())

        def idle(work: module.Work, block: int) -> Receipt:
            now = time.time()
            return Receipt(block, block, now, now, environment=name)

        module.run_block = idle


def make_source(path: Path, signals: int) -> None:
    """Write the metadata of an archive of one block a signal, whose chunks do not exist."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array(
        "v",
        shape=(signals, SAMPLES),
        chunks=(1, SAMPLES),
        dtype="f4",
        fill_value=0.0,
        dimension_names=("signal", "time"),
    )


def measure(blocks: int, blocks_per_task: int) -> dict[str, Any]:
    """Plan, run, and look at a job of so many blocks.

    Returns
    -------
    dict
        Seconds of planning, of making the output, of the run and its CPU in client and scheduler,
        of status and report; memory of client, scheduler and a worker over the run, in bytes, as
        (share done, bytes); files in the ledger.
    """
    import scatdask
    from scatdask.archive import blocking, write_report
    from scatdask.archive import plan as plans

    # Signals as short as these would share blocks.
    blocking._FEW = blocks
    plans.Plan.blocks_per_task = lambda plan, threads=1: blocks_per_task  # type: ignore[method-assign, misc]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.zarr", Path(folder) / "out.zarr"
        make_source(source, blocks)
        job = scatdask.Job(
            source,
            target,
            scatdask.Scattering1D(J=4, Q=1),
            dim="time",
            memory="1 GiB",
            missing_chunks="fill",
        )
        seconds = {}
        start = time.perf_counter()
        found = job.plan().blocks
        seconds["plan"] = time.perf_counter() - start
        assert found == blocks, found
        job.init()
        with _cluster(folder) as (client, processes):
            client.register_plugin(Idle())
            memory: dict[str, list[tuple[float, int]]] = {name: [] for name in processes}
            before = {name: _cpu(process) for name, process in processes.items()}
            end = threading.Event()
            watch = threading.Thread(target=_watch, args=(job, processes, memory, end))
            watch.start()
            start = time.perf_counter()
            job.run(client, progress=False)
            seconds["run"] = time.perf_counter() - start
            end.set()
            watch.join()
            cpu = {name: _cpu(process) - before[name] for name, process in processes.items()}
        for name, call in (
            ("status", job.status),
            ("run again", lambda: job.run(scheduler="synchronous", progress=False)),
            ("report", lambda: write_report(target)),
        ):
            start = time.perf_counter()
            call()
            seconds[name] = time.perf_counter() - start
        assert job.status().is_complete
        files = sum(len(names) for _, _, names in os.walk(f"{target}.ledger"))
    return {
        "blocks": blocks,
        "blocks_per_task": blocks_per_task,
        "seconds": seconds,
        "cpu": cpu,
        "overhead": (cpu["client"] + cpu["scheduler"]) / blocks,
        "memory": memory,
        "ledger_files": files,
    }


class _cluster:
    """A scheduler and two workers as processes of their own, and a client in this one."""

    def __init__(self, folder: str) -> None:
        self.file = Path(folder) / "scheduler.json"

    def __enter__(self) -> tuple[distributed.Client, dict[str, psutil.Process]]:
        common = ["--scheduler-file", str(self.file), "--no-dashboard"]
        host = ["--host", "127.0.0.1"]
        self.processes = [self._start("scheduler", *common, *host, "--port", "0")]
        self.processes += [
            self._start(
                "worker", *common, *host, "--nthreads", "1", "--no-nanny", "--name", f"w{n}"
            )
            for n in range(2)
        ]
        while not self.file.exists():
            time.sleep(0.1)
        self.client = distributed.Client(scheduler_file=str(self.file))
        self.client.wait_for_workers(2)
        scheduler, worker, _ = (psutil.Process(process.pid) for process in self.processes)
        return self.client, {
            "client": psutil.Process(),
            "scheduler": scheduler,
            "worker": worker,
        }

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __exit__(self, *_: object) -> None:
        self.client.close()
        for process in self.processes:
            process.terminate()
            process.wait(30)


def _watch(
    job: Any,
    processes: dict[str, psutil.Process],
    memory: dict[str, list[tuple[float, int]]],
    end: threading.Event,
) -> None:
    """Note the memory of processes every now and then."""
    start = time.perf_counter()
    while not end.wait(5.0 if memory["client"] else 0.0):
        for name, process in processes.items():
            memory[name].append((time.perf_counter() - start, process.memory_info().rss))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    print(json.dumps(measure(*map(json.loads, sys.argv[1:]))))
