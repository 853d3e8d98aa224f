from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import signal

import pytest

from scatdask.archive import lock as module
from scatdask.archive.files import Folder
from scatdask.archive.locations import Location
from scatdask.archive.lock import Lock, is_held
from scatdask.errors import OutputBusyError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.setattr(module, "_SETTLE", 0.01)  # nobody takes a lock at the same time
    monkeypatch.setattr(module, "_WATCHED", 0)
    return Folder(Location.of(tmp_path))


def hold(folder: Folder, connection) -> None:
    Lock(folder, "held").acquire()
    connection.send("locked")
    connection.recv()


def test_second_lock_is_refused_until_the_first_is_given_back(folder):
    with Lock(folder, "a") as first:
        first.acquire()
        with (
            Lock(folder, "b") as second,
            pytest.raises(OutputBusyError, match=rf"process {os.getpid()}"),
        ):
            second.acquire()
        first.check()
    with Lock(folder, "c") as third:
        third.acquire()
    assert folder.names() == []


def test_lock_that_could_not_be_given_back_does_not_stay(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError("the token has expired")

    with monkeypatch.context() as patch, Lock(folder, "a") as lock:
        lock.acquire()
        patch.setattr(Folder, "remove", refuse)
    assert folder.names() == ["lock.json"]
    with Lock(folder, "b") as lock:
        lock.acquire()
    assert folder.names() == []


def test_lock_that_was_never_taken_leaves_nothing(folder):
    with Lock(folder, "a"):
        pass
    assert folder.names() == []


def test_lock_of_another_process_holds_while_it_lives_and_ends_with_its_death(folder):
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(folder, there))
    process.start()
    assert here.recv() == "locked"
    with Lock(folder, "b") as lock:
        with pytest.raises(OutputBusyError, match=rf"process {process.pid}"):
            lock.acquire()
        assert is_held(folder)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert not is_held(folder)
        lock.acquire()
        lock.check()


def test_lock_of_another_machine_ends_when_its_heartbeat_does(folder, monkeypatch):
    with Lock(folder, "a") as first:
        first.acquire()
        holder = json.loads(folder.read("lock.json")) | {"host": "elsewhere"}
        folder.write("lock.json", json.dumps(holder).encode())
        with pytest.raises(OutputBusyError, match="elsewhere"):
            Lock(folder, "b").acquire()
        holder["renewed"] -= 1000
        folder.write("lock.json", json.dumps(holder).encode())
        with Lock(folder, "b") as second:
            second.acquire()
            with pytest.raises(OutputBusyError, match="taken this output over"):
                first.check()
    assert folder.names() == []


def test_lock_of_a_machine_whose_clock_is_wrong_is_not_taken_over(folder, monkeypatch):
    holder = {"run": "a", "host": "elsewhere", "pid": 1, "processes": "others", "renewed": 1000.0}
    folder.write("lock.json", json.dumps(holder).encode())
    waits = []

    def beat(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            folder.write("lock.json", json.dumps(holder | {"renewed": 1015.0}).encode())

    with monkeypatch.context() as patch:
        patch.setattr(module, "_WATCHED", 3)
        patch.setattr(module.time, "sleep", beat)
        with pytest.raises(OutputBusyError, match="elsewhere"):
            Lock(folder, "b").acquire()
    assert waits == [module._HEARTBEAT] * 3


def test_lock_that_is_given_back_meanwhile_is_anybodys(folder, monkeypatch):
    """Who takes it in the moment between being refused and looking who holds it has it."""
    first, second, third = (Lock(folder, run) for run in "abc")
    first.acquire()
    read = Folder.read

    def give_back_first(self, name):
        patch.undo()
        first.release()
        try:
            return read(self, name)
        finally:
            third.acquire()

    with monkeypatch.context() as patch, second, third:
        patch.setattr(Folder, "read", give_back_first)
        with pytest.raises(OutputBusyError):
            second.acquire()
        third.check()


def test_process_of_another_container_is_not_taken_for_dead(folder):
    """It may have the name of this machine, and a number that is nobody's here."""
    with Lock(folder, "a") as first:
        first.acquire()
        holder = json.loads(folder.read("lock.json")) | {"pid": 2**30, "processes": "others"}
        folder.write("lock.json", json.dumps(holder).encode())
        with pytest.raises(OutputBusyError):
            Lock(folder, "b").acquire()


def test_one_of_many_takes_a_dead_lock_over(folder, monkeypatch):
    monkeypatch.setattr(module, "_SETTLE", 1.0)
    Lock(folder, "dead")._folder.create("lock.json", b"")
    locks = [Lock(folder, str(n)) for n in range(6)]

    def take(lock: Lock) -> bool:
        try:
            lock.acquire()
        except OutputBusyError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(take, locks))
    assert sum(taken) == 1
    locks[taken.index(True)].check()
    for lock in locks:
        lock.release()


def test_heartbeat_renews_the_lock(folder, monkeypatch):
    monkeypatch.setattr(module, "_HEARTBEAT", 0.01)
    with Lock(folder, "a") as lock:
        lock.acquire()
        before = json.loads(folder.read("lock.json"))["renewed"]
        for _ in range(1000):
            if json.loads(folder.read("lock.json"))["renewed"] > before:
                return
            lock._end.wait(0.01)
        raise AssertionError("the lock was not renewed")


def test_torn_lock_is_taken_over(folder):
    folder.write("lock.json", b'{"ru')
    with Lock(folder, "a") as lock:
        lock.acquire()
        lock.check()
