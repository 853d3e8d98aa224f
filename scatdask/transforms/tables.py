"""Columns of path tables that several transforms share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scatdask.filters import Wavelet


def wavelet_columns(
    level: int,
    bank: Sequence[Wavelet],
    chosen: Sequence[int | None],
    spacing: float | None,
    *,
    dim: str = "path",
) -> dict[str, Any]:
    """Describe which wavelet along time each row of a table has at one order.

    Parameters
    ----------
    level : int
        Order of the wavelets, the number at the end of the names.
    bank : sequence of Wavelet
        All wavelets of that order.
    chosen : sequence of int or None
        For each row the index of its wavelet; None where the row has none of this order.
    spacing : float or None
        Sampling step of the signal; without it there are no frequencies in its inverse unit.
    dim : str, default "path"

    Returns
    -------
    dict
        From names to ``(dim, values, attributes)``. A row without a wavelet has -1 for indices
        and NaN for frequencies.
    """
    label = f"of the order-{level} wavelet"
    index = np.array([-1 if n is None else n for n in chosen], dtype=np.int64)
    j = np.array([-1 if n is None else bank[n].j for n in chosen], dtype=np.int64)
    xi = np.array([np.nan if n is None else bank[n].xi for n in chosen])
    sigma = np.array([np.nan if n is None else bank[n].sigma for n in chosen])
    unit = {"units": "cycles per sample"}
    columns: dict[str, Any] = {
        f"n{level}": (dim, index, {"long_name": f"index {label}"}),
        f"j{level}": (dim, j, {"long_name": f"log2 of the subsampling {label}"}),
        f"xi{level}": (dim, xi, {"long_name": f"centre frequency {label}", **unit}),
        f"sigma{level}": (dim, sigma, {"long_name": f"width {label}", **unit}),
    }
    if spacing is not None:
        frequency = {"long_name": f"centre frequency {label}"}
        columns[f"frequency{level}"] = (dim, xi / spacing, frequency)
        bandwidth = {"long_name": f"width {label}"}
        columns[f"bandwidth{level}"] = (dim, sigma / spacing, bandwidth)
    return columns
