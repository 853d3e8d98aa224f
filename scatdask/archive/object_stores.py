"""Stores of obstore: their addresses, and the file system of the small files beside them."""

from __future__ import annotations

from typing import Any

import obstore
from fsspec.asyn import AsyncFileSystem
from obstore.exceptions import AlreadyExistsError
from obstore.fsspec import FsspecStore
from obstore.store import AzureStore, GCSStore, S3Store

# For each kind the scheme of its URLs, and what its configuration calls the bucket.
_KINDS: dict[Any, tuple[str, str]] = {
    S3Store: ("s3", "bucket"),
    GCSStore: ("gs", "bucket"),
    AzureStore: ("abfs", "container_name"),
}


def address(store: Any) -> str:
    """Return the URL of what a store holds.

    Raises
    ------
    TypeError
        If it is no store of S3, Google or Azure.
    """
    for kind, (scheme, bucket) in _KINDS.items():
        if isinstance(store, kind):
            prefix = str(store.prefix or "").strip("/")
            return f"{scheme}://{store.config[bucket]}/{prefix}".rstrip("/")
    raise TypeError(
        f"a store must be one of {', '.join(kind.__name__ for kind in _KINDS)} of obstore, got "
        f"{store!r}: give a path or URL instead"
    )


def with_prefix(store: Any, prefix: str | None) -> Any:
    """Return a store of the same bucket and access, with another prefix."""
    return type(store)(
        prefix=prefix,
        config=store.config,
        client_options=store.client_options,
        retry_config=store.retry_config,
        credential_provider=store.credential_provider,
    )


class BucketFileSystem(FsspecStore):  # type: ignore[misc]
    """The file system of the bucket of a store.

    Parameters
    ----------
    store : S3Store, GCSStore or AzureStore
    """

    def __init__(self, store: Any) -> None:
        bucket = next(name for kind, (_, name) in _KINDS.items() if isinstance(store, kind))
        self._root = with_prefix(store, None)
        super().__init__(
            address(store).partition(":")[0],
            config={key: value for key, value in store.config.items() if key != bucket},
            client_options=store.client_options,
            retry_config=store.retry_config,
            credential_provider=store.credential_provider,
        )

    async def _pipe_file(
        self, path: str, value: Any, mode: str = "overwrite", **options: Any
    ) -> None:
        """Write a file; FileExistsError if it must not exist, which obstore's own overwrites."""
        try:
            await obstore.put_async(self._root, path.partition("/")[2], value, mode=mode)
        except AlreadyExistsError as error:
            raise FileExistsError(path) from error

    async def _find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **options: Any,
    ) -> Any:
        """List all files below a folder at once, where obstore's own asks folder by folder."""
        bucket, _, key = path.strip("/").partition("/")
        listed = await obstore.list(self._root, prefix=key).collect_async()
        found = {
            f"{bucket}/{entry['path']}": {
                "name": f"{bucket}/{entry['path']}",
                "size": entry["size"],
                "type": "file",
                "ETag": entry.get("e_tag"),
                "LastModified": str(entry["last_modified"]),
            }
            for entry in listed
        }
        return found if options.get("detail") else sorted(found)

    async def _cat(self, path: Any, **options: Any) -> Any:
        """Read several files, without asking first whether they are folders."""
        return await AsyncFileSystem._cat(self, path, **options)
