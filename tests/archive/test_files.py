from __future__ import annotations

import concurrent.futures
import uuid
from pathlib import Path

import pytest

from scatdask.archive.files import Folder
from scatdask.archive.locations import Location


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path) -> Folder:
    where = tmp_path / "a" / "b" if request.param == "disk" else f"memory://{uuid.uuid4()}/b"
    return Folder(Location.of(where))


def test_nothing_there(folder):
    assert folder.names() == []
    assert not folder.exists()
    assert not folder.exists("x")
    assert folder.read_all("sub", []) == {}
    folder.remove("sub", ["x"])
    with pytest.raises(FileNotFoundError):
        folder.read("x")


def test_files_are_written_replaced_listed_and_removed(folder):
    folder.write("sub/b", b"1")
    folder.write("sub/a", b"2")
    folder.write("sub/b", b"3")
    folder.write("top", b"")
    assert folder.names("sub") == ["a", "b"]
    assert "top" in folder.names()
    assert folder.exists("top")
    assert folder.read("sub/b") == b"3"
    assert folder.read_all("sub", ["a", "b", "gone"]) == {"a": b"2", "b": b"3"}
    folder.remove("sub", ["a", "gone"])
    assert folder.names("sub") == ["b"]


def test_one_of_many_creates_a_file(folder):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: folder.create("lock", b"%d" % n), range(20)))
    assert sum(made) == 1
    assert folder.read("lock") == b"%d" % made.index(True)


def test_a_write_that_is_cut_short_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    folder = Folder(Location.of(tmp_path))
    folder.write("x", b"old")
    real = Path.write_bytes

    def cut(self, content):
        real(self, content[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", cut)
    with pytest.raises(KeyboardInterrupt):
        folder.write("x", b"new")
    assert folder.read("x") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_writer_leaves_is_not_listed(tmp_path):
    (tmp_path / "x.0123.partial").touch()
    assert Folder(Location.of(tmp_path)).names() == []


def test_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = Folder(Location.of(tmp_path / "run[1]*"))
    folder.write("sub/a", b"1")
    assert folder.read_all("sub", folder.names("sub")) == {"a": b"1"}
