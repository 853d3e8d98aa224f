"""The workers of a cluster: who is there, what each has, and which blocks it is to get."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes

from scatdask.archive.abilities import Abilities, abilities, check_versions
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.worker_memory import deadly_limits
from scatdask.errors import DeviceLostWarning, WorkerMemoryWarning, WorkersLostError

if TYPE_CHECKING:
    import distributed

# A worker that was killed needs some seconds to be started anew.
_GRACE_SECONDS = 60.0
_POLL_SECONDS = 5.0
# What importing scatdask and CuPy may take on a slow file system. Who has not answered by then
# (a machine that hangs never does) is asked no more, but an answer still counts.
_ANSWER_SECONDS = 30.0


def resource(device: str) -> str:
    """Return the dask resource by which tasks get to the workers that have a device."""
    return f"scatdask-{device}"


class Crew:
    """The workers of a cluster, looked at every few seconds, each asked once what it has.

    Where one has a GPU, all are given resources by which tasks are routed; a worker that was
    started anew has none, and is given them again. Of several workers that share a GPU one uses it.

    Parameters
    ----------
    client : distributed.Client
    device : {"auto", "cpu", "gpu"}
    needed : mapping of str to int, optional
        Resident bytes that a process takes by the plan: of one thread, "cpu"; with a GPU, "gpu".
    """

    def __init__(
        self,
        client: distributed.Client,
        device: str = "auto",
        needed: Mapping[str, int] | None = None,
    ) -> None:
        self._client, self._device, self._needed = client, device, needed
        self._measured: set[tuple[str, str]] = set()
        self._threads: dict[str, int] = {}
        self._known: dict[str, Abilities] = {}
        self._tagged: set[tuple[str, str]] = set()
        self._teams: dict[str, set[str]] = {"gpu": set(), "cpu": set()}
        self._stranded: dict[str, bool] = {}
        self._question: Future[dict[str, Any]] | None = None
        self._asked: set[str] = set()
        self._looked: float | None = None
        # Since when there is nobody; None where there is somebody, or never was.
        self._seen: set[str] = set()
        self._gone: dict[str, float] = {}

    def __str__(self) -> str:
        text = f"{sum(self._threads[a] for a in self._teams['cpu'])} threads of dask workers"
        hosts = {known.host for known in self._known.values()}
        text += f" on {len(hosts)} machines" if len(hosts) > 1 else ""
        gpus = [self._known[address] for address in self._teams["gpu"]]
        kinds = {f"{known.gpu}, {format_bytes(known.gpu_memory)}" for known in gpus}
        return f"{text}, {len(gpus)} GPUs ({'; '.join(sorted(kinds))})" if gpus else text

    @property
    def is_routed(self) -> bool:
        """Whether tasks need a resource, to get to the workers that have their device."""
        return self._device == "gpu" or bool(self._teams["gpu"])

    @property
    def workers(self) -> dict[str, Abilities | None]:
        """Who is there, and what they have, as far as they have answered."""
        return {address: self._known.get(address) for address in self._threads}

    @property
    def gpus(self) -> frozenset[str]:
        """Addresses of the workers that compute on a GPU."""
        return frozenset(self._teams["gpu"])

    def stranded(self) -> dict[str, bool]:
        """Return the devices none of whose workers of the last look is left, and if there were any.

        The scheduler gives tasks that need a resource to no worker that gets it later: they must
        be submitted anew. Each loss is told once.
        """
        stranded, self._stranded = self._stranded, {}
        return stranded

    @property
    def slots(self) -> dict[str, int]:
        """How many tasks each device works on at the same time."""
        return {
            "gpu": BLOCKS_UNDER_WAY * len(self._teams["gpu"]),
            "cpu": sum(self._threads[address] for address in self._teams["cpu"]),
        }

    @property
    def seconds_to_look(self) -> float:
        """Seconds until the next look."""
        since = 0.0 if self._looked is None else time.monotonic() - self._looked
        return max(0.0, _POLL_SECONDS - since)

    def look(self) -> None:
        """See who is there, if it is some seconds since.

        Raises
        ------
        WorkersLostError
            If the scheduler has gone, or workers have gone and not come back. Those that have
            never been there may be in the queue of a cluster yet.
        WorkerVersionError
            If a worker has not the versions of this process.

        Warns
        -----
        DeviceLostWarning
            If the last worker with a GPU has gone.
        WorkerMemoryWarning
            If a worker would be killed at less memory than the plan needs.
        """
        now = time.monotonic()
        try:
            if self._client.status != "running":
                raise OSError(f"client is {self._client.status}")
            if self._looked is not None and now - self._looked < _POLL_SECONDS:
                return
            self._threads, self._looked = dict(self._client.nthreads()), now
        except OSError as error:
            raise WorkersLostError(
                f"the connection to the scheduler is lost ({error}); what is done is recorded: "
                "run again to do the rest"
            ) from error
        self._forget_those_who_left()
        self._meet_new_ones()
        self._form_teams()
        self._measure_new_ones()
        self._notice_losses(now)

    def _forget_those_who_left(self) -> None:
        there = set(self._threads)
        self._known = {a: known for a, known in self._known.items() if a in there}
        self._asked &= there
        self._tagged = {tag for tag in self._tagged if tag[0] in there}

    def _meet_new_ones(self) -> None:
        """Ask new workers what they have."""
        patience = 0.0
        if self._question is None:
            new = sorted(set(self._threads) - self._asked)
            if not new:
                return
            self._asked |= set(new)
            self._question, patience = self._ask(_abilities, self._device, to=new), _ANSWER_SECONDS
        answers = _answers(self._question, patience)
        if answers is None:
            return
        self._question = None
        ours = abilities("cpu").versions
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # it died, or came while the network was down
                self._asked.discard(address)
                continue
            check_versions(address, answer, ours)
            if address in self._threads:
                self._known[address] = answer

    def _form_teams(self) -> None:
        """Say who computes on what, and give out resources."""
        last, gpus = self._teams, dict[str, str]()
        if self._device != "cpu":
            # Who had the GPU before keeps it.
            for address in sorted(self._known, key=lambda a: (a not in last["gpu"], a)):
                if (identity := self._known[address].gpu_identity) is not None:
                    gpus.setdefault(identity, address)
        on_gpu = set(gpus.values())
        on_cpu = set() if self._device == "gpu" else set(self._threads) - on_gpu
        if on_gpu:
            on_cpu &= set(self._known)
        self._teams = {"gpu": on_gpu, "cpu": on_cpu}
        if self.is_routed:
            self._tag()
        for device, team in self._teams.items():
            if not team & last[device]:
                self._stranded[device] = self._stranded.get(device, False) or bool(last[device])

    def _tag(self) -> None:
        slots = dict.fromkeys(self._teams["gpu"], BLOCKS_UNDER_WAY)
        slots |= {address: self._threads[address] for address in self._teams["cpu"]}
        for device, team in self._teams.items():
            new = {a: slots[a] for a in sorted(team) if (a, device) not in self._tagged}
            if not new:
                continue
            question = self._ask(_set_resource, resource(device), new, to=list(new))
            answers = _answers(question, _ANSWER_SECONDS) or {}
            got = {a for a, answer in answers.items() if not isinstance(answer, Exception)}
            self._tagged |= {(address, device) for address in got}
            self._teams[device] = team - (set(new) - got)

    def _measure_new_ones(self) -> None:
        """Warn once if a worker that came after blocks were chosen is too small for them."""
        teams = {a: device for device, team in self._teams.items() for a in team}
        new = sorted(set(teams.items()) - self._measured)
        if not self._needed or not new:
            return
        self._measured |= set(new)
        limits = deadly_limits(self._client, self._teams["gpu"])
        small = [
            (limits[a], a, device)
            for a, device in new
            if a in limits and limits[a] < self._needed[device]
        ]
        if small:
            limit, address, device = min(small)
            each, kind = (
                ("", "a worker with a GPU") if device == "gpu" else (" for each thread", "a worker")
            )
            needed, self._needed = self._needed[device], None  # said once
            warnings.warn(
                f"worker {address} would be killed at {format_bytes(limit)}{each}, and by the plan "
                f"{kind} takes {format_bytes(needed)}: its blocks may fail. Give workers more, or "
                "the job less (memory=) and begin it anew with overwrite=True",
                WorkerMemoryWarning,
                stacklevel=2,
            )

    def _notice_losses(self, now: float) -> None:
        """Warn or raise where those who did the work have been gone for long."""
        for name, team in (("workers", set(self._threads)), ("gpu", self._teams["gpu"])):
            if team:
                self._seen.add(name)
                self._gone.pop(name, None)
                continue
            # With "gpu", workers that are there and have none are as good as gone.
            if name in self._seen or (self._device == "gpu" and self._threads):
                self._gone.setdefault(name, now)
        if now - self._gone.get("workers", now) > _GRACE_SECONDS:
            raise WorkersLostError(
                f"the cluster has had no workers for {_GRACE_SECONDS:.0f} s; what is done is "
                "recorded: start workers and run again to do the rest"
            )
        if now - self._gone.get("gpu", now) > _GRACE_SECONDS and "workers" not in self._gone:
            since = f"no worker has had a GPU (resource {resource('gpu')}) for"
            since = f"{since} {_GRACE_SECONDS:.0f} s"
            if self._device == "gpu":
                raise WorkersLostError(
                    f"{since}; what is done is recorded: start some and run again to do the rest, "
                    'or give it to CPUs with device="auto"'
                )
            self._seen.discard("gpu")  # said once
            del self._gone["gpu"]
            warnings.warn(f"{since}: CPUs compute its blocks", DeviceLostWarning, stacklevel=2)

    def _ask(
        self, function: Callable[..., Any], *arguments: Any, to: list[str]
    ) -> Future[dict[str, Any]]:
        """Run a function on workers; a thread waits, since one of them may never answer."""
        future: Future[dict[str, Any]] = Future()

        def ask() -> None:
            try:
                future.set_result(
                    self._client.run(function, *arguments, workers=to, on_error="return")
                )
            except Exception as error:
                future.set_result(dict.fromkeys(to, error))

        Thread(target=ask, daemon=True).start()
        return future


def _answers(question: Future[dict[str, Any]], seconds: float) -> dict[str, Any] | None:
    """Return answers or exceptions by worker, None if there are none yet."""
    concurrent.futures.wait([question], timeout=seconds)
    return question.result() if question.done() else None


async def _abilities(device: str) -> Abilities:
    """Look at a worker without holding up its event loop."""
    return await asyncio.to_thread(abilities, device)


async def _set_resource(
    name: str, slots: Mapping[str, int], dask_worker: distributed.Worker
) -> None:
    """Give a worker a resource."""
    await dask_worker.set_resources(**{name: slots[dask_worker.address]})
