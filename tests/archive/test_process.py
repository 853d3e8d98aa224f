import ctypes
import os
import subprocess
import sys
import threading
import time

import pytest
from threadpoolctl import ThreadpoolController

from scatdask.archive import process, work
from scatdask.archive.process import call_unseen, products_in_one_thread

PROGRAM = """
import os, resource
import numpy as np
from scatdask.archive.process import prepare_process

prepare_process()
np.ones(2**18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**18)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def is_glibc() -> bool:
    return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not sys.platform.startswith("linux") or not is_glibc(), reason="glibc only")
def test_memory_is_not_mapped_anew_for_every_array_of_a_dask_worker():
    # What dask sets for its workers.
    program = f"with __import__('multiprocessing').Pool(1) as pool: pool.apply(exec, [{PROGRAM!r}])"
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    pages = 20 * 8 * 2**18 / os.sysconf("SC_PAGE_SIZE")
    assert int(result.stdout) < pages / 10


def test_call_in_a_thread_of_its_own_returns_and_raises_as_any_other():
    assert call_unseen(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        call_unseen(divmod, 7, 0)


def threads_for_tasks() -> int:
    return sum(thread.name == "scatdask-task" for thread in threading.enumerate())


def test_thread_has_one_partner_and_takes_it_along_when_it_ends():
    before, idents = threads_for_tasks(), []

    def ask():
        idents.extend(call_unseen(threading.get_ident) for _ in range(3))
        idents.append(threading.get_ident())

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    partner, *others, own = idents
    assert others == [partner, partner]
    assert partner != own
    end = time.monotonic() + 60
    while threads_for_tasks() > before:
        assert time.monotonic() < end, "the partner lives on"
        time.sleep(0.01)


def test_tasks_are_out_of_sight_of_the_profiler_of_their_worker(monkeypatch):
    seen = []

    def run_task(*_):
        seen.append(threading.get_ident())
        return work.Outcome([], [])

    monkeypatch.setattr(work, "run_task", run_task)
    monkeypatch.setattr(work, "prepare_process", lambda: None)
    nothing = work.Work(None, None, None, (), (), "", "")
    assert work.run_task_on_worker(nothing, work.Task(0, 0)) == work.Outcome([], [])
    assert seen
    assert seen[0] != threading.get_ident()


def test_limit_ends_with_the_last_of_those_who_overlap(two_threads):
    assert two_threads() == {2}
    entered, leave = threading.Event(), threading.Event()

    def outlast():
        with products_in_one_thread():
            entered.set()
            leave.wait(60)

    with products_in_one_thread():
        assert two_threads() == {1}
        other = threading.Thread(target=outlast)
        other.start()
        assert entered.wait(60)
    assert two_threads() == {1}
    leave.set()
    other.join()
    assert two_threads() == {2}


def test_limit_of_those_libraries_whose_threads_each_have_their_own(two_threads, monkeypatch):
    # As with OpenMP: BLAS of the processes of tests is taken for such a library.
    nothing = ThreadpoolController().select(user_api="none")
    monkeypatch.setattr(process, "_libraries", lambda: (ThreadpoolController(), nothing))
    with products_in_one_thread():
        assert two_threads() == {1}
    assert two_threads() == {2}


def test_task_that_raises_leaves_no_limit_behind(two_threads, monkeypatch):
    seen = []

    def fail(_):
        seen.append(two_threads())
        raise ZeroDivisionError

    monkeypatch.setattr(work, "_in_session_of_its_own", fail)
    with pytest.raises(ZeroDivisionError):
        call_unseen(work.run_task, work.Work(None, None, None, (), (), "", ""), work.Task(0, 0))
    assert seen == [{1}]
    assert two_threads() == {2}
