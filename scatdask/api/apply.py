"""Any transform on a labelled object: at once where it is in memory, lazy where it is lazy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scatdask import labels
from scatdask.arrays import AnyArray, array_namespace
from scatdask.blocks import check_dtype
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr

# Rows of a table of paths, or what says for each row of the table whether it is wanted.
Selection = Sequence[int] | Callable[[Any], Any] | None

# Attributes that samples lose when they are decoded.
_PACKING = ("scale_factor", "add_offset", "_FillValue")


def apply(
    obj: xr.DataArray | xr.Dataset,
    transform: Transform,
    *,
    dims: Hashable | Sequence[Hashable],
    selection: Selection = None,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Apply a transform over dimensions of a labelled object.

    All that can be wrong with the input is found before any work.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples. What is in memory is transformed at once; what is held by dask gives a lazy
        result. Of a Dataset the numeric variables that have all of `dims` are transformed.
    transform : Transform
    dims : hashable or sequence of hashable
        Dimensions to transform over, uniformly sampled: as many as the transform has core axes,
        in their order.
    selection : sequence of int or callable, optional
        Rows of the table of paths that are wanted, or a predicate on the table, which has
        frequencies in the unit of `dims` here; see `Transform.select`.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units``.

    Returns
    -------
    DataArray or Dataset
        As `obj`, with the dimensions ``(..., path, *dims)``.

    Raises
    ------
    KeyError
        If `obj` lacks one of `dims`.
    TypeError
        If `obj` is not an xarray object, or its samples are not real numbers.
    ValueError
        If there are too few or too many `dims` or one repeats, one is too short or not uniform, a
        Dataset has nothing to transform, or names clash.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from scatdask import Scattering1D
    >>> x = xr.DataArray(np.ones(512), dims="x", coords={"x": ("x", np.arange(512) / 4)})
    >>> apply(x, Scattering1D(J=4), dims="x").sizes
    Frozen({'path': 13, 'x': 32})
    """
    import xarray as xr

    if not isinstance(obj, xr.DataArray | xr.Dataset):
        raise TypeError(
            f"expected a DataArray or Dataset, got {type(obj).__name__}: a transform is called "
            "on arrays itself, as in Scattering1D(J=8)(x)"
        )
    core = labels.check_dims(obj, transform, dims)
    if isinstance(obj, xr.Dataset):
        chosen, skipped = labels.choose(obj, core)
    else:
        chosen, skipped = {obj.name: obj}, {}
    for name, variable in chosen.items():
        _check_samples(variable, "the input" if name is None else f"variable {name!r}")
    labels.check_sizes(transform, obj.sizes, core)
    samplings = labels.samplings(obj, core)
    transform = _selected(transform, selection, labels.common_spacing(samplings).steps)
    labels.check_names(obj, transform, core, samplings, chosen)
    arrays = _transform(chosen, transform, core)
    if isinstance(obj, xr.DataArray):
        [data] = arrays.values()
        return labels.assemble(
            obj, transform, core, data, samplings=samplings, keep_attrs=keep_attrs
        )
    return labels.assemble_dataset(
        obj, transform, core, arrays, samplings=samplings, keep_attrs=keep_attrs, skipped=skipped
    )


def _selected(transform: Transform, selection: Selection, spacing: Any) -> Transform:
    """Return a transform with the paths that were asked for, by row or by predicate."""
    if selection is None:
        return transform
    if callable(selection):
        return transform.select(selection, spacing=spacing)
    return replace(transform, selection=selection)  # type: ignore[type-var]


def _check_samples(variable: xr.DataArray, name: str) -> None:
    check_dtype(variable.dtype, name)
    if any(math.isnan(size) for size in variable.shape):
        raise ValueError(
            f"{name} has unknown chunk sizes (shape {variable.shape}): compute them first with "
            "obj.data.compute_chunk_sizes()"
        )
    packed = [key for key in _PACKING if key in variable.attrs]
    if packed and variable.dtype.kind in "iu":
        warnings.warn(
            f"{name} holds integers and has the attribute {packed[0]}: it looks as if it was "
            "opened without decoding, and its stored integers are what is transformed",
            stacklevel=4,
        )


def _transform(
    variables: Mapping[Hashable, xr.DataArray], transform: Transform, dims: tuple[Hashable, ...]
) -> dict[Hashable, Sequence[AnyArray]]:
    """Return for each variable one array for each of the transform's outputs."""
    data = {name: variable.transpose(..., *dims) for name, variable in variables.items()}
    lazy = {name: variable.data for name, variable in data.items() if variable.chunks is not None}
    arrays: dict[Hashable, Sequence[AnyArray]] = {}
    if lazy:
        from scatdask.lazy import lazy_block_lengths, scattering

        # The same lengths for all, so that the variables of a Dataset have the same chunks.
        each = [lazy_block_lengths(array, transform) for array in lazy.values()]
        lengths = tuple(map(min, zip(*each, strict=True)))
        arrays |= {n: scattering(array, transform, lengths=lengths) for n, array in lazy.items()}
    held = {name: _held(variable) for name, variable in data.items() if name not in lazy}
    return arrays | {name: _in_memory(array, transform) for name, array in held.items()}


def _held(variable: xr.DataArray) -> AnyArray:
    """Return the samples of a variable that is not lazy, of a library that can be worked with."""
    data: Any = variable.data
    try:
        array_namespace(data)
    except TypeError:
        raise TypeError(
            f"{variable.name or 'the input'} is held by a {type(data).__module__}."
            f"{type(data).__name__}, which is not an array of the array API standard: convert it "
            "first, for example with obj.as_numpy()"
        ) from None
    return data


def _in_memory(data: AnyArray, transform: Transform) -> list[AnyArray]:
    """Transform an array now, and lay paths of the same rate together."""
    result = transform(data)
    if not isinstance(result, list):
        return [result]
    xp = array_namespace(data)
    return [
        xp.stack(
            [result[path] for path in output.paths],
            axis=-1 - len(output.inner) - transform.ndim,
        )
        for output in transform.outputs
    ]
