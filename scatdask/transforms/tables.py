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


def quefrency_columns(
    bank: Sequence[Wavelet], chosen: Sequence[int | None], per_octave: int
) -> dict[str, Any]:
    """Describe which filter along frequency each row of a table has.

    Parameters
    ----------
    bank : sequence of Wavelet
        All filters along frequency, in cycles per first-order wavelet.
    chosen : sequence of int or None
        For each row the index of its filter.
    per_octave : int
        First-order wavelets per octave.

    Returns
    -------
    dict
        From names to ``("path", values, attributes)``. A row without a filter has -1 for
        indices, NaN for quefrencies, and spin 0.
    """
    label = "of the wavelet along frequency"
    none = Wavelet(np.nan, np.nan, -1)
    filters = [none if n is None else bank[n] for n in chosen]
    index = np.array([-1 if n is None else n for n in chosen], dtype=np.int64)
    j = np.array([one.j for one in filters], dtype=np.int64)
    xi = np.array([one.xi for one in filters])
    sigma = np.array([one.sigma for one in filters])
    spin = np.sign(np.nan_to_num(xi)).astype(np.int64)
    direction = "direction: 1 where frequency rises, -1 where it falls"
    unit, octaves = {"units": "cycles per wavelet"}, {"units": "cycles per octave"}
    return {
        "n_fr": ("path", index, {"long_name": f"index {label}"}),
        "j_fr": ("path", j, {"long_name": f"log2 of the subsampling {label}"}),
        "xi_fr": ("path", xi, {"long_name": f"centre quefrency {label}", **unit}),
        "sigma_fr": ("path", sigma, {"long_name": f"width {label}", **unit}),
        "spin": ("path", spin, {"long_name": direction}),
        "quefrency": ("path", xi * per_octave, {"long_name": "centre quefrency", **octaves}),
    }
