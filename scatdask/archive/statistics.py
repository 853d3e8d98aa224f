"""Proof of the statistics that users read: windows merged anew from the states of blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from scatdask.archive import source as sources
from scatdask.archive.inspection import is_damage
from scatdask.archive.reducing import merged_anew, windows_touched
from scatdask.archive.verify import Verification
from scatdask.archive.work import Work

# What may lie between two merges of the same states, in roundings: by other versions of NumPy.
_ROUNDINGS = 64


def verify_statistics(
    found: Verification, work: Work, names: Iterable[str], drawn: Iterable[int]
) -> Verification:
    """Look at merged statistics: read all, and merge anew the windows that drawn blocks touch.

    Parameters
    ----------
    found : Verification
        Of the blocks. Where some of them are bad the next run merges anyway, and nothing is merged
        anew here.
    work : Work
    names : iterable of str
        Arrays of the output.
    drawn : iterable of int
        Blocks.

    Returns
    -------
    Verification
        With what was found here too.

    Raises
    ------
    Exception
        What says nothing of the statistics, such as that the store does not answer.
    """
    problems = _damaged(work, names)
    not_compared = []
    if not problems and not found.bad:
        looked_at: dict[tuple[str, int], int] = {}
        for block in sorted(drawn):
            try:
                problems += _differing(work, block, looked_at)
            except Exception as error:
                not_compared.append(
                    f"windows of block {block}: they cannot be merged anew: "
                    f"{type(error).__name__}: {error}"
                )
                if not is_damage(error):
                    break
    return replace(
        found,
        problems=(*found.problems, *dict.fromkeys(problems)),
        not_compared=(*found.not_compared, *not_compared),
    )


def _differing(work: Work, block: int, looked_at: dict[tuple[str, int], int]) -> list[str]:
    """Say which statistics are not those of the states, in the windows that a block touches.

    Left out are windows up to the last one that was looked at of the same signals, which is noted:
    a window may be of many blocks.
    """
    layout, names, own = work.locate(block)
    first, last = windows_touched(work, layout, own)
    signals = (layout.variable, own // len(layout.grid))
    first = max(first, looked_at.get(signals, -1) + 1)
    if last < first:
        return []
    looked_at[signals] = last
    problems = []
    for name, output in zip(names, work.transform.outputs, strict=True):
        for array, place, fresh in merged_anew(work, layout, name, output, own, first, last + 1):
            stored = np.asarray(sources.stored_array(work.target, array)[place])
            if not _is_same(stored, fresh):
                low, high = place[-1].start, place[-1].stop - 1
                problems.append(
                    f"variable {array!r} is not what its blocks give, in windows {low} to {high}"
                )
    return problems


def _is_same(stored: np.ndarray, fresh: np.ndarray) -> bool:
    if fresh.dtype.kind == "i":
        return np.array_equal(stored, fresh)
    rounding = float(np.finfo(fresh.dtype).eps)
    # Merged in float64: sums that cancel are rounded as what they add up.
    largest = np.max(np.abs(fresh), initial=0.0, where=np.isfinite(fresh))
    smallest = _ROUNDINGS * float(np.finfo(np.float64).eps) * float(largest)
    return np.allclose(stored, fresh, rtol=_ROUNDINGS * rounding, atol=smallest, equal_nan=True)


def _damaged(work: Work, names: Iterable[str]) -> list[str]:
    """Say which arrays are missing chunks, or cannot be read."""
    strict = replace(work.target, is_complete=True)
    problems = []
    for name in names:
        array = sources.stored_array(strict, name)
        try:
            for index in np.ndindex(array.shape[0] if array.ndim else 1):
                array[index]
        except Exception as error:
            if not is_damage(error):
                raise
            problems.append(f"variable {name!r} cannot be read: {type(error).__name__}: {error}")
    return problems
