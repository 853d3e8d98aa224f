"""Icechunk repositories as outputs: what runs write is a draft until all of it is there.

A draft is a branch. Runs commit to it what their tasks have written, each through a fork of the
draft's session, so that one that is killed goes on from the last commit. When all blocks are done,
the branch ``main`` is moved to the draft's tip in one step, and the draft is gone: readers of
``main`` see the output as a whole, or what was there before.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import icechunk
import zarr
from fsspec.asyn import get_loop, sync
from zarr.abc.store import Store

from scatdask.archive.locations import Location
from scatdask.errors import OutputExistsError

# The branch that readers look at.
PUBLISHED = "main"
_DRAFT = "scatdask-"
# What a commit says of itself: the identity of the output.
_OUTPUT = "scatdask_output"


@dataclass(frozen=True)
class StoredRepository:
    """A repository where it is stored; it may have to be made first.

    Attributes
    ----------
    url : str
        Path, or an S3 URL, for which credentials and endpoint are the environment's.
    given : icechunk.Repository, optional
        The repository itself, for any other storage.
    """

    url: str
    given: Any = field(default=None, repr=False)

    def find(self) -> icechunk.Repository | None:
        """Return the repository, None where there is none."""
        if self.given is not None:
            return self.given
        if "://" not in self.url and not Path(self.url).exists():
            return None  # Icechunk would make the folder
        storage = _storage(self.url)
        return icechunk.Repository.open(storage) if icechunk.Repository.exists(storage) else None

    def find_or_make(self) -> icechunk.Repository:
        """Return the repository."""
        return self.find() or icechunk.Repository.create(_storage(self.url))

    @property
    def holds_anything(self) -> bool:
        """Whether there is an output, be it only a draft."""
        repository = self.find()
        if repository is None:
            return False
        return bool(_drafts(repository)) or _holds_group(repository)

    def store(self) -> Store:
        """Return a store of what is published."""
        repository = self.find()
        if repository is None:
            raise FileNotFoundError(f"there is no Icechunk repository at {self.url!r}")
        return repository.readonly_session(PUBLISHED).store


@lru_cache(maxsize=32)
def _storage(url: str) -> icechunk.Storage:
    """Return a storage, made once a process: of a disk, Icechunk warns each time."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        prefix = parts.path.strip("/")
        return icechunk.s3_storage(bucket=parts.netloc, prefix=prefix, from_env=True)
    return icechunk.local_filesystem_storage(url)


@dataclass(frozen=True, eq=False)
class OpenSession:
    """A session of a repository; no two are the same."""

    session: icechunk.Session
    # Those that were opened in it, by name.
    arrays: dict[str, zarr.Array] = field(default_factory=dict)

    def store(self) -> Store:
        """Return its store."""
        return self.session.store


@dataclass(frozen=True)
class Fork:
    """What tasks make their own sessions of, on whatever machine.

    Attributes
    ----------
    content : bytes
        A pickled session, with the credentials of its storage.
    """

    content: bytes = field(repr=False)

    def store(self) -> Store:
        """Return the store of a session of its own."""
        return self.open().store()

    def open(self) -> OpenSession:
        """Return a session of its own."""
        return OpenSession(pickle.loads(self.content))


class Draft:
    """What the runs of an output write to a repository.

    Parameters
    ----------
    target : Location
        Of the repository.
    output : str
        Identity of the output.
    """

    def __init__(self, target: Location, output: str) -> None:
        assert isinstance(target.repository, StoredRepository)
        self._target = target
        self._stored = target.repository
        self._output = output
        self.branch = f"{_DRAFT}{output}"

    @property
    def exists(self) -> bool:
        """Whether there is something that is not published yet."""
        repository = self._stored.find()
        return repository is not None and self.branch in repository.list_branches()

    def begin(self, former: str | None = None) -> Location:
        """Begin a draft.

        Parameters
        ----------
        former : str, optional
            Output that it continues; by default it takes the place of all that is there.

        Returns
        -------
        Location
            Of the repository, to be written to until the next `commit`.
        """
        repository = self._stored.find_or_make()
        if former is None:
            tip = repository.lookup_branch(PUBLISHED)
            for branch in _drafts(repository):
                repository.delete_branch(branch)
        else:
            tip = Draft(self._target, former)._tip(repository)
        repository.create_branch(self.branch, tip)
        return self._open(repository)

    def open(self) -> Location:
        """Return the location to go on writing to.

        Raises
        ------
        OutputExistsError
            If the repository does not hold the output any more.
        """
        repository = self._stored.find_or_make()
        if self.branch not in repository.list_branches():
            try:
                repository.create_branch(self.branch, self._tip(repository))
            except icechunk.IcechunkError:  # unless a run that shares the output was faster
                if self.branch not in repository.list_branches():
                    raise
        return self._open(repository)

    def look(self) -> Location:
        """Return the location to read from what is committed.

        Raises
        ------
        OutputExistsError
            If the repository does not hold the output any more.
        """
        repository = self._stored.find_or_make()
        session = repository.readonly_session(snapshot_id=self._tip(repository))
        return replace(self._target, repository=OpenSession(session))

    def check(self) -> None:
        """Raise OutputExistsError if the repository does not hold the output any more."""
        self._tip(self._stored.find_or_make())

    def commit(self, written: Location, message: str) -> None:
        """Commit what was written to a location that `begin` or `open` returned.

        Others may have committed to the draft meanwhile: blocks that both have written hold the
        same numbers.
        """
        session = written.repository.session
        if session.has_uncommitted_changes:
            solver = icechunk.BasicConflictSolver()
            session.commit(message, {_OUTPUT: self._output}, rebase_with=solver)

    def publish(self) -> None:
        """Move the published branch to what is committed, if it is not there yet.

        Raises
        ------
        OutputExistsError
            If somebody else has committed to it since the draft was begun.
        """
        repository = self._stored.find_or_make()
        if self.branch not in repository.list_branches():
            return
        tip = repository.lookup_branch(self.branch)
        published = repository.lookup_branch(PUBLISHED)
        if all(snapshot.id != published for snapshot in repository.ancestry(branch=self.branch)):
            raise OutputExistsError(
                f"the branch {PUBLISHED!r} of {self._target.name!r} has commits of others since "
                f"this job began: the output is complete on the branch {self.branch!r}. Move "
                f"{PUBLISHED!r} there by Repository.reset_branch, which leaves them out, or run "
                "with overwrite=True"
            )
        repository.reset_branch(PUBLISHED, tip, from_snapshot_id=published)
        for branch in _drafts(repository):  # also of a run that died while it extended the output
            repository.delete_branch(branch)

    def discard(self) -> None:
        """Forget what is not published."""
        if self.exists:
            self._stored.find_or_make().delete_branch(self.branch)

    def _open(self, repository: icechunk.Repository) -> Location:
        session = repository.writable_session(self.branch)
        return replace(self._target, repository=OpenSession(session))

    def _tip(self, repository: icechunk.Repository) -> str:
        """Return the snapshot that holds what is committed, be it published or not."""
        if self.branch in repository.list_branches():
            return repository.lookup_branch(self.branch)
        metadata = (snapshot.metadata for snapshot in repository.ancestry(branch=PUBLISHED))
        outputs = (known[_OUTPUT] for known in metadata if _OUTPUT in known)
        if next(outputs, None) == self._output:  # and not another job's, in whose place it was
            return repository.lookup_branch(PUBLISHED)
        raise OutputExistsError(
            f"{self._target.name!r} does not hold what the ledger says was written to it, neither "
            f"on the branch {self.branch!r} nor on {PUBLISHED!r}: run with overwrite=True to "
            "compute it again"
        )


def forked(written: Location) -> Location:
    """Return the location that tasks write to, whose blocks `merge` brings back."""
    fork = Fork(pickle.dumps(written.repository.session.fork()))
    return replace(written, repository=fork)


def changes(written: Location) -> bytes:
    """Return what a task has written to a location that it made of a fork."""
    return pickle.dumps(written.repository.session)


def merge(written: Location, content: bytes) -> None:
    """Add the `changes` of a task to a location."""
    written.repository.session.merge(pickle.loads(content))


def chunks(location: Location, array: zarr.Array) -> set[str]:
    """Return the keys of the chunks of an array that a repository holds, seen from the array."""
    session = location.repository.session

    async def keys() -> set[str]:
        found = session.chunk_coordinates(f"/{array.path}")
        return {array.metadata.encode_chunk_key(place) async for place in found}

    return sync(get_loop(), keys)


def _drafts(repository: icechunk.Repository) -> list[str]:
    return [branch for branch in repository.list_branches() if branch.startswith(_DRAFT)]


def _holds_group(repository: icechunk.Repository) -> bool:
    try:
        zarr.open_group(repository.readonly_session(PUBLISHED).store, mode="r")
    except FileNotFoundError:
        return False
    return True
