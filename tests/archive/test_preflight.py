"""Outputs for which there is no place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
import xarray as xr
from click.testing import CliRunner

from scatdask.cli import main
from tests.archive.common import forget
from tests.archive.conftest import make_job

Usage = namedtuple("Usage", "total used free")


def disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Have all disks so much space: one of a certain size is nothing that a test can make."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - free, free))


def refused_to(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have no permission for a folder: root, who may run the tests, has it for all."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and real(path, mode))


def test_disk_without_room_is_refused_before_any_work(archive, monkeypatch):
    job = make_job(archive)
    needed = job.plan().bytes_written
    disk_with(monkeypatch, needed // 2 - 1)
    with pytest.raises(OSError, match=r"takes .*iB more .* free: make space"):
        job.run()
    assert sorted(path.name for path in archive.parent.iterdir()) == ["in.zarr"]
    # Compression may make it fit.
    disk_with(monkeypatch, needed // 2 + 1)
    assert job.run().computed > 0


def test_what_is_done_needs_no_room_again(archive, monkeypatch):
    job = make_job(archive, memory=make_job(archive).plan().peak_memory - 2**20)
    blocks = job.run().blocks
    forget(job, slice(0, 1))
    disk_with(monkeypatch, job.plan().bytes_written // 2 - 1)
    assert job.run().found_done == blocks - 1


def test_output_that_is_replaced_makes_its_own_room(archive, monkeypatch):
    job = make_job(archive)
    job.run()
    disk_with(monkeypatch, 0)
    assert job.run(overwrite=True).computed == job.plan().blocks


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_folder_that_does_not_exist(archive, tmp_path, url):
    target = url.format(tmp_path / "slip" / "out.zarr")
    with pytest.raises(FileNotFoundError, match=r"folder '.*/slip' does not exist: make it first"):
        make_job(archive, target=target).run()
    result = CliRunner().invoke(main, ["init", str(archive), target, "--dim", "time", "-J", "6"])
    assert result.exit_code == 2
    assert "slip' does not exist" in result.stderr
    assert sorted(path.name for path in archive.parent.iterdir()) == ["in.zarr"]
    (tmp_path / "slip").mkdir()
    assert make_job(archive, target=target).run().computed > 0


def test_folder_that_is_a_file(archive, tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(NotADirectoryError, match=r"/a' is no folder"):
        make_job(archive, target=tmp_path / "a" / "out.zarr").run()


def test_no_permission(archive, tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    refused_to(monkeypatch, tmp_path / "theirs")
    with pytest.raises(PermissionError, match="theirs' is read-only here"):
        make_job(archive, target=tmp_path / "theirs" / "out.zarr").run()
    assert not any((tmp_path / "theirs").iterdir())


def test_permission_for_output_and_ledger_is_enough(archive, tmp_path, monkeypatch):
    target = tmp_path / "theirs" / "out.zarr"
    target.parent.mkdir()
    job = make_job(archive, target=target)
    job.run()
    forget(job, slice(0, 1))
    refused_to(monkeypatch, tmp_path / "theirs")
    assert job.run().computed == 1


def test_disk_that_is_mounted_read_only(archive, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "scatdask-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a disk")
    try:
        words = ["run", archive, disk / "out.zarr", "--dim", "time", "-J", 6, "--quiet"]
        result = CliRunner().invoke(main, list(map(str, words)))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert result.exit_code == 2
    assert "disk' is read-only here" in result.stderr


def test_group_without_arrays(write_archive):
    source = write_archive(xr.Dataset())
    with pytest.raises(KeyError, match="time"):
        make_job(source).run()
    assert not (source.parent / "out.zarr.ledger").exists()
