"""One run at a time: locks on an output, kept alive by a heartbeat.

A lock whose owner has died is taken over: at once where its process was on this machine, else
when the heartbeat has been missing for a while. A clock of another machine may be wrong, or a
machine wake up from sleep: a lock that looks left behind is watched for some heartbeats first.
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
# Heartbeats for which a lock that seems to be left behind is watched, by this machine's clock.
_WATCHED = 3
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
        while not self._folder.create(self._name, self._content()):
            # Only what was read is taken over: one that was given back is anybody's.
            with contextlib.suppress(FileNotFoundError):
                self._take_over(self._folder.read(self._name))
                return

    def _take_over(self, content: bytes) -> None:
        """Take a lock with this content over, if it is left behind."""
        holder = _parsed(content)
        if (
            holder is not None
            and not _is_gone(holder)
            and not (_is_silent(holder) and self._stays_silent(content))
        ):
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

    def _stays_silent(self, content: bytes) -> bool:
        """Watch a lock for a while, and say whether its content stays the same."""
        for _ in range(_WATCHED):
            time.sleep(_HEARTBEAT)
            if self._folder.read(self._name) != content:
                return False
        return True

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
    return holder is not None and not _is_gone(holder) and not _is_silent(holder)


def _holder(folder: Folder, name: str) -> dict[str, Any] | None:
    """Return who holds the lock, None if nobody does, or one that is only being written."""
    try:
        return _parsed(folder.read(name))
    except FileNotFoundError:
        return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return who a lock says holds it, None if it is torn."""
    try:
        return dict(json.loads(content))
    except ValueError:
        return None


def _is_gone(holder: dict[str, Any]) -> bool:
    """Say whether the owner of a lock is known to have ended, as one of this machine may be."""
    here = holder["host"] == socket.gethostname() and holder.get("processes") == _processes()
    if here and holder["pid"] == os.getpid():
        return holder["run"] not in _HELD
    return here and not _is_alive(holder["pid"])


def _is_silent(holder: dict[str, Any]) -> bool:
    """Say whether the last sign of life of an owner is long ago, if clocks agree."""
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
