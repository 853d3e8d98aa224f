"""What can be known of a disk before anything is written: whether there is room, and permission."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dask.utils import format_bytes

from scatdask.archive.locations import Location

# Compression makes outputs smaller, by how much only the numbers tell: a disk that has no room
# for this share of them is refused, any other gets its chance.
_LEAST_SHARE = 0.5


def check_permission(place: Location) -> None:
    """Raise an error if a place on a disk cannot be written to.

    Object stores have no folders, and are asked with the first request.

    Parameters
    ----------
    place : Location
        The folder that it lies in must exist: a slip in its name would make others.

    Raises
    ------
    FileNotFoundError
        If that folder does not exist.
    NotADirectoryError
        If it is none.
    PermissionError
        If permission is missing, or the disk is read-only.
    """
    check_folder(place)
    if place.is_local and not os.access(nearest := _nearest(place), os.W_OK | os.X_OK):
        raise PermissionError(
            f"{place.url!r} cannot be written, since {str(nearest)!r} is read-only here: ask for "
            "permission, mount it for writing, or name another place"
        )


def check_folder(place: Location) -> None:
    """Raise an error if there is no folder for a place on a disk; errors as `check_permission`."""
    if not place.is_local:
        return
    nearest = _nearest(place)
    if not nearest.exists():
        raise FileNotFoundError(
            f"{place.url!r} cannot be made, since its folder {str(nearest)!r} does not exist: make "
            "it first, or name another place"
        )
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"{place.url!r} cannot be made, since {str(nearest)!r} is no folder: name another place"
        )


def check_room(target: Location, n_bytes: int) -> None:
    """Raise OSError if a disk has no room for an output, even if it is compressed well.

    Parameters
    ----------
    target : Location
    n_bytes : int
        What is to be written yet, before compression.
    """
    if not target.is_local:
        return
    free = shutil.disk_usage(_nearest(target)).free
    if n_bytes * _LEAST_SHARE > free:
        raise OSError(
            f"{target.name!r} takes {format_bytes(n_bytes)} more before compression, and its disk "
            f"has {format_bytes(free)} free: make space, name another place, or write less, as "
            "with a larger T, selected paths, or reduce="
        )


def _nearest(place: Location) -> Path:
    """Return a place if it exists, or else the folder that it is to lie in."""
    path = Path(place.path)
    return path if path.exists() else path.parent
