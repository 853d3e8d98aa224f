"""How axes are sampled: read off their labels once, and kept in the ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import xarray as xr

from scatdask import labels
from scatdask.archive.source_kinds import Source
from scatdask.labels import Sampling

# To read fewer labels takes no longer than to see whether they are what they were.
_MANY = 2**20


def samplings_of(
    source: Source, dataset: xr.Dataset, dims: tuple[str, ...], record: dict[str, Any] | None
) -> tuple[tuple[Sampling, ...], dict[str, Any]]:
    """Return the sampling of each axis, and what a ledger records of those with many labels.

    A thousand million labels take half a minute to read, and each task of a job array plans.

    Parameters
    ----------
    source : Source
        As it is now.
    dataset : Dataset
        What of it is transformed.
    dims : tuple of str
        Core dimensions.
    record : dict or None
        Of the ledger beside the output, if it has begun.
    """
    found, to_record = [], {}
    for dim in dims:
        coord = dataset.coords.get(dim)
        mark = None
        if coord is not None and dim in dataset.coords and coord.size >= _MANY:
            mark = source.mark(coord)
        known = (record or {}).get("samplings", {}).get(dim)
        if mark is not None and known is not None and known["mark"] == mark:
            sampling = Sampling(**known["sampling"])
        else:
            sampling = labels.sampling(coord, dim, may_decrease=len(dims) > 1)
        found.append(sampling)
        if mark is not None:
            to_record[dim] = {"mark": mark, "sampling": asdict(sampling)}
    return tuple(found), to_record
