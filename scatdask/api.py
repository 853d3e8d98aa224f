"""Functions on xarray objects: at once where they are in memory, lazy where they are lazy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from scatdask.arrays import AnyArray, array_namespace
from scatdask.blocks import check_dtype
from scatdask.labels import assemble, assemble_dataset, choose, output_coords
from scatdask.labels import sampling as read_sampling
from scatdask.transforms import Scattering1D, Transform

if TYPE_CHECKING:
    import xarray as xr

    Labelled = TypeVar("Labelled", xr.DataArray, xr.Dataset)

# Attributes that samples lose when they are decoded.
_PACKING = ("scale_factor", "add_offset", "_FillValue")


def scattering1d(
    obj: xr.DataArray | xr.Dataset,
    J: int,
    *,
    dim: Hashable,
    Q: int | tuple[int, int] = 1,
    T: int | str | None = None,
    stride: int | None = None,
    max_order: int = 2,
    boundary: str = "reflect",
    dtype: str = "float32",
    tolerance: float = 1e-6,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Compute the scattering transform over one dimension.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples. What is in memory is transformed at once; what is held by dask gives a lazy
        result. Of a Dataset the numeric variables with `dim` are transformed.
    J : int
        Largest scale: wavelets reach lengths in proportion to ``2**J`` samples.
    dim : hashable
        Dimension to transform over, uniformly sampled.
    Q : int or (int, int), default 1
        Wavelets per octave of the first and second order; an int means ``(Q, 1)``.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the whole of `dim`.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such.
    max_order : {1, 2}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"}
        How the signal goes on past its ends. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole signal, relative to the largest
        coefficient of each path.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units``.

    Returns
    -------
    DataArray or Dataset
        As `obj`, with the dimensions ``(..., path, dim)``. Coordinates on ``path`` describe the
        wavelets, in the inverse unit of `dim` where it has a spacing (Hz for times); those along
        `dim` are every stride-th of the input's. ``T="global"`` has no `dim`. ``T=0`` gives a
        Dataset with a variable ``<name>_stride<stride>`` for each rate.

    Raises
    ------
    KeyError
        If `obj` has no dimension `dim`.
    TypeError
        If samples are complex, boolean or not numeric, or a parameter is not an integer.
    ValueError
        If a parameter is out of its range, `dim` is shorter than the transform's scale, its
        coordinate is not uniform, a Dataset has nothing to transform, or names clash.

    See Also
    --------
    scatdask.Scattering1D : The transform itself, on plain arrays.

    References
    ----------
    Andén & Mallat, "Deep scattering spectrum", IEEE Trans. Signal Process. 62(16), 2014.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> time = xr.date_range("2024-01-01", periods=4096, freq="10ms")
    >>> x = xr.DataArray(np.random.default_rng(0).standard_normal((2, 4096)),
    ...                  dims=("station", "time"), coords={"time": time})
    >>> s = scatdask.scattering1d(x, J=6, Q=8, dim="time")
    >>> dict(s.sizes)
    {'station': 2, 'path': 126, 'time': 64}
    >>> float(s.frequency1[1].round(2)), s.frequency1.units
    (43.54, 'Hz')
    """
    transform = Scattering1D(
        J,
        Q=Q,
        T=T,
        stride=stride,
        max_order=max_order,
        boundary=boundary,
        dtype=dtype,
        tolerance=tolerance,
    )
    return apply(obj, transform, dim=dim, keep_attrs=keep_attrs)


def apply(
    obj: xr.DataArray | xr.Dataset,
    transform: Transform,
    *,
    dim: Hashable,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Apply a transform over one dimension of a labelled object.

    All that can be wrong with the input is found before any work.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples; see `scattering1d`.
    transform : Transform
    dim : hashable
        Dimension to transform over, uniformly sampled.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units``.

    Returns
    -------
    DataArray or Dataset
        See `scattering1d`.

    Raises
    ------
    KeyError
        If `obj` has no dimension `dim`.
    TypeError
        If `obj` is not an xarray object, or its samples are not real numbers.
    ValueError
        If `dim` is too short or not uniform, a Dataset has nothing to transform, or names clash.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> x = xr.DataArray(np.ones(512), dims="x", coords={"x": ("x", np.arange(512) / 4)})
    >>> apply(x, Scattering1D(J=4), dim="x").sizes
    Frozen({'path': 13, 'x': 32})
    """
    import xarray as xr

    if not isinstance(obj, xr.DataArray | xr.Dataset):
        raise TypeError(
            f"expected a DataArray or Dataset, got {type(obj).__name__}: a transform is called "
            "on arrays itself, as in Scattering1D(J=8)(x)"
        )
    if dim not in obj.dims:
        raise KeyError(
            f"no dimension {dim!r}; there are {', '.join(map(repr, obj.dims)) or 'none'}"
        )
    if isinstance(obj, xr.Dataset):
        chosen, skipped = choose(obj, dim)
    else:
        chosen, skipped = {obj.name: obj}, {}
    for name, variable in chosen.items():
        _check_samples(variable, "the input" if name is None else f"variable {name!r}")
    transform.check_length(obj.sizes[dim])
    sampling = read_sampling(obj.coords.get(dim), dim)
    output_coords(obj, transform, dim, sampling)  # for its check of names, before any work
    arrays = _transform(chosen, transform, dim)
    if isinstance(obj, xr.DataArray):
        return assemble(
            obj, transform, dim, arrays[obj.name], sampling=sampling, keep_attrs=keep_attrs
        )
    return assemble_dataset(
        obj, transform, dim, arrays, sampling=sampling, keep_attrs=keep_attrs, skipped=skipped
    )


def _check_samples(variable: xr.DataArray, name: str) -> None:
    check_dtype(variable.dtype, name)
    if any(math.isnan(size) for size in variable.shape):
        raise ValueError(
            f"{name} has unknown chunk sizes (shape {variable.shape}): compute them first with "
            "obj.data.compute_chunk_sizes()"
        )
    packed = [key for key in _PACKING if key in variable.attrs]
    if variable.dtype.kind in "iu" and packed:
        warnings.warn(
            f"{name} holds integers and has the attribute {packed[0]}: it looks as if it was "
            "opened without decoding, and its stored integers are what is transformed",
            stacklevel=4,
        )


def _transform(
    variables: Mapping[Hashable, xr.DataArray], transform: Transform, dim: Hashable
) -> dict[Hashable, Sequence[AnyArray]]:
    """Return for each variable one array for each of the transform's outputs."""
    data = {name: variable.transpose(..., dim) for name, variable in variables.items()}
    lazy = {name: variable.data for name, variable in data.items() if variable.chunks is not None}
    arrays: dict[Hashable, Sequence[AnyArray]] = {}
    if lazy:
        from scatdask.lazy import lazy_block_length, scattering

        # One length for all, so that the variables of a Dataset have the same chunks.
        length = min(lazy_block_length(array, transform) for array in lazy.values())
        arrays |= {n: scattering(array, transform, length=length) for n, array in lazy.items()}
    for name, variable in data.items():
        if name not in lazy:
            arrays[name] = _in_memory(variable, transform)
    return arrays


def _in_memory(variable: xr.DataArray, transform: Transform) -> list[AnyArray]:
    data: Any = variable.data
    try:
        xp = array_namespace(data)
    except TypeError:
        raise TypeError(
            f"{variable.name or 'the input'} is held by a {type(data).__module__}."
            f"{type(data).__name__}, which is not an array of the array API standard: convert it "
            "first, for example with obj.as_numpy()"
        ) from None
    result = transform(data)
    if not isinstance(result, list):
        return [result]
    return [
        xp.stack([result[path] for path in output.paths], axis=-2) for output in transform.outputs
    ]
