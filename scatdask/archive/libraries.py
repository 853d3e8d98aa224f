"""What the libraries that open sources and outputs hold of a worker's memory."""

from __future__ import annotations

from scatdask.archive.file_source import KEPT_CHUNKS, FileSource
from scatdask.archive.locations import Location
from scatdask.archive.source_kinds import Source, ZarrSource

# Workers of jobs of about 200 MiB with them, less such of the same jobs on local Zarr, in MiB:
# fsspec (its S3) 53 and 60, obstore 7 and 29, Icechunk 20 and 17, netCDF 3 and 15.
FSSPEC_BYTES = 56 * 2**20
OBSTORE_BYTES = 24 * 2**20
ICECHUNK_BYTES = 24 * 2**20
FILE_BYTES = 16 * 2**20
# Of a job's files xarray keeps so many open (``file_cache_maxsize``).
_OPEN_FILES = 128


def library_bytes(source: Source, target: Location) -> int:
    """Return what the libraries take of a process that reads and writes, beside what it imports.

    Parameters
    ----------
    source : Source
    target : Location
    """
    found: dict[str, int] = {}
    if isinstance(source, FileSource):
        found["files"] = FILE_BYTES + KEPT_CHUNKS * min(len(source.files), _OPEN_FILES)
    places = [target]
    if isinstance(source, ZarrSource):
        places.append(source.location)
    for place in places:
        if place.store is not None:
            found["obstore"] = OBSTORE_BYTES
        elif not place.is_local:
            found["fsspec"] = FSSPEC_BYTES
        if place.repository is not None:
            found["icechunk"] = ICECHUNK_BYTES
    return sum(found.values())
