"""Who is there, told by a client that only says what it is told to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import distributed
import pytest

from scatdask.archive import crew as module
from scatdask.archive.abilities import Abilities, abilities
from scatdask.archive.client_pool import ClientPool
from scatdask.archive.crew import Crew
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.arrays import accelerators
from scatdask.errors import (
    DeviceLostWarning,
    WorkerMemoryWarning,
    WorkersLostError,
    WorkerVersionError,
)
from tests.archive.conftest import make_job
from tests.archive.stand_in import find_none, find_stand_in

VERSIONS = abilities("cpu").versions
CPU = Abilities(versions=VERSIONS, without_gpu="no slot")


def gpu(identity: str = "a") -> Abilities:
    return Abilities("b", "fast", identity, gpu_memory=2**35, versions=VERSIONS)


class FakeClient:
    """A client of workers that are there at one look after the other."""

    def __init__(self, *looks: dict[str, Abilities]) -> None:
        self.looks, self.asked, self.status = looks, 0, "running"
        self.resources: list[tuple[str, str, int]] = []
        self.questions: list[list[str]] = []

    @property
    def there(self) -> dict[str, Abilities]:
        return self.looks[min(self.asked, len(self.looks)) - 1]

    def nthreads(self) -> dict[str, int]:
        self.asked += 1
        return dict.fromkeys(self.there, 2)

    def run(
        self, function: Callable, *arguments: Any, workers: list[str], on_error: str
    ) -> dict[str, Any]:
        assert on_error == "return"
        if function is module._abilities:
            self.questions.append(workers)
            return {address: self.there[address] for address in workers}
        for address in workers:
            worker = SimpleNamespace(address=address, set_resources=self._set(address))
            asyncio.run(function(*arguments, dask_worker=worker))
        return dict.fromkeys(workers)

    def _set(self, address: str) -> Callable:
        async def set_resources(**resources: int) -> None:
            self.resources += [(address, name, count) for name, count in resources.items()]

        return set_resources


def counts(*numbers: int) -> list[dict[str, Abilities]]:
    return [dict.fromkeys(map(str, range(number)), CPU) for number in numbers]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.05)


def test_workers_are_counted_every_few_seconds_only():
    client = FakeClient(*counts(3, 4))
    pool = ClientPool(client)
    assert [pool.threads for _ in range(100)] == [6] * 100
    assert (client.asked, len(client.questions)) == (1, 1)
    client.status = "closed"  # is noticed at once
    with pytest.raises(WorkersLostError, match="scheduler is lost"):
        _ = pool.threads


def test_connection_that_breaks_while_workers_are_counted_is_said():
    class Broken(FakeClient):
        def nthreads(self) -> dict[str, int]:
            raise distributed.comm.CommClosedError("stream is closed")

    with pytest.raises(WorkersLostError, match=r"scheduler is lost.*stream is closed"):
        Crew(Broken()).look()


def test_workers_that_have_gone_are_waited_for_as_long_as_the_grace(impatient):
    pools = [ClientPool(FakeClient(*counts(*some))) for some in ((0,), (2, 0), (2, 0, 1, 0))]
    never, gone, back = pools
    assert [pool.threads for pool in pools] == [0, 4, 4]
    assert [gone.threads, back.threads, back.threads] == [0, 0, 2]
    time.sleep(0.1)
    assert [never.threads, back.threads] == [0, 0]
    with pytest.raises(WorkersLostError, match="no workers"):
        _ = gone.threads


def test_tasks_are_routed_only_where_there_is_a_gpu(impatient):
    client = FakeClient({"a": CPU}, {"a": CPU, "b": gpu()}, {"a": CPU, "c": CPU})
    crew = Crew(client)
    crew.look()
    assert (crew.is_routed, client.resources) == (False, [])
    crew.look()
    assert crew.is_routed
    assert crew.slots == {"gpu": BLOCKS_UNDER_WAY, "cpu": 2}
    assert sorted(client.resources) == [("a", "scatdask-cpu", 2), ("b", "scatdask-gpu", 3)]
    assert str(crew) == "2 threads of dask workers on 2 machines, 1 GPUs (fast, 32.00 GiB)"
    assert crew.gpus == {"b"}
    crew.look()
    assert not crew.is_routed
    assert crew.slots == {"gpu": 0, "cpu": 4}
    assert client.questions == [["a"], ["b"], ["c"]]  # each once


def test_device_decides_who_is_asked_to_do_what():
    there = {"a": CPU, "b": gpu()}
    slots = {}
    for device in ("cpu", "gpu"):
        client = FakeClient(there)
        crew = Crew(client, device)
        crew.look()
        slots[device] = crew.slots
        assert [name for _, name, _ in client.resources] == ["scatdask-gpu"] * (device == "gpu")
    assert slots == {"cpu": {"gpu": 0, "cpu": 4}, "gpu": {"gpu": BLOCKS_UNDER_WAY, "cpu": 0}}


def test_of_workers_that_share_a_gpu_one_uses_it(impatient):
    both = {"b": gpu("x"), "c": gpu("x"), "d": gpu("y")}
    crew = Crew(FakeClient(both, {"a": gpu("x"), **both}, {"a": gpu("x"), "c": gpu("x")}))
    for _ in range(2):  # who came first keeps it
        crew.look()
        assert crew._teams["gpu"] == {"b", "d"}
    crew.look()
    assert crew._teams == {"gpu": {"a"}, "cpu": {"c"}}


def test_tasks_are_stranded_where_nobody_of_the_last_look_is_left(impatient):
    looks = ["ab", "bc", "d", "", "e"]
    client = FakeClient(*({name: gpu(name) for name in names} for names in looks))
    crew = Crew(client, "gpu")
    found = []
    for _ in looks:
        crew.look()
        found.append(crew.stranded().get("gpu"))
    assert found == [False, None, True, True, False]
    assert [address for address, _, _ in client.resources] == list("abcde")


def test_loss_of_the_last_gpu_is_a_warning_or_an_error_after_the_grace(impatient):
    for device in ("auto", "gpu"):
        crew = Crew(FakeClient({"a": CPU, "b": gpu()}, {"a": CPU}), device)
        crew.look()
        crew.look()
        time.sleep(0.1)
        if device == "auto":
            with pytest.warns(DeviceLostWarning, match=r"scatdask-gpu.*CPUs compute its blocks"):
                crew.look()
            crew.look()  # and is told once
        else:
            with pytest.raises(WorkersLostError, match=r"scatdask-gpu.*device=\"auto\""):
                crew.look()


def test_worker_that_never_answers_computes_as_long_as_no_gpu_is_there(monkeypatch, impatient):
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.1)
    thaw = threading.Event()

    class Frozen(FakeClient):
        def run(self, function, *arguments, workers, on_error):
            if "frozen" in workers and function is module._abilities:
                thaw.wait(60)
            return super().run(function, *arguments, workers=workers, on_error=on_error)

    crew = Crew(Frozen({"frozen": CPU}, {"frozen": CPU, "b": gpu()}))
    crew.look()
    crew.look()
    assert crew.slots == {"gpu": 0, "cpu": 4}
    assert crew.workers == {"frozen": None, "b": None}
    thaw.set()
    while None in crew.workers.values():
        crew.look()
    assert crew.slots == {"gpu": BLOCKS_UNDER_WAY, "cpu": 2}


def test_worker_that_dies_while_it_is_asked_is_asked_again_if_it_is_still_there(impatient):
    class Dying(FakeClient):
        def run(self, function, *arguments, workers, on_error):
            answers = super().run(function, *arguments, workers=workers, on_error=on_error)
            return dict.fromkeys(answers, OSError("gone")) if self.asked == 1 else answers

    client = Dying({"a": CPU})
    crew = Crew(client)
    for _ in range(3):
        crew.look()
    assert client.questions == [["a"], ["a"]]
    assert crew.workers == {"a": CPU}


def test_worker_of_other_versions_is_refused():
    for name, is_refused in (("zarr", True), ("scatdask", True), ("numpy", False)):
        other = Abilities(versions={**VERSIONS, name: "0.0.1"})
        crew = Crew(FakeClient({"tcp://a": other}))
        if is_refused:
            with pytest.raises(WorkerVersionError, match=rf"tcp://a has {name} 0\.0\.1, and this"):
                crew.look()
        else:
            crew.look()


def test_worker_that_comes_late_and_is_too_small_for_the_plan_is_named_once(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.0)
    limits = {"large": 1000, "small": 400, "smaller": 300}
    monkeypatch.setattr(module, "deadly_limits", lambda client, gpus: limits)
    large = {"large": CPU, "unlimited": CPU}
    looks = large, {**large, "small": CPU}, {**large, "small": CPU, "smaller": CPU}
    crew = Crew(FakeClient(*looks), needed={"cpu": 500, "gpu": 800})
    crew.look()
    with pytest.warns(WorkerMemoryWarning, match="worker small would be killed at 400 B .* 500 B"):
        crew.look()
    crew.look()
    assert set(crew.workers) == {"large", "unlimited", "small", "smaller"}


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_late_worker_is_held_to_what_the_plan_needs_on_its_device(archive, monkeypatch, device):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(accelerators, "find_accelerator", find_none)
    options = {"threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=1, memory_limit="8GB", **options) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        needed = make_job(archive).plan(client).memory_needed
        crew = Crew(client, needed=needed)
        crew.look()
        if device == "gpu":
            monkeypatch.setattr(accelerators, "find_accelerator", find_stand_in)
            assert needed["gpu"] * 0.95 > needed["cpu"]

        async def start() -> distributed.Worker:
            address, limit = cluster.scheduler_address, needed[device]
            return await distributed.Worker(address, nthreads=1, memory_limit=limit)

        late = client.sync(start)
        kind = "a worker with a GPU" if device == "gpu" else "a worker"
        with pytest.warns(WorkerMemoryWarning, match=f"{late.address} .*by the plan {kind} takes"):
            crew.look()
        assert (crew.gpus == {late.address}) == (device == "gpu")
        client.sync(late.close)
