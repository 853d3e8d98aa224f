"""Clusters and clients of real processes, to be killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import distributed
import psutil

ROOT = Path(__file__).resolve().parents[2]
# Generous, since machines of continuous integration are slow; what is awaited comes long before.
_PATIENCE = 180.0


def start(log: Path, *words: object, **environment: str) -> subprocess.Popen:
    """Start a Python module in a process group of its own; what it says is added to a log."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), **environment},
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen) -> None:
    """Kill a process and those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


def wait_until(condition: Callable[[], bool], *processes: subprocess.Popen) -> None:
    """Wait for a condition, as long as processes live."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        for process in processes:
            assert process.poll() is None, f"process {process.args} has ended"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Cluster:
    """A scheduler, and workers of one thread, over TCP.

    Parameters
    ----------
    folder : Path
        For what they say and spill.
    workers : int
    nanny : bool
        Whether each worker has a process that starts it anew when it dies.
    memory_limit : str
        Of a worker; "0" for none.
    allowed_failures : int
        Deaths of workers that a task survives.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        nanny: bool = True,
        memory_limit: str = "0",
        allowed_failures: int = 3,
    ) -> None:
        self._folder, self._nanny = folder, nanny
        folder.mkdir(parents=True, exist_ok=True)
        where = folder / "scheduler.json"
        where.unlink(missing_ok=True)
        self._processes: list[subprocess.Popen] = []
        self.scheduler = self._start(
            "scheduler",
            *("distributed.cli.dask_scheduler", "--scheduler-file", where, "--port", 0),
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=str(allowed_failures),
        )
        wait_until(lambda: _address(where) is not None, self.scheduler)
        self.address = str(_address(where))
        self._workers = [
            self._start(
                f"worker{i}",
                *("distributed.cli.dask_worker", self.address, "--nthreads", 1),
                *("--memory-limit", memory_limit, "--local-directory", folder),
                "--nanny" if nanny else "--no-nanny",
            )
            for i in range(workers)
        ]

    def _start(self, name: str, *words: object, **environment: str) -> subprocess.Popen:
        words = (*words, "--host", "127.0.0.1", "--no-dashboard")
        process = start(self._folder / f"{name}.log", *words, **environment)
        self._processes.append(process)
        return process

    def __enter__(self) -> Cluster:
        try:
            with self.client() as client:
                client.wait_for_workers(len(self._workers), timeout=_PATIENCE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all processes."""
        for process in self._processes:
            kill_group(process)

    def client(self) -> distributed.Client:
        """Return a new client."""
        return distributed.Client(self.address, timeout="60s", set_as_default=False)

    def plug(self, plugin: distributed.WorkerPlugin) -> None:
        """Have workers use a plugin for as long as the cluster lives."""
        with self.client() as client:
            client.register_plugin(plugin, name="fault")

    @contextlib.contextmanager
    def plugged(self, plugin: distributed.WorkerPlugin) -> Iterator[distributed.Client]:
        """Have workers, and those that take their places, use a plugin."""
        with self.client() as client:
            client.register_plugin(plugin, name="fault")
            try:
                yield client
            finally:
                client.unregister_worker_plugin("fault")

    def pids(self) -> list[int]:
        """Return the processes of the workers that live."""
        if not self._nanny:
            return [process.pid for process in self._workers if process.poll() is None]
        found = []
        for nanny in self._workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(nanny.pid).children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if any("spawn_main" in word for word in child.cmdline()):
                            found.append(child.pid)
        return sorted(found)

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill a worker without warning; return whether there was one."""
        pids = self.pids()
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGKILL)
            return True
        return False


def _address(scheduler_file: Path) -> str | None:
    """Return the address in a scheduler's file, None before it is written."""
    try:
        return str(json.loads(scheduler_file.read_text())["address"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
