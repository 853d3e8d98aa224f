"""Arrays of coefficients into labelled results."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scatdask.arrays import AnyArray
from scatdask.labels.attributes import extended_history, output_attrs
from scatdask.labels.axis import Sampling
from scatdask.labels.axis import sampling as read_sampling
from scatdask.labels.coords import PATH, output_coords, output_names, suffix
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr


def assemble(
    source: xr.DataArray,
    transform: Transform,
    dim: Hashable,
    arrays: Sequence[AnyArray],
    *,
    sampling: Sampling | None = None,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Label the coefficients of one array.

    Parameters
    ----------
    source : DataArray
        What was transformed. Only its labels are looked at.
    transform : Transform
    dim : hashable
        Core axis.
    arrays : sequence of array
        One for each of ``transform.outputs``, shape ``(*batch, path, time)``, or
        ``(*batch, path)`` where the output has no stride; batch axes in the order of `source`.
        Of any type that xarray wraps, lazy ones included.
    sampling : Sampling, optional
        Of the core axis, if it is known already.
    keep_attrs : bool, default True
        Keep the source's attributes that hold of coefficients too.

    Returns
    -------
    DataArray or Dataset
        A Dataset where the transform yields several arrays (``T=0``): one variable for each
        rate, named ``<name>_stride<stride>``.

    Raises
    ------
    ValueError
        If the coordinate of `dim` is not uniform, or the source has a name that the result
        needs.
    """
    import xarray as xr

    if sampling is None:
        sampling = read_sampling(source.coords.get(dim), dim)
    chunks = _time_chunks(transform, arrays)
    coords = output_coords(source, transform, dim, sampling, chunks).coords
    variables = _variables(source, transform, dim, arrays, sampling, keep_attrs)
    if not transform.is_ragged:
        [(dims, data, attrs)] = variables.values()
        return xr.DataArray(data, coords=coords, dims=dims, name=source.name, attrs=attrs)
    history = {"history": extended_history(source if keep_attrs else None, transform, dim)}
    return xr.Dataset(variables, coords=coords, attrs=history)


def assemble_dataset(
    source: xr.Dataset,
    transform: Transform,
    dim: Hashable,
    arrays: Mapping[Hashable, Sequence[AnyArray]],
    *,
    sampling: Sampling | None = None,
    keep_attrs: bool = True,
    skipped: Mapping[Hashable, str] | None = None,
) -> xr.Dataset:
    """Label the coefficients of variables of a Dataset.

    Parameters
    ----------
    source : Dataset
    transform : Transform
    dim : hashable
        Core axis.
    arrays : mapping
        For each variable that was transformed its arrays; see `assemble`.
    sampling : Sampling, optional
        Of the core axis, if it is known already.
    keep_attrs : bool, default True
        Keep the attributes of the Dataset, and those of variables that hold of coefficients too.
    skipped : mapping, optional
        Variables with `dim` that were not transformed, and why. Recorded in the attribute
        ``<transform>_skipped``.

    Returns
    -------
    Dataset
        The transformed variables, and unchanged those of the source that do not have `dim`.
    """
    import xarray as xr

    if sampling is None:
        sampling = read_sampling(source.coords.get(dim), dim)
    chunks = _time_chunks(transform, next(iter(arrays.values()), ()))
    coords = output_coords(source, transform, dim, sampling, chunks).coords
    variables: dict[Hashable, Any] = {}
    for name, variable in source.data_vars.items():
        if name in arrays:
            variables |= _variables(variable, transform, dim, arrays[name], sampling, keep_attrs)
        elif dim not in variable.dims:
            variables[name] = variable.variable
    attrs = dict(source.attrs) if keep_attrs else {}
    attrs["history"] = extended_history(source if keep_attrs else None, transform, dim)
    if skipped:
        note = "; ".join(f"{name} ({why})" for name, why in skipped.items())
        attrs[f"{transform.name}_skipped"] = note
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _time_chunks(transform: Transform, arrays: Sequence[AnyArray]) -> list[Any] | None:
    """Return the chunks of each output along the core axis; None where arrays are not lazy."""
    found = [getattr(array, "chunks", None) for array in arrays]
    lazy = [chunks[-1] for chunks in found if chunks]
    return lazy if lazy and transform.outputs[0].stride is not None else None


def _variables(
    source: xr.DataArray,
    transform: Transform,
    dim: Hashable,
    arrays: Sequence[AnyArray],
    sampling: Sampling,
    keep_attrs: bool,
) -> dict[Hashable, tuple[tuple[Hashable, ...], AnyArray, dict[str, Any]]]:
    """Return dims, data and attributes by name."""
    batch = tuple(name for name in source.dims if name != dim)
    variables: dict[Hashable, Any] = {}
    names = output_names(source.name, transform) if transform.is_ragged else (source.name,)
    for name, output, data in zip(names, transform.outputs, arrays, strict=True):
        end = suffix(transform, output)
        along = f"{dim}{end}" if end else dim
        time = () if output.stride is None else (along,)
        dims = (*batch, f"{PATH}{end}", *time)
        attrs = output_attrs(source, transform, dim, sampling, output.stride, keep_attrs=keep_attrs)
        variables[name] = (dims, data, attrs)
    return variables
