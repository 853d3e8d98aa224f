"""Where a page is written, and what it may replace."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.report.page import GENERATOR, render
from scatdask.archive.report.summarise import summarise

# A page says who made it in its first bytes.
_LOOK_AT = 2048


def write_report(
    target: str | PathLike[str] | Location,
    page: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a page that shows what a job did and how far it is, from the ledger alone.

    It is one HTML file that needs no other, and less than a megabyte however many blocks there
    are. It may be written while a run is at work.

    Parameters
    ----------
    target : path or URL
        Output of the job.
    page : path, optional
        File to write; a report that is there is replaced. By default ``<target>.report.html``, in
        the current folder if the output is not on a disk.
    options : mapping, optional
        What the file system of a URL takes.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    FileExistsError
        If something else is there.
    FileNotFoundError
        If there is no ledger, or no folder to write in.
    """
    location = Location.of(target, options)
    path = _default_page(location) if page is None else Path(page)
    _check(path)
    text = render(summarise(Ledger(location), location.name))
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)  # whole or not at all: somebody may be looking at the former one
    finally:
        partial.unlink(missing_ok=True)
    return path


def _default_page(location: Location) -> Path:
    beside = Path(location.beside(".report.html").path)
    return beside if location.is_local else Path(beside.name)


def _check(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(path.parent)!r} to write {path.name!r} in: make it, or name "
            "another file"
        )
    if path.exists() and not _is_report(path):
        raise FileExistsError(
            f"{str(path)!r} exists and is no report of scatdask: name another file, or remove it"
        )


def _is_report(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'content="{GENERATOR}"'.encode() in file.read(_LOOK_AT)
