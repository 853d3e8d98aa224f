"""Arrays of coefficients into labelled results."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scatdask.arrays import AnyArray
from scatdask.labels.attributes import extended_history, output_attrs
from scatdask.labels.axis import Sampling
from scatdask.labels.axis import samplings as read_samplings
from scatdask.labels.coords import output_coords
from scatdask.labels.names import PATH, check_names, output_names, suffix
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr


def assemble(
    source: xr.DataArray,
    transform: Transform,
    dims: tuple[Hashable, ...],
    arrays: Sequence[AnyArray],
    *,
    samplings: tuple[Sampling, ...] | None = None,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Label the coefficients of one array.

    Parameters
    ----------
    source : DataArray
        What was transformed. Only its labels are looked at.
    transform : Transform
    dims : tuple of hashable
        Core dimensions.
    arrays : sequence of array
        One for each of ``transform.outputs``, shape ``(*batch, path, *inner, *core)``, without
        core axes where the output has no stride; batch axes in the order of `source`, core axes
        in that of `dims`. Of any type that xarray wraps, lazy ones included.
    samplings : tuple of Sampling, optional
        Of each core dimension, if they are known already.
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
        If a coordinate of `dims` is not uniform, or the source has a name that the result
        needs.
    """
    import xarray as xr

    if samplings is None:
        samplings = read_samplings(source, dims)
    check_names(source, transform, dims, samplings, [source.name])
    chunks = _core_chunks(transform, arrays)
    coords = output_coords(source, transform, dims, samplings, chunks).coords
    variables = _variables(source, transform, dims, arrays, samplings, keep_attrs)
    if not transform.is_ragged:
        [(every, data, attrs)] = variables.values()
        return xr.DataArray(data, coords=coords, dims=every, name=source.name, attrs=attrs)
    history = {"history": extended_history(source if keep_attrs else None, transform, dims)}
    return xr.Dataset(variables, coords=coords, attrs=history)


def assemble_dataset(
    source: xr.Dataset,
    transform: Transform,
    dims: tuple[Hashable, ...],
    arrays: Mapping[Hashable, Sequence[AnyArray]],
    *,
    samplings: tuple[Sampling, ...] | None = None,
    keep_attrs: bool = True,
    skipped: Mapping[Hashable, str] | None = None,
) -> xr.Dataset:
    """Label the coefficients of variables of a Dataset.

    Parameters
    ----------
    source : Dataset
    transform : Transform
    dims : tuple of hashable
        Core dimensions.
    arrays : mapping
        For each variable that was transformed its arrays; see `assemble`.
    samplings : tuple of Sampling, optional
        Of each core dimension, if they are known already.
    keep_attrs : bool, default True
        Keep the attributes of the Dataset, and those of variables that hold of coefficients too.
    skipped : mapping, optional
        Variables with any of `dims` that were not transformed, and why. Recorded in the attribute
        ``<transform>_skipped``.

    Returns
    -------
    Dataset
        The transformed variables, and unchanged those of the source that have none of `dims`.

    Raises
    ------
    ValueError
        As `assemble`.
    """
    import xarray as xr

    if samplings is None:
        samplings = read_samplings(source, dims)
    check_names(source, transform, dims, samplings, arrays)
    chunks = _core_chunks(transform, next(iter(arrays.values()), ()))
    coords = output_coords(source, transform, dims, samplings, chunks).coords
    variables: dict[Hashable, Any] = {}
    for name, variable in source.data_vars.items():
        if name in arrays:
            variables |= _variables(variable, transform, dims, arrays[name], samplings, keep_attrs)
        elif not {*dims} & {*variable.dims}:
            variables[name] = variable.variable
    attrs = dict(source.attrs) if keep_attrs else {}
    attrs["history"] = extended_history(source if keep_attrs else None, transform, dims)
    if skipped:
        note = "; ".join(f"{name} ({why})" for name, why in skipped.items())
        attrs[f"{transform.name}_skipped"] = note
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _core_chunks(transform: Transform, arrays: Sequence[AnyArray]) -> list[tuple[Any, ...]] | None:
    """Return the chunks of each output along the core axes; None where arrays are not lazy."""
    found = [getattr(array, "chunks", None) for array in arrays]
    lazy = [tuple(chunks[-transform.ndim :]) for chunks in found if chunks]
    return lazy if lazy and transform.outputs[0].stride is not None else None


def _variables(
    source: xr.DataArray,
    transform: Transform,
    dims: tuple[Hashable, ...],
    arrays: Sequence[AnyArray],
    samplings: tuple[Sampling, ...],
    keep_attrs: bool,
) -> dict[Hashable, tuple[tuple[Hashable, ...], AnyArray, dict[str, Any]]]:
    """Return dims, data and attributes by name."""
    batch = tuple(name for name in source.dims if name not in dims)
    variables: dict[Hashable, Any] = {}
    names = output_names(source.name, transform) if transform.is_ragged else (source.name,)
    for name, output, data in zip(names, transform.outputs, arrays, strict=True):
        end = suffix(transform, output)
        inner = tuple(dim for dim, _ in output.inner)
        core = tuple(f"{dim}{end}" if end else dim for dim in dims)
        every = (*batch, f"{PATH}{end}", *inner, *(() if output.stride is None else core))
        attrs = output_attrs(
            source, transform, dims, samplings, output.stride, keep_attrs=keep_attrs
        )
        variables[name] = (every, data, attrs)
    return variables
