"""Where a source or an output is."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import fsspec

from scatdask.archive.retries import patient

if TYPE_CHECKING:
    import obstore.store
    import zarr.abc.store

    # What users may give as a source or target.
    Place: TypeAlias = (
        str
        | PathLike[str]
        | zarr.abc.store.Store
        | obstore.store.S3Store
        | obstore.store.GCSStore
        | obstore.store.AzureStore
    )


@dataclass(frozen=True)
class Location:
    """A path or URL, and what its store has to be told.

    Attributes
    ----------
    url : str
        Absolute path, or URL that fsspec understands.
    options : mapping
        What the file system of a URL takes, such as an endpoint or credentials.
    store : object, optional
        The store of obstore that is used instead of fsspec; the URL is only its name then.
    is_complete : bool
        Whether it is an error if a chunk that is read does not exist.
    """

    url: str
    # Neither is shown: they may hold secrets.
    options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    store: Any = field(default=None, hash=False, repr=False)
    is_complete: bool = False

    @classmethod
    def of(cls, place: Place | Location, options: Mapping[str, Any] | None = None) -> Location:
        """Return where something is: a path, made absolute since workers may run elsewhere.

        Parameters
        ----------
        place : path, URL, store or Location
            A store is one of obstore, or zarr's `ObjectStore`, `FsspecStore` or `LocalStore`.
        options : mapping, optional
            For the file system of a URL.

        Raises
        ------
        TypeError
            If other processes could not open it, or options are given for what takes none.
        """
        if isinstance(place, Location):
            return place
        if not isinstance(place, str | PathLike):
            if options:
                raise TypeError(f"options are for URLs, and {place!r} has its own")
            return _of_store(place)
        text = fspath(place)
        if "://" not in text and "::" not in text:
            if options:
                raise TypeError(f"options are for URLs, and {text!r} is a path")
            text = str(Path(text).absolute())
        for key, value in (options or {}).items():
            _check_picklable(value, f"the option {key!r} of {text!r}")
        return cls(text, dict(options or {}))

    def __str__(self) -> str:
        return self.url

    def beside(self, suffix: str) -> Location:
        """Return the location whose name has a suffix more."""
        url, store = self.url.rstrip("/") + suffix, self.store
        if store is not None:
            from scatdask.archive.object_stores import with_prefix

            store = with_prefix(store, f"{store.prefix.strip('/')}{suffix}")
        return Location(url, self.options, store)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system, one a process."""
        return _opened(self)[0]

    @property
    def path(self) -> str:
        """Path in the file system."""
        return _opened(self)[1]

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine, or one mounted like it."""
        return isinstance(self.filesystem, fsspec.get_filesystem_class("file"))

    @property
    @patient
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
        protocol = self.filesystem.protocol
        name = protocol if isinstance(protocol, str) else protocol[0]
        return (name, *self.path.strip("/").split("/"))


def _opened(location: Location) -> tuple[Any, str]:
    """Return the file system of a location, and the path in it."""
    if location.store is not None:
        return _bucket(location), location.url.partition("://")[2]
    filesystem, path = fsspec.core.url_to_fs(location.url, **location.options)
    return filesystem, str(path)


@lru_cache(maxsize=64)
def _bucket(location: Location) -> Any:
    from scatdask.archive.object_stores import BucketFileSystem

    # Stores cannot be told apart by the cache of fsspec, which goes by what they are printed as.
    return BucketFileSystem(location.store, skip_instance_cache=True)  # type: ignore[call-arg]


def _of_store(store: Any) -> Location:
    """Return the location of a store of zarr or obstore."""
    from zarr.storage import FsspecStore, LocalStore, ObjectStore

    if isinstance(store, LocalStore):
        return Location(str(store.root.absolute()))
    if isinstance(store, FsspecStore):
        return _of_filesystem(getattr(store.fs, "sync_fs", store.fs), store.path)
    if isinstance(store, ObjectStore):
        store = store.store
    if type(store).__module__.startswith("obstore"):
        from scatdask.archive.object_stores import address

        location = Location(address(store), {}, store)
        if not store.prefix:
            raise TypeError(
                f"the store of {location.url!r} is a whole bucket: give it a prefix, beside which "
                "there is room"
            )
        _check_picklable(store, f"the store of {location.url!r}")
        return location
    raise TypeError(
        f"{store!r} cannot be opened by other processes: give a path, a URL with its options, a "
        "store of obstore, or zarr's ObjectStore, FsspecStore or LocalStore"
    )


def _of_filesystem(filesystem: Any, path: str) -> Location:
    if filesystem.storage_args:
        raise TypeError(
            f"the file system {filesystem!r} was made with positional arguments: give a URL, and "
            "options by name"
        )
    options = dict(filesystem.storage_options)
    for key in ("asynchronous", "loop"):
        options.pop(key, None)
    return Location.of(filesystem.unstrip_protocol(path), options)


def _check_picklable(thing: Any, name: str) -> None:
    """Raise TypeError if something cannot be sent to other processes."""
    try:
        pickle.dumps(thing)
    except Exception as error:
        raise TypeError(
            f"{name} cannot be sent to workers ({error}): give what it is made from instead"
        ) from error


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
