"""Checks of parameters, with messages that name the parameter, its value and what fits."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np


def as_integer(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Return `value` as an int within bounds."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {number}")
    if at_most is not None and number > at_most:
        raise ValueError(f"{name} must be at most {at_most}, got {number}")
    return number


def as_stride(value: Any, *, at_most: int, which_is: str) -> int:
    """Return a power of two up to a scale in samples, the largest such for None."""
    largest: int = 2 ** (at_most.bit_length() - 1)
    if value is None:
        return largest
    stride = as_integer("stride", value, at_least=1)
    if stride & (stride - 1):
        raise ValueError(f"stride must be a power of two, got {stride}")
    if stride > at_most:
        raise ValueError(
            f"stride={stride} exceeds {which_is}: outputs so far apart would miss samples; the "
            f"largest stride is {largest}"
        )
    return stride


def as_average(name: str, value: Any) -> int | str:
    """Return the length of an average as an int, or "global"."""
    if not isinstance(value, str):
        return as_integer(name, value, at_least=0)
    if value != "global":
        raise ValueError(f"{name} must be an integer, 'global' or None, got {value!r}")
    return value


def as_pair(name: str, value: Any, *, at_least: int) -> tuple[int, int]:
    """Return ``(value, 1)`` for an integer, or the pair itself."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ValueError(f"{name} must be an integer or a pair of integers, got {value!r}")
        return (
            as_integer(f"{name}[0]", value[0], at_least=at_least),
            as_integer(f"{name}[1]", value[1], at_least=at_least),
        )
    return as_integer(name, value, at_least=at_least), 1


def as_member(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)


def as_boundary(name: str, value: Any, ndim: int, allowed: Sequence[str]) -> str | tuple[str, ...]:
    """Return one word for all core axes, or a tuple of one for each where they differ."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return as_member(name, value, allowed)
    if len(value) != ndim:
        raise ValueError(
            f"{name} must be a word or a sequence of {ndim}, one for each core axis, got {value!r}"
        )
    words = tuple(as_member(f"{name}[{axis}]", word, allowed) for axis, word in enumerate(value))
    return words[0] if len(set(words)) == 1 else words


def as_dtype(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return the name of a NumPy data type if it is one of those allowed."""
    try:
        # np.dtype(None) is float64, which nobody asked for.
        found = value if value is None else np.dtype(value).name
    except TypeError:
        found = value
    return as_member(name, found, allowed)


def as_tolerance(name: str, value: Any) -> float:
    """Return `value` as a float between 1e-15 and 0.1."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not 1e-15 <= number <= 0.1:
        raise ValueError(f"{name} must lie between 1e-15 and 0.1, got {value!r}")
    return number


def as_selection(name: str, value: Any, n_paths: int) -> tuple[int, ...] | None:
    """Return rows of a table of `n_paths` paths as a tuple of ints, None where all are chosen.

    A mask says so for each row.
    """
    if value is None:
        return None
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence of integers or None, got {value!r}")
    if getattr(getattr(value, "dtype", None), "kind", "") == "b":
        value = np.asarray(value)
    values = list(value)
    if values and all(isinstance(row, bool | np.bool_) for row in values):
        if len(values) != n_paths:
            raise ValueError(
                f"{name} must have one entry for each of the {n_paths} paths where it is a mask, "
                f"got {len(values)}"
            )
        values = np.flatnonzero(values).tolist()
    rows = tuple(
        as_integer(f"{name}[{place}]", row, at_least=0, at_most=n_paths - 1)
        for place, row in enumerate(values)
    )
    if not rows:
        raise ValueError(f"{name} must keep at least one of the {n_paths} paths, got {value!r}")
    for before, after in itertools.pairwise(rows):
        if after <= before:
            raise ValueError(f"{name} must be increasing, got {after} after {before}")
    return None if len(rows) == n_paths else rows


def as_positive(name: str, value: Any) -> float:
    """Return `value` as a float above zero."""
    try:
        if isinstance(value, str | bytes | bool | np.bool_):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
    return number


def as_flag(name: str, value: Any) -> bool:
    """Return `value` if it is true or false."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def as_powers(name: str, value: Any) -> tuple[float, ...]:
    """Return a sequence of numbers above zero as a tuple of floats."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"{name} must be a sequence of numbers, got {value!r}")
    powers = tuple(as_positive(f"{name}[{place}]", power) for place, power in enumerate(value))
    if not powers:
        raise ValueError(f"{name} must have at least one power, got {value!r}")
    if len(set(powers)) < len(powers):
        raise ValueError(f"{name} must differ from each other, got {value!r}")
    return powers
