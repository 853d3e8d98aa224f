"""Where a source or an output is."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import fsspec

from scatdask.archive.retries import patient

if TYPE_CHECKING:
    import icechunk
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
        | icechunk.Repository
    )

# What the ledger of an output is called besides.
LEDGER = ".ledger"
# Before the URL of an Icechunk repository.
_ICECHUNK = "icechunk+"


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
    repository : StoredRepository, OpenSession or Fork, optional
        What leads to the Icechunk repository that holds the arrays. The ledger is beside the URL.
    given : str
        What its user calls a repository.
    """

    url: str
    # Neither is shown: they may hold secrets.
    options: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    store: Any = field(default=None, hash=False, repr=False)
    is_complete: bool = False
    repository: Any = field(default=None, hash=False, repr=False)
    given: str = field(default="", compare=False)

    @classmethod
    def of(cls, place: Place | Location, options: Mapping[str, Any] | None = None) -> Location:
        """Return where something is: a path, made absolute since workers may run elsewhere.

        Parameters
        ----------
        place : path, URL, store or Location
            A store is one of obstore, or zarr's `ObjectStore`, `FsspecStore` or `LocalStore`. The
            URL of an Icechunk repository begins with ``icechunk+file://`` or ``icechunk+s3://``.
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
        if text.startswith(_ICECHUNK):
            return _of_repository(text.removeprefix(_ICECHUNK), options)
        if "://" not in text and "::" not in text:
            if options:
                raise TypeError(f"options are for URLs, and {text!r} is a path")
            text = str(Path(text).absolute())
        for key, value in (options or {}).items():
            _check_picklable(value, f"the option {key!r} of {text!r}")
        return cls(text, dict(options or {}))

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What messages call it: as it was given."""
        return self.given or self.url

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
        if self.repository is not None:
            return bool(self.repository.holds_anything)
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
    if _is_of_icechunk(store):
        raise TypeError(
            f"{store!r} is of an Icechunk repository, which can only be a target: write what it "
            "holds to plain Zarr first"
        )
    raise TypeError(
        f"{store!r} cannot be opened by other processes: give a path, a URL with its options, a "
        "store of obstore, or zarr's ObjectStore, FsspecStore or LocalStore"
    )


def target_of(
    place: Place,
    ledger: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Location:
    """Return where an output is to be.

    Parameters
    ----------
    place : path, URL, store or icechunk.Repository
    ledger : path or URL, optional
        Where the ledger of a repository is, a name that ends in ``.ledger``.
    options : mapping, optional
        For the file system of a URL, that of the ledger if there is one.

    Raises
    ------
    TypeError
        As from `Location.of`, or if a repository comes without a ledger, or a ledger without one.
    ValueError
        If the ledger has another name.
    """
    if not _is_of_icechunk(place):
        if ledger is not None:
            raise TypeError(
                f"ledger={str(ledger)!r} is for an icechunk.Repository as target: the ledger of "
                "anything else is beside it"
            )
        return Location.of(place, options)
    import icechunk

    if not isinstance(place, icechunk.Repository):
        raise TypeError(
            f"{place!r} is a part of an Icechunk repository: give the icechunk.Repository itself, "
            "of which a job opens sessions as it needs them"
        )
    if ledger is None:
        raise TypeError(
            "an icechunk.Repository has no place beside it for the ledger: give one, such as "
            'ledger="s3://bucket/name.ledger"'
        )
    from scatdask.archive.repositories import StoredRepository

    where = Location.of(ledger, options)
    if not where.url.endswith(LEDGER):
        raise ValueError(f"ledger must have a name that ends in {LEDGER!r}, got {str(ledger)!r}")
    url, repository = where.url.removesuffix(LEDGER), place
    # Which may go on about options of the storage.
    storage = repr(repository.storage).partition(", config=")[0]
    given = f"icechunk.Repository({storage})"
    return replace(where, url=url, repository=StoredRepository(url, repository), given=given)


def _is_of_icechunk(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] == "icechunk"


def _of_repository(url: str, options: Mapping[str, Any] | None) -> Location:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("file", "s3"):
        raise ValueError(
            f"the URL of an Icechunk repository is {_ICECHUNK}file:///path or "
            f"{_ICECHUNK}s3://bucket/prefix, got {_ICECHUNK}{url}: give an icechunk.Repository for "
            "any other storage"
        )
    from scatdask.archive.repositories import StoredRepository

    where = Location.of(url if scheme == "s3" else rest, options)
    given = f"{_ICECHUNK}{url}"
    return replace(where, repository=StoredRepository(where.url), given=given)


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
