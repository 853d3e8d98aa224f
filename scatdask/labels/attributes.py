"""Attributes of a result: how it was made, and what of the source's still holds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from scatdask._version import __version__
from scatdask.labels.axis import Sampling
from scatdask.labels.spacing import common_spacing
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr

# Attributes that speak of the samples, and are wrong of coefficients. Units stay: scattering is
# homogeneous, so coefficients are in the unit of the signal, unless they are powers.
_OF_SAMPLES = frozenset(
    {
        "_FillValue",
        "actual_range",
        "add_offset",
        "ancillary_variables",
        "cell_methods",
        "flag_masks",
        "flag_meanings",
        "flag_values",
        "long_name",
        "missing_value",
        "scale_factor",
        "standard_name",
        "valid_max",
        "valid_min",
        "valid_range",
    }
)


def output_attrs(
    source: xr.DataArray,
    transform: Transform,
    dims: tuple[Hashable, ...],
    samplings: tuple[Sampling, ...],
    stride: int | None,
    *,
    keep_attrs: bool = True,
) -> dict[str, Any]:
    """Return the attributes of one output array, as Zarr and NetCDF can hold them.

    Parameters
    ----------
    source : DataArray
    transform : Transform
    dims : tuple of hashable
        Core dimensions.
    samplings : tuple of Sampling
        Of each core dimension.
    stride : int or None
        Input samples per output of this array, along each core dimension; None for one number
        per signal.
    keep_attrs : bool, default True
        Keep the source's attributes that hold of coefficients too, such as ``units``.

    Returns
    -------
    dict
        With ``transform``, its parameters, ``stride``, ``halo``, ``edge_affected`` (see
        `edge_affected`), ``sampling``, ``sampling_step``, ``sampling_unit``,
        ``scatdask_version``, ``long_name`` and ``history``. With several core dimensions there
        are ``edge_affected_<dim>``, ``sampling_step_<dim>`` and ``sampling_unit_<dim>`` for each.
    """
    attrs = {k: v for k, v in source.attrs.items() if keep_attrs and k not in _OF_SAMPLES}
    parameters = transform.parameters()
    if any(power != 1 for power in parameters.get("integral_powers", ())):
        attrs.pop("units", None)  # one for each power
    what = source.attrs.get("long_name") if keep_attrs else None
    subject = what or source.name
    attrs["long_name"] = "scattering coefficients" + (f" of {subject}" if subject else "")
    attrs["transform"] = transform.name
    for key, value in parameters.items():
        # "dtype" is a name that xarray reserves, and the data say it themselves.
        if value is not None and key != "dtype":
            taken = key in ("sampling", "halo")
            attrs[f"{transform.name}_{key}" if taken else key] = _storable(value)
    # No more than there is: filters that see the whole signal have no end.
    attrs["halo"] = min(transform.halo, max(source.sizes[dim] for dim in dims))
    if stride is not None:
        attrs["stride"] = stride
    said = [one.description for one in samplings]
    if note := common_spacing(samplings).note:
        said.append(note)
    attrs["sampling"] = "; ".join(said)
    for axis, (dim, one) in enumerate(zip(dims, samplings, strict=True)):
        end = f"_{dim}" if len(dims) > 1 else ""
        if one.step is not None:
            attrs[f"sampling_step{end}"] = one.step
            attrs[f"sampling_unit{end}"] = one.step_unit
        if stride is not None:
            touched = edge_affected(transform, source.sizes[dim], stride, axis=axis)
            attrs[f"edge_affected{end}"] = list(touched)
    attrs["scatdask_version"] = __version__
    attrs["history"] = extended_history(source if keep_attrs else None, transform, dims)
    return attrs


def _storable(value: Any) -> Any:
    """Return a parameter as any format can hold it: NetCDF has lists of numbers only."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list) and any(isinstance(item, str) for item in value):
        return ", ".join(map(str, value))
    return value


def edge_affected(transform: Transform, n: int, stride: int, *, axis: int = 0) -> tuple[int, int]:
    """Count the outputs whose support reaches past a true end of the signal.

    They depend on the boundary, that is on an assumption, and not on samples alone.

    Parameters
    ----------
    transform : Transform
    n : int
        Samples of the signal along the axis.
    stride : int
        Input samples per output.
    axis : int, default 0
        Which core axis: boundaries may differ.

    Returns
    -------
    (int, int)
        How many of the first, and how many of the last. None for "periodic", which has no ends.

    Examples
    --------
    >>> from scatdask import Scattering1D
    >>> S = Scattering1D(J=4)
    >>> first, last = edge_affected(S, 1024, S.stride)
    >>> (first - 1) * S.stride < S.halo <= first * S.stride
    True
    """
    if transform.boundaries[axis] == "periodic":
        return 0, 0
    n_out = -(-n // stride)
    first = min(-(-transform.halo // stride), n_out)
    last = n_out - min(max((n - 1 - transform.halo) // stride + 1, 0), n_out)
    return first, last


def extended_history(
    source: xr.DataArray | xr.Dataset | None, transform: Transform, dims: tuple[Hashable, ...]
) -> str:
    """Return the source's history with a line for the transform.

    The line has no date, so that the same call gives the same result.
    """
    parameters = {k: v for k, v in transform.parameters().items() if v is not None}
    if "selection" in parameters:  # the attribute of that name has the rows
        parameters["selection"] = f"{transform.n_paths} paths"
    arguments = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
    over = ", ".join(map(str, dims))
    line = f"scatdask {__version__}: {transform.name}({arguments}) over {over}"
    before = "" if source is None else str(source.attrs.get("history", ""))
    return f"{before.rstrip()}\n{line}" if before.strip() else line
