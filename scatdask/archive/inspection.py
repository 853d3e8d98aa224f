"""Whether the objects of an output are what its workers wrote, from one listing of each array."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import zarr

from scatdask.archive import source as sources
from scatdask.archive.faults import Fault, fault_of
from scatdask.archive.layout import Layout
from scatdask.archive.locations import Location
from scatdask.archive.reducing import Place, places
from scatdask.archive.work import Work


def damaged_blocks(work: Work, done: np.ndarray, rows: np.ndarray) -> dict[int, str]:
    """Find finished blocks whose objects are missing, torn, or cannot be decoded.

    Sizes are compared with those that the receipts tell; where they differ, the objects are read.
    Damage that leaves sizes as they are is found by the checksums of the chunks, whenever a block
    is read.

    Parameters
    ----------
    work : Work
    done : array of bool
        Which blocks are done.
    rows : structured array
        History of the output.

    Returns
    -------
    dict of str
        By block, what is wrong.

    Raises
    ------
    Exception
        What says nothing of the objects, such as that the store does not answer.
    """
    size = np.zeros(work.n_blocks, dtype=np.int64)
    damaged: dict[int, str] = {}
    has_sizes = True
    first = 0
    for layout, names in zip(work.layouts, work.names, strict=True):
        finished = np.flatnonzero(done[first : first + layout.n_blocks]).tolist()
        for where, name, place in _all_places(work, layout, names):
            array = sources.stored_array(where, name)
            sizes = _sizes(where, array)
            has_sizes &= None not in sizes.values()
            for block in finished:
                keys = list(sources.chunk_keys(array, place(block)))
                size[first + block] += sum(sizes.get(key) or 0 for key in keys)
                if missing := [key for key in keys if key not in sizes]:
                    damaged[first + block] = (
                        f"{len(missing)} chunks of variable {name!r} are not in "
                        f"{where.url!r}, among them {', '.join(missing[:3])}"
                    )
        first += layout.n_blocks
    if not has_sizes:
        return damaged
    before = np.concatenate([[0], np.cumsum(size)])
    differ = before[rows["last"] + 1] - before[rows["first"]] != rows["bytes_stored"]
    for row in rows[differ]:
        for block in range(int(row["first"]), int(row["last"]) + 1):
            if block not in damaged and (reason := _unreadable(work, block)):
                damaged[block] = reason
    return damaged


def is_damage(error: BaseException) -> bool:
    """Say whether what reading the output raised is about what is stored there.

    It is not where the store does not answer or refuses, or this process lacks memory.
    """
    return fault_of(error) is Fault.BLOCK and not isinstance(error, MemoryError)


def _sizes(where: Location, array: zarr.Array) -> dict[str, int | None]:
    """Return the bytes of the objects of an array by their keys, None where they are not told.

    What a commit to a repository speaks of was written before, and never changes.
    """
    if where.repository is None:
        return {key: entry["size"] for key, entry in sources.listing(where, array).items()}
    from scatdask.archive import repositories

    return dict.fromkeys(repositories.chunks(where, array))


def _unreadable(work: Work, block: int) -> str:
    """Say why the objects of a block cannot be read; nothing if they can."""
    layout, names, own = work.locate(block)
    for where, name, place in _all_places(work, layout, names):
        strict = replace(where, is_complete=True)  # an empty object is no chunk of fill values
        try:
            sources.stored_array(strict, name)[place(own)]
        except Exception as error:
            if not is_damage(error):
                raise
            return f"variable {name!r} cannot be read: {type(error).__name__}: {error}"
    return ""


def _all_places(work: Work, layout: Layout, names: tuple[str, ...]) -> list[Place]:
    """Return the arrays that the blocks of a variable write to."""
    outputs = zip(names, work.transform.outputs, strict=True)
    return [place for name, output in outputs for place in places(work, layout, name, output)]
