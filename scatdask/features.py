"""From coefficients to features: renormalised by their parents, and logarithms.

Both work on labelled results of either road, lazily where they are lazy. Each number depends on
coefficients at its own place and on constants that the caller gives, never on a maximum or a mean
of the data, so that results do not depend on chunks any more than their input does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from scatdask._version import __version__
from scatdask.arrays import AnyArray, array_namespace, from_numpy

if TYPE_CHECKING:
    import xarray as xr

# Labels that tell the wavelets of one order, such as n1 or theta2.
_OF_ORDER = re.compile(r"(n|j|theta)(\d)")
# Labels that a path has in common with its parent.
_COMMON = ("l", "power")
# The wavelet along frequency: the parent is what the low-pass there leaves of the first order.
_ALONG_FREQUENCY = "n_fr"
# Statistics of windows (see `Reduction`) that are not in the unit of coefficients.
_NOT_COEFFICIENTS = ("count", "variance")
# Dimensions of paths that keep rates of their own (T=0).
_OWN_RATE = re.compile(r"path_stride\d+")


def renormalise(
    s: xr.DataArray | xr.Dataset, *, dim: Hashable = "path", epsilon: float = 0.0
) -> xr.DataArray | xr.Dataset:
    r"""Divide coefficients of order two and more by those of the path they descend from.

    .. math::

        \tilde S_m x(\lambda_1, \dots, \lambda_m) =
            \frac{S_m x(\lambda_1, \dots, \lambda_m)}
                 {S_{m-1} x(\lambda_1, \dots, \lambda_{m-1}) + \varepsilon}

    for m of two and three; orders 0 and 1 stay as they are. What is left says how the signal
    varies, and no longer how strong it is at :math:`\lambda_1` (Andén & Mallat, 2014).

    The parent of a path has the same wavelets but the last; in two dimensions wavelets are told
    by scale and direction, in three the parent has the same degree and power. Joint
    time-frequency paths descend from the first-order path at the same place along frequency that
    no wavelet has seen there (spin 0); with ``F=0`` there is none at most places.

    Parameters
    ----------
    s : DataArray or Dataset
        Coefficients with the path labels that scatdask gave them, or means, maxima and quantiles
        of them over windows. Of a Dataset the variables with `dim` are changed, but for counts
        and variances, which stay as they are.
    dim : hashable, default "path"
        Dimension of paths.
    epsilon : float, default 0
        Constant that is added to each parent, in the unit of the coefficients: about the level
        below which a signal is noise. Where a parent is not above zero, as in silence, the
        result is zero.

    Returns
    -------
    DataArray or Dataset
        As `s`, lazy where it is. Renormalised coefficients have no unit, so ``units`` is dropped
        where there are any.

    Raises
    ------
    KeyError
        If there is no dimension `dim`, or the labels that tell paths apart are missing.
    TypeError
        If `s` is not an xarray object, or `epsilon` is not a number.
    ValueError
        If a parent is not among the paths, or at another rate (``T=0``), labels do not tell paths
        apart, `epsilon` is negative, or `s` was renormalised before, or is a logarithm, a count or
        a variance.

    References
    ----------
    Andén & Mallat, "Deep scattering spectrum", IEEE Trans. Signal Process. 62(16), 2014.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> x = xr.DataArray(np.random.default_rng(0).standard_normal(4096), dims="time")
    >>> s = scatdask.scattering1d(x, J=6, Q=4, dim="time")
    >>> louder = scatdask.scattering1d(100 * x, J=6, Q=4, dim="time")
    >>> r = scatdask.renormalise(louder) / scatdask.renormalise(s)
    >>> r.where(r.order == 2, drop=True).mean().round(4).item()
    1.0
    """
    epsilon = _as_epsilon(epsilon, zero=True)
    if rates := _own_rates(s):
        raise ValueError(
            f"the paths keep rates of their own (T=0, {', '.join(rates)}), and parents have other "
            "rates than what descends from them: renormalise coefficients of a T of 1 or more"
        )
    done = {
        "renormalised": "order m >= 2 divided by order m - 1 of the parent path",
        "renormalised_epsilon": epsilon,
    }
    line = f"renormalise(dim={dim!r}, epsilon={epsilon!r})"
    return _apply(s, dim, lambda array: _renormalised(array, dim, epsilon), done, line)


def log_scattering(
    s: xr.DataArray | xr.Dataset, epsilon: float, *, dim: Hashable = "path"
) -> xr.DataArray | xr.Dataset:
    r"""Take the natural logarithm of coefficients, :math:`\log(|S x| + \varepsilon)`.

    The absolute value matters for order 0 alone, whose sign is lost, and for rounding below zero.

    Parameters
    ----------
    s : DataArray or Dataset
        Coefficients, or means, maxima and quantiles of them over windows. Of a Dataset the
        variables with `dim` are changed, but for counts and variances, which stay as they are.
    epsilon : float
        Positive constant, in the unit of the coefficients: about the level below which
        differences are noise. There is no default, because a good one follows from the noise of
        the instrument, and one that followed from the data would differ from chunk to chunk.
    dim : hashable, default "path"
        Dimension of paths.

    Returns
    -------
    DataArray or Dataset
        As `s`, lazy where it is. The unit of a variable in "m/s" becomes "ln(re 1 m/s)".

    Raises
    ------
    KeyError
        If there is no dimension `dim`.
    TypeError
        If `s` is not an xarray object, or `epsilon` is not a number.
    ValueError
        If `epsilon` is not above zero, or `s` is a logarithm already, a count or a variance.

    References
    ----------
    Andén & Mallat, "Deep scattering spectrum", IEEE Trans. Signal Process. 62(16), 2014.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> s = xr.DataArray([0.0, 1.0, 100.0], dims="path", attrs={"units": "m"})
    >>> scatdask.log_scattering(s, 1e-3).round(2).values
    array([-6.91,  0.  ,  4.61])
    """
    epsilon = _as_epsilon(epsilon, zero=False)
    done = {
        "logarithm": "natural, of the absolute value plus epsilon",
        "logarithm_epsilon": epsilon,
    }
    line = f"log_scattering(epsilon={epsilon!r})"
    return _apply(s, dim, lambda array: _logarithm(array, epsilon), done, line)


def parents(s: xr.DataArray | xr.Dataset, *, dim: Hashable = "path") -> np.ndarray:
    """Return for each path the place of its parent along `dim`; its own for orders 0 and 1.

    Parameters
    ----------
    s : DataArray or Dataset
        With the path labels that scatdask gave. They are read, and nothing else.
    dim : hashable, default "path"
        Dimension of paths.

    Returns
    -------
    array of int, shape (path,)

    Raises
    ------
    KeyError, ValueError
        As `renormalise`.

    Examples
    --------
    >>> from scatdask import Scattering1D
    >>> table = Scattering1D(J=3).paths()
    >>> table.order.values, parents(table)
    (array([0, 1, 1, 1, 1, 2, 2, 2]), array([0, 1, 2, 3, 4, 1, 2, 3]))
    """
    labels = {str(name): c.values for name, c in s.coords.items() if c.dims == (dim,)}
    if "order" not in labels:
        raise KeyError(f"there is no label 'order' on {dim!r}: parents are found by path labels")
    order = labels["order"].astype(int)
    told = {name: match for name in labels if (match := _OF_ORDER.fullmatch(name))}
    extra = [name for name in (*_COMMON, _ALONG_FREQUENCY) if name in labels]
    if order.max(initial=0) >= 2 and not any(match[2] == "2" for match in told.values()):
        raise KeyError(
            f"the labels that tell wavelets on {dim!r} (n1, n2 or j1, j2, ...) are missing: take "
            "parents before they are dropped"
        )

    def key(path: int, level: int) -> tuple[int, ...]:
        """Name what the wavelets up to a level make of a path, by numbers that can be compared."""
        own = [
            _number(labels[name][path]) if int(match[2]) <= level else -1
            for name, match in told.items()
        ]
        up = level < order[path]
        rest = [
            0 if up and name == _ALONG_FREQUENCY else _number(labels[name][path]) for name in extra
        ]
        return (level, *own, *rest)

    places: dict[tuple[int, ...], int] = {}
    for path in range(len(order)):
        if places.setdefault(key(path, int(order[path])), path) != path:
            raise ValueError(
                f"the labels on {dim!r} do not tell path {path} from path "
                f"{places[key(path, int(order[path]))]}, so that parents are not known"
            )
    found = np.arange(len(order))
    for path in np.flatnonzero(order >= 2).tolist():
        parent = places.get(key(path, int(order[path]) - 1))
        if parent is None:
            shown = ", ".join(f"{name}={labels[name][path]}" for name in (*told, *extra))
            remedy = (
                f"keep the order-{order[path] - 1} paths that others descend from until they are "
                "renormalised"
            )
            if s.attrs.get("F") == 0:
                remedy = (
                    "with F=0 those of order 1 and spin 0 stand at every 2**J_fr-th wavelet only, "
                    "and paths in between have no parent; give F of 1 or more"
                )
            raise ValueError(
                f"the parent of path {path} (order {order[path]}, {shown}) is not among the "
                f"paths: {remedy}"
            )
        found[path] = parent
    return found


def _number(value: Any) -> int:
    """Return a label as an integer: angles and powers in millionths, -1 for none."""
    return -1 if not value >= 0 else round(float(value) * 10**6)


def _renormalised(s: xr.DataArray, dim: Hashable, epsilon: float) -> xr.DataArray:
    if "renormalised" in s.attrs:
        raise ValueError("the coefficients are renormalised already, says their attribute")
    parent_of, axis = parents(s, dim=dim), s.dims.index(dim)
    result = _each_block(_divided, s, axis, axis, tuple(parent_of.tolist()), epsilon)
    if (parent_of != np.arange(len(parent_of))).any():
        result.attrs.pop("units", None)
    return result


def _divided(block: AnyArray, axis: int, parent_of: tuple[int, ...], epsilon: float) -> AnyArray:
    """Divide by parents along an axis; those that are their own parents stay."""
    xp = array_namespace(block)
    places = np.array(parent_of, dtype=np.int64)
    parent = xp.take(block, from_numpy(places, like=block), axis=axis)
    higher = (places != np.arange(len(places))).reshape(-1, *(1,) * (block.ndim - 1 - axis))
    has_parent = from_numpy(higher, like=block)
    silent = has_parent & (parent <= 0)  # not so for NaN
    divisor = xp.where(has_parent & ~silent, parent + epsilon, xp.ones_like(parent))
    return xp.where(silent, xp.zeros_like(block), block / divisor)


def _logarithm(s: xr.DataArray, epsilon: float) -> xr.DataArray:
    result = _each_block(_log, s, None, epsilon)
    if "units" in s.attrs:
        result.attrs["units"] = f"ln(re 1 {s.attrs['units']})"
    return result


def _log(block: AnyArray, epsilon: float) -> AnyArray:
    xp = array_namespace(block)
    return xp.log(xp.abs(block) + epsilon)


def _each_block(
    function: Callable[..., AnyArray], s: xr.DataArray, whole: int | None, *arguments: Any
) -> xr.DataArray:
    """Apply a function to an array, or lazily to its chunks, joined along the axis `whole`."""
    if getattr(s.dtype, "kind", "f") != "f":
        s = s.astype(np.float64)
    data = s.data
    if s.chunks is None:
        return s.copy(data=function(data, *arguments))
    if whole is not None:
        data = data.rechunk({whole: -1})
    return s.copy(data=data.map_blocks(function, *arguments, dtype=data.dtype, meta=data))


def _apply(
    s: xr.DataArray | xr.Dataset,
    dim: Hashable,
    function: Callable[[xr.DataArray], xr.DataArray],
    done: dict[str, Any],
    line: str,
) -> xr.DataArray | xr.Dataset:
    """Change the variables that have paths, and say in the attributes what was done."""
    import xarray as xr

    if not isinstance(s, xr.DataArray | xr.Dataset):
        raise TypeError(f"expected a DataArray or Dataset, got {type(s).__name__}")
    if dim not in s.dims:
        rates = _own_rates(s)
        raise KeyError(
            f"no dimension {dim!r}; there are {', '.join(map(repr, s.dims)) or 'none'}"
            + (f". Paths keep rates of their own (T=0): dim={rates[0]!r} is one" if rates else "")
        )

    def changed(array: xr.DataArray) -> xr.DataArray:
        if _is_other_statistic(array):
            raise ValueError(
                f"{array.name!r} holds the {array.attrs['window_statistic']} of coefficients in "
                "windows, which is in another unit: take their mean, maximum or quantiles"
            )
        if "logarithm" in array.attrs:
            raise ValueError(
                "the coefficients are logarithms already, says their attribute: renormalise "
                "first, and take logarithms then"
            )
        result = function(array)
        result.name = array.name
        result.attrs |= done | {"history": _history(array, line)}
        return result

    if isinstance(s, xr.DataArray):
        return changed(s)
    having = {name: array for name, array in s.data_vars.items() if dim in array.dims}
    some = {name: array for name, array in having.items() if not _is_other_statistic(array)}
    result = s.assign({name: changed(array) for name, array in (some or having).items()})
    return result.assign_attrs(history=_history(s, line))


def _own_rates(s: xr.DataArray | xr.Dataset) -> list[str]:
    """Return the dimensions of paths that keep rates of their own."""
    return [dim for dim in map(str, getattr(s, "dims", ())) if _OWN_RATE.fullmatch(dim)]


def _is_other_statistic(array: xr.DataArray) -> bool:
    """Say whether an array holds what is neither coefficients nor in their unit."""
    return array.attrs.get("window_statistic") in _NOT_COEFFICIENTS


def _history(s: xr.DataArray | xr.Dataset, line: str) -> str:
    before = str(s.attrs.get("history", "")).rstrip()
    return f"{before}\nscatdask {__version__}: {line}".lstrip()


def _as_epsilon(value: Any, *, zero: bool) -> float:
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"epsilon must be a number, got {value!r}") from None
    if not (number > 0 or (zero and number == 0)) or not np.isfinite(number):
        raise ValueError(f"epsilon must be {'at least' if zero else 'above'} 0, got {value!r}")
    return number
