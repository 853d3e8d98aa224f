"""One run at a time: locks on an output, kept alive by a heartbeat.

A lock whose owner has died is taken over: at once where its process was on this machine, else
when the heartbeat has been missing for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import psutil

from scatdask.archive.files import Folder
from scatdask.errors import OutputBusyError

# On the output; and on commits to its repository, which runs that share an output make in turns.
OUTPUT, COMMITS = "lock.json", "commits.lock.json"
# Seconds between two signs of life, and without one until a lock counts as left behind.
_HEARTBEAT, _PATIENCE = 15.0, 120.0
# Seconds between two runs that see the same dead lock, at most.
_SETTLE = 1.0
# Seconds between two looks at a lock that is waited for, on average.
_LOOK = 0.5
# The runs of this process that hold a lock. One that is not among them could not give it back, as
# where access to the store was lost.
_HELD: set[str] = set()


class Lock:
    """The right to write to an output.

    Parameters
    ----------
    folder : Folder
        Of the ledger.
    run : str
        Identity of the run.
    name : str, default "lock.json"
        What it is a lock on.
    """

    def __init__(self, folder: Folder, run: str, name: str = OUTPUT) -> None:
        self._folder = folder
        self._run = run
        self._name = name
        self._is_held = False
        self._end = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name="scatdask-lock", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        OutputBusyError
            If another run holds it.
        """
        _HELD.add(self._run)  # before others can see it
        try:
            self._take()
        except BaseException:
            _HELD.discard(self._run)
            raise
        self._is_held = True
        self._heartbeat.start()

    def wait(self) -> None:
        """Take the lock as soon as nobody else holds it."""
        while True:
            try:
                self.acquire()
            except OutputBusyError:
                time.sleep(random.uniform(0, 2 * _LOOK))
            else:
                return

    def _take(self) -> None:
        if not self._folder.create(self._name, self._content()):
            holder = _holder(self._folder, self._name)
            if holder is not None and not _is_gone(holder):
                raise OutputBusyError(
                    f"a run on {holder['host']} (process {holder['pid']}) is writing this output: "
                    f"wait for its end, or stop it. If it is dead, its lock "
                    f"({self._folder.location.url}/{self._name}) ends by itself within "
                    f"{_PATIENCE:.0f} seconds"
                )
            self._folder.write(self._name, self._content())
            time.sleep(_SETTLE)
            if self._owner() != self._run:  # two took it over: the last one has it
                raise OutputBusyError("another run has taken this output over: wait for its end")

    def check(self) -> None:
        """Raise OutputBusyError if another run has taken the lock over."""
        if self._owner() != self._run:
            raise OutputBusyError(
                "another run has taken this output over, since this one gave no sign of life for "
                f"{_PATIENCE:.0f} seconds; what is done is recorded"
            )

    def release(self) -> None:
        """Give the lock back."""
        if not self._is_held:
            return
        self._is_held = False
        _HELD.discard(self._run)
        self._end.set()
        self._heartbeat.join()
        with contextlib.suppress(OSError):  # the run may have ended of it; the lock ends by itself
            if self._owner() == self._run:
                self._folder.remove("", [self._name])

    def _beat(self) -> None:
        while not self._end.wait(_HEARTBEAT):
            try:
                if self._owner() != self._run:
                    return  # check() says so to the run
                self._folder.write(self._name, self._content())
            except OSError:
                continue  # a store that is away for a moment is no reason to stop

    def _content(self) -> bytes:
        return json.dumps(
            {
                "run": self._run,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "processes": _processes(),
                "renewed": time.time(),
            }
        ).encode()

    def _owner(self) -> str | None:
        return (_holder(self._folder, self._name) or {}).get("run")


def is_held(folder: Folder) -> bool:
    """Say whether a run that is alive holds the lock of a ledger's folder."""
    holder = _holder(folder, OUTPUT)
    return holder is not None and not _is_gone(holder)


def _holder(folder: Folder, name: str) -> dict[str, Any] | None:
    """Return who holds the lock, None if nobody does, or one that is only being written."""
    try:
        return dict(json.loads(folder.read(name)))
    except (FileNotFoundError, ValueError):
        return None


def _is_gone(holder: dict[str, Any]) -> bool:
    """Say whether the owner of a lock has died."""
    here = holder["host"] == socket.gethostname() and holder.get("processes") == _processes()
    if here and holder["pid"] == os.getpid():
        return holder["run"] not in _HELD
    if here and not _is_alive(holder["pid"]):
        return True
    return bool(time.time() - holder["renewed"] > _PATIENCE)


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@lru_cache
def _processes() -> str:
    """Return what tells processes here from those of other machines and containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # no Linux
        return f"{psutil.boot_time():.0f}"
