"""Where a source or an output is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import fsspec


@dataclass(frozen=True)
class Location:
    """A path or URL, and what its store has to be told.

    Attributes
    ----------
    url : str
        Absolute path, or URL that fsspec understands.
    options : mapping
        What the file system of a URL takes, such as an endpoint or credentials.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(
        cls, place: str | PathLike[str] | Location, options: Mapping[str, Any] | None = None
    ) -> Location:
        """Return the location of a path, made absolute since workers may run elsewhere, or URL."""
        if isinstance(place, Location):
            return place
        text = fspath(place)
        if "://" not in text and "::" not in text:
            text = str(Path(text).absolute())
        return cls(text, dict(options or {}))

    def __str__(self) -> str:
        return self.url

    def beside(self, suffix: str) -> Location:
        """Return the location whose name has a suffix more."""
        return Location(self.url.rstrip("/") + suffix, self.options)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system, one a process."""
        return fsspec.core.url_to_fs(self.url, **self.options)[0]

    @property
    def path(self) -> str:
        """Path in the file system."""
        return str(fsspec.core.url_to_fs(self.url, **self.options)[1])

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine, or one mounted like it."""
        return isinstance(self.filesystem, fsspec.get_filesystem_class("file"))

    @property
    def storage_options(self) -> dict[str, Any] | None:
        """The options as zarr and xarray take them: None for what is no URL."""
        return dict(self.options) or None

    @property
    def exists(self) -> bool:
        """Whether something is there, be it a file or a folder."""
        filesystem, path = self.filesystem, self.path
        filesystem.invalidate_cache(path)  # others may have written or removed since
        return bool(filesystem.exists(path))

    @property
    def parts(self) -> tuple[str, ...]:
        """What two locations have in common where one holds the other."""
        if self.is_local:
            return ("file", *Path(self.path).resolve().parts)
        return (str(self.filesystem.protocol), *self.path.strip("/").split("/"))


def check_apart(source: Location, target: Location) -> None:
    """Raise ValueError if source and target are the same place or one holds the other."""
    a, b = source.parts, target.parts
    relation = None
    if a == b:
        relation = "is the source itself"
    elif b[: len(a)] == a:
        relation = "lies inside the source"
    elif a[: len(b)] == b:
        relation = "holds the source"
    if relation:
        raise ValueError(
            f"the output {target.url!r} {relation} ({source.url!r}): inputs are never written to, "
            "so name another place"
        )
