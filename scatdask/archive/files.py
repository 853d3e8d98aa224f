"""Small files in a folder, on a disk or in an object store."""

from __future__ import annotations

import os
import posixpath
import uuid
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

from scatdask.archive.locations import Location
from scatdask.archive.retries import patient


@dataclass(frozen=True)
class Folder:
    """A folder of small files, each of which is whole or not there.

    Attributes
    ----------
    location : Location
    """

    location: Location

    def _path(self, name: str) -> str:
        return posixpath.join(self.location.path, name) if name else self.location.path

    @patient
    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        FileNotFoundError
            If there is none of this name.
        """
        return bytes(self.location.filesystem.cat_file(self._path(name)))

    @patient
    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of another of its name."""
        if not self.location.is_local:  # object stores see to it that none is torn
            self.location.filesystem.pipe_file(self._path(name), content)
            return
        path = Path(self._path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that does not exist, of content like no other; False if it does."""
        try:
            self._create(name, content)
        except FileExistsError:
            # It may be ours, of a try that was said to have failed.
            return self.read_all("", [name]).get(name) == content
        return True

    @patient
    def _create(self, name: str, content: bytes) -> None:
        if not self.location.is_local:
            self.location.filesystem.pipe_file(self._path(name), content, mode="create")
            return
        path = Path(self._path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        # fsspec would first look and then write; a link is made where its name is free, at once.
        whole = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
        whole.write_bytes(content)
        try:
            os.link(whole, path)
        finally:
            whole.unlink()

    @patient
    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files in a folder of this one, in order."""
        filesystem, path = self.location.filesystem, self._path(folder)
        filesystem.invalidate_cache(path)
        try:
            entries = filesystem.ls(path, detail=True)
        except FileNotFoundError:
            return []
        files = (entry["name"] for entry in entries if entry["type"] == "file")
        names = map(posixpath.basename, files)
        return sorted(name for name in names if not name.endswith(".partial"))

    @patient
    def read_all(self, folder: str, names: list[str]) -> dict[str, bytes]:
        """Return the contents of files of a folder; those that are gone by now are left out."""
        if not names:
            return {}
        paths = {self._path(f"{folder}/{name}" if folder else name): name for name in names}
        filesystem = self.location.filesystem
        # `cat` of several takes names for patterns.
        if self.location.is_local or has_magic(self.location.path):
            found = {path: _content(filesystem, path) for path in paths}
        else:
            found = filesystem.cat(list(paths), on_error="return")
        contents = {}
        for path, content in found.items():
            if isinstance(content, FileNotFoundError):
                continue
            if isinstance(content, BaseException):
                raise content
            contents[paths[path]] = bytes(content)
        return contents

    @patient
    def remove(self, folder: str, names: list[str]) -> None:
        """Remove files of a folder; those that are gone are no matter."""
        for name in names:
            try:
                self.location.filesystem.rm_file(self._path(f"{folder}/{name}" if folder else name))
            except FileNotFoundError:
                continue

    @patient
    def exists(self, name: str = "") -> bool:
        """Say whether a file is there, or the folder itself."""
        filesystem, path = self.location.filesystem, self._path(name)
        filesystem.invalidate_cache(posixpath.dirname(path))
        return bool(filesystem.exists(path))


def _content(filesystem: Any, path: str) -> Any:
    try:
        return filesystem.cat_file(path)
    except FileNotFoundError as error:
        return error
