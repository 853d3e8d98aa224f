"""What a job is told, checked before anything is read or written."""

from __future__ import annotations

import operator
from typing import Any

from scatdask.archive.reduction import Reduction
from scatdask.transforms import Transform


def check_job(transform: Any, missing_chunks: Any, reduce: Any) -> None:
    """Raise TypeError or ValueError if a job cannot be made of these."""
    if not isinstance(transform, Transform):
        raise TypeError(f"transform must be a Transform, got {transform!r}")
    if missing_chunks not in ("error", "fill"):
        raise ValueError(f'missing_chunks must be "error" or "fill", got {missing_chunks!r}')
    if not isinstance(reduce, Reduction | None):
        raise TypeError(f"reduce must be a Reduction, such as Reduction('1D'), got {reduce!r}")


def check_changed(changed: Any) -> None:
    """Raise ValueError if nothing is known by that name."""
    if changed not in ("error", "recompute"):
        raise ValueError(f'changed must be "error" or "recompute", got {changed!r}')


def check_client(client: Any) -> None:
    """Raise TypeError if something is no client of dask."""
    if client is None or hasattr(client, "scheduler_info"):
        return
    ways = {
        int: f"for {client} processes on this machine say run(workers={client})",
        str: f"connect to a cluster by distributed.Client({client!r})",
    }
    way = ways.get(type(client), "make one by distributed.Client")
    raise TypeError(f"client must be a distributed.Client, got {client!r}: {way}")


def block_range(blocks: Any) -> tuple[int, int]:
    """Return the first block and the one after the last.

    Raises
    ------
    TypeError
        If these are not two integers.
    """
    try:
        first, stop = map(operator.index, blocks)
    except (TypeError, ValueError):
        raise TypeError(
            "blocks must be the first block and the one after the last, such as (0, 500), got "
            f"{blocks!r}"
        ) from None
    return first, stop


def existing_blocks(blocks: tuple[int, int] | None, n_blocks: int) -> tuple[int, int]:
    """Return a range as far as there are blocks, by default all of them.

    Raises
    ------
    ValueError
        If it is none.
    """
    first, stop = blocks or (0, n_blocks)
    if blocks and not 0 <= first < stop:
        raise ValueError(f"blocks must be a range such as 0:{n_blocks}, got {first}:{stop}")
    return min(first, n_blocks), min(stop, n_blocks)


def check_number(blocks: Any) -> None:
    """Raise TypeError or ValueError if so many blocks cannot be looked at."""
    try:
        number = operator.index(blocks)
    except TypeError:
        raise TypeError(f"blocks must be a number of blocks, such as 8, got {blocks!r}") from None
    if number < 1:
        raise ValueError(f"blocks must be at least 1, got {number}")
