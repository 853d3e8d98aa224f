from __future__ import annotations

import re
from dataclasses import replace

import pytest
from dask.utils import parse_bytes

from scatdask.archive import request
from scatdask.archive.file_source import FileSource
from scatdask.archive.libraries import library_bytes
from scatdask.archive.locations import Location
from scatdask.archive.source_kinds import ZarrSource
from tests.archive.conftest import make_job

MIB = 2**20
DISK = Location.of("/data/v.zarr")
REMOTE = Location.of("memory://v.zarr")
BUCKET = replace(DISK, store=object())
REPOSITORY = replace(DISK, repository=object())


@pytest.mark.parametrize(
    ("source", "target", "taken"),
    [
        (ZarrSource(DISK), DISK, 0),
        (ZarrSource(DISK), REMOTE, 56),
        (ZarrSource(REMOTE), REMOTE, 56),  # once
        (ZarrSource(REMOTE), BUCKET, 80),
        (ZarrSource(DISK), REPOSITORY, 24),
        (FileSource("a.nc", ("a.nc",)), DISK, 17),
        (FileSource("*.nc", tuple(map(str, range(1000)))), REMOTE, 16 + 128 + 56),
    ],
)
def test_each_library_is_counted_once(source, target, taken):
    assert library_bytes(source, target) == taken * MIB


def test_blocks_leave_room_for_libraries(archive, monkeypatch):
    without = make_job(archive).plan()
    memory = without.peak_memory
    monkeypatch.setattr(request, "library_bytes", lambda *_: MIB)
    plan = make_job(archive, memory=memory).plan()
    assert plan.memory_parts()["libraries"] == plan.gpu_host_parts()["libraries"] == MIB
    assert plan.block_memory < without.block_memory
    assert plan.peak_memory <= memory
    monkeypatch.setattr(request, "library_bytes", lambda *_: memory)
    with pytest.raises(MemoryError, match=r"libraries .*memory allows \d+\.\d MiB: allow") as error:
        make_job(archive, memory=memory).plan()
    needed = re.search(r'memory="(\d+ MiB)"', str(error.value)).group(1)
    assert make_job(archive, memory=needed).plan().peak_memory <= parse_bytes(needed)
