"""What goes wrong on workers, as plugins that are taken out again."""

from __future__ import annotations

import errno
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
from zarr.storage import LocalStore

from scatdask.archive import retries, store, work

# Requests that were refused, by their keys.
refused: Counter[str] = Counter()


def refusals() -> dict[str, int]:
    """Return what `Refusing` has refused on this worker."""
    return dict(refused)


class Fault(distributed.WorkerPlugin, ABC):
    """Something on a worker is other than it should be, as long as the plugin is there."""

    def setup(self, worker: distributed.Worker) -> None:
        self._patches = pytest.MonkeyPatch()
        self.patch(self._patches)

    def teardown(self, worker: distributed.Worker) -> None:
        self._patches.undo()

    @abstractmethod
    def patch(self, patches: pytest.MonkeyPatch) -> None:
        """Make it so."""


class Slow(Fault):
    """Blocks take longer, in each of their steps, so that whatever comes may come in any."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def patch(self, patches: pytest.MonkeyPatch) -> None:
        def slowed(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                time.sleep(self.seconds)
                return real(*args, **kwargs)

            return call

        patches.setattr(work, "compute_block", slowed(work.compute_block))
        patches.setattr(store, "write", slowed(store.write))
        patches.setattr(work.Ledger, "mark", slowed(work.Ledger.mark))


class Hungry(Fault):
    """A block takes more memory than there is."""

    def __init__(self, block: int, n_bytes: int) -> None:
        self.block, self.n_bytes = block, n_bytes

    def patch(self, patches: pytest.MonkeyPatch) -> None:
        real = work.run_block

        def hungry(job: work.Work, block: int) -> Any:
            if block == self.block:
                hoard = np.ones(self.n_bytes, dtype=np.uint8)
                while hoard[0]:  # until the nanny sees to it
                    time.sleep(0.1)
            return real(job, block)

        patches.setattr(work, "run_block", hungry)


class Flaky(Fault):
    """Requests to the disk fail at a rate, before they are met or after, as on a network.

    Parameters
    ----------
    rate : float
    seed : int
    only : str
        Part of the keys of the requests that may fail.
    """

    def __init__(self, rate: float, seed: int = 0, only: str = "") -> None:
        self.rate, self.seed, self.only = rate, seed, only

    def patch(self, patches: pytest.MonkeyPatch) -> None:
        rng = random.Random(self.seed)

        def trouble(key: object) -> None:
            if self.only in str(key) and rng.random() < self.rate / 2:
                raise rng.choice(
                    [
                        TimeoutError("no answer"),
                        ConnectionResetError(errno.ECONNRESET, "reset by peer"),
                        OSError(errno.EBUSY, "resource busy"),
                    ]
                )

        def flaky(real: Callable[..., Any]) -> Callable[..., Any]:
            async def call(self: LocalStore, key: str, *args: Any, **kwargs: Any) -> Any:
                trouble(key)
                result = await real(self, key, *args, **kwargs)
                trouble(key)
                return result

            return call

        patches.setattr(LocalStore, "get", flaky(LocalStore.get))
        patches.setattr(LocalStore, "set", flaky(LocalStore.set))
        write_bytes = Path.write_bytes

        def write(path: Path, content: bytes) -> int:
            if ".ledger/" not in path.as_posix():
                return write_bytes(path, content)
            trouble(path)
            written = write_bytes(path, content)
            trouble(path)
            return written

        patches.setattr(Path, "write_bytes", write)
        patches.setattr(retries, "_FIRST_WAIT", 0.01)


class Refusing(Fault):
    """The store takes no chunk more than some, since its credentials have expired."""

    def __init__(self, after: int) -> None:
        self.after = after

    def patch(self, patches: pytest.MonkeyPatch) -> None:
        real, written = LocalStore.set, []
        refused.clear()

        async def refuse(store: LocalStore, key: str, *args: Any) -> None:
            if len(written) >= self.after:
                refused[key] += 1
                raise PermissionError("ExpiredToken: the provided token has expired")
            written.append(key)
            await real(store, key, *args)

        patches.setattr(LocalStore, "set", refuse)
