"""What a process has to compute blocks with: a GPU, versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scatdask.archive.environment import environment
from scatdask.arrays import accelerators
from scatdask.errors import WorkerVersionError

DEVICES = ("auto", "cpu", "gpu")
# Packages that workers must have in the version of the client. Of others it is recorded.
_SAME_VERSION = ("scatdask", "zarr")


@dataclass(frozen=True)
class Abilities:
    """What a process has.

    Attributes
    ----------
    host : str
    gpu : str or None
        Name of its GPU.
    gpu_identity : str or None
        The same for all processes that use this one.
    gpu_memory : int
        Bytes.
    without_gpu : str
        Why it has none.
    versions : dict of str to str
    """

    host: str = ""
    gpu: str | None = None
    gpu_identity: str | None = None
    gpu_memory: int = 0
    without_gpu: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def abilities(device: str) -> Abilities:
    """Look at this process.

    Parameters
    ----------
    device : {"auto", "cpu", "gpu"}
        With "cpu" no GPU is looked for.
    """
    versions = {k: v for k, v in environment().items() if k not in ("device", "device_name")}
    found = Abilities(platform.node(), versions=versions)
    if device == "cpu":
        return replace(found, without_gpu="none was asked for")
    try:
        gpu = accelerators.find_accelerator()
    except LookupError as error:
        return replace(found, without_gpu=str(error.args[0]))
    return replace(
        found,
        gpu=gpu.name,
        gpu_identity=gpu.identity,
        gpu_memory=gpu.memory,
        versions=versions | gpu.versions,
    )


def check_versions(address: str, answer: Abilities | Exception, ours: Mapping[str, str]) -> None:
    """Raise WorkerVersionError unless a worker computes what this process would.

    Parameters
    ----------
    address : str
        Of the worker.
    answer : Abilities or Exception
        What it said of itself, or what it raised.
    ours : dict of str to str
        Versions in this process.
    """
    if isinstance(answer, Exception):
        # Dask wraps what was raised before the function ran.
        reason = str(answer) if type(answer) is Exception else repr(answer)
        raise WorkerVersionError(
            f"worker {address} cannot compute blocks ({reason}): install scatdask "
            f"{ours['scatdask']} there"
        )
    wrong = [name for name in _SAME_VERSION if answer.versions.get(name) != ours.get(name)]
    if wrong:
        theirs = ", ".join(f"{name} {answer.versions.get(name)}" for name in wrong)
        here = ", ".join(f"{name} {ours.get(name)}" for name in wrong)
        raise WorkerVersionError(
            f"worker {address} has {theirs}, and this process {here}: install the same versions"
        )
