"""The core dimensions: which they are, and whether a transform fits them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr


def as_dims(dims: Hashable | Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Return one name, or several in a list or tuple, as a tuple.

    Examples
    --------
    >>> as_dims("time"), as_dims(["lat", "lon"])
    (('time',), ('lat', 'lon'))
    """
    if isinstance(dims, list | tuple):
        return tuple(dims)
    return (dims,)


def check_dims(
    obj: xr.DataArray | xr.Dataset, transform: Transform, dims: Hashable | Sequence[Hashable]
) -> tuple[Hashable, ...]:
    """Return the core dimensions as a tuple, and check that they are those of a transform.

    Parameters
    ----------
    obj : DataArray or Dataset
    transform : Transform
    dims : hashable or sequence of hashable
        One name for each core axis of the transform, in the order of these.

    Raises
    ------
    KeyError
        If `obj` lacks one.
    ValueError
        If there are too few or too many, or a name repeats.
    """
    names = as_dims(dims)
    if len(names) != transform.ndim:
        wanted = "one dimension" if transform.ndim == 1 else f"{transform.ndim} dimensions"
        raise ValueError(f"{transform.name} goes over {wanted}, got {len(names)}: {_listed(names)}")
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    if repeated:
        raise ValueError(f"dims repeat {repeated[0]!r}: each core axis is a dimension of its own")
    missing = [name for name in names if name not in obj.dims]
    if missing:
        raise KeyError(f"no dimension {_listed(missing)}; there are {_listed(obj.dims)}")
    return names


def check_sizes(
    transform: Transform, sizes: Mapping[Any, int], dims: tuple[Hashable, ...]
) -> tuple[int, ...]:
    """Return the sizes of the core dimensions, and check that the transform fits them.

    Parameters
    ----------
    transform : Transform
    sizes : mapping
        As ``obj.sizes``.
    dims : tuple of hashable
        Core dimensions.

    Raises
    ------
    ValueError
        If the transform spans more than there is, see `Transform.check_shape`; with the names of
        dimensions in place of the numbers of axes.
    """
    shape = tuple(sizes[dim] for dim in dims)
    try:
        transform.check_shape(shape)
    except ValueError as error:
        raise ValueError(_named(str(error), sizes, dims)) from None
    return shape


def _named(message: str, sizes: Mapping[Any, int], dims: tuple[Hashable, ...]) -> str:
    """Put the names of dimensions into a message of axes."""
    of = ", ".join(f"{dim!r} ({sizes[dim]})" for dim in dims)
    if len(dims) == 1:
        return f"over dimension {of}: {message}"
    named = re.sub(
        r"\b(core )?axis (\d)\b",
        lambda found: (
            f"dimension {dims[int(found[2])]!r}" if int(found[2]) < len(dims) else found[0]
        ),
        message,
    )
    return f"over dimensions {of}: {named}"


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) or "none"
