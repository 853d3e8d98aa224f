"""Scattering of labelled images and maps over two dimensions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from scatdask.api.apply import Selection, apply
from scatdask.transforms import Scattering2D

if TYPE_CHECKING:
    import xarray as xr


def scattering2d(
    obj: xr.DataArray | xr.Dataset,
    J: int,
    *,
    dims: Sequence[Hashable],
    L: int = 8,
    max_order: int = 2,
    boundary: str | Sequence[str] = "reflect",
    stride: int | None = None,
    dtype: str = "float32",
    tolerance: float = 1e-6,
    selection: Selection = None,
    sampling: str | None = None,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Compute the scattering transform over two dimensions.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples. What is in memory is transformed at once; what is held by dask gives a lazy
        result. Of a Dataset the numeric variables with both `dims` are transformed.
    J : int
        Number of scales: wavelets reach lengths in proportion to ``2**j`` samples for j from 0 to
        ``J - 1``, and coefficients are averaged over ``2**J`` samples.
    dims : sequence of two hashable
        Dimensions to transform over, each uniformly sampled, such as ``("lat", "lon")``.
        Directions are counted from the second to the first of them.
    L : int, default 8
        Number of directions between 0 and 180 degrees.
    max_order : {1, 2}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"} or one for each dimension
        How the image goes on past its edges: ``("reflect", "periodic")`` for a map of the globe.
        "reflect" does not repeat the edge sample.
    stride : int, optional
        Input samples per output along both dimensions, a power of two up to ``2**J``, which is
        the default.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole image, relative to the largest
        coefficient of each path.
    selection : sequence of int or callable, optional
        Rows of the table of paths that are wanted, or a predicate on the labelled table, such as
        ``lambda path: path.order < 2``; by default all. What no wanted path needs is not
        computed. See `scatdask.Scattering2D.select`.
    sampling : {"space", "frequency"}, optional
        What becomes of filters that are applied to subsampled images; see
        `scatdask.Scattering2D`. "space" lets images be cut into blocks.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units``.

    Returns
    -------
    DataArray or Dataset
        As `obj`, with the dimensions ``(..., path, *dims)``. Coordinates on ``path`` describe the
        wavelets: scales, directions in degrees, and wavelengths in the unit of `dims` where these
        have one in common. Coordinates along `dims` are every stride-th of the input's.

    Raises
    ------
    KeyError
        If `obj` lacks one of `dims`.
    TypeError
        If samples are complex, boolean or not numeric, or a parameter has the wrong type.
    ValueError
        If a parameter is out of its range, `dims` are not two different ones, one is shorter than
        the transform's scale or not uniform, a Dataset has nothing to transform, or names clash.

    See Also
    --------
    scatdask.Scattering2D : The transform itself, on plain arrays.

    References
    ----------
    Bruna & Mallat, "Invariant scattering convolution networks", IEEE Trans. Pattern Anal. Mach.
    Intell. 35(8), 2013.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> sst = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((2, 90, 180)),
    ...     dims=("time", "lat", "lon"),
    ...     coords={
    ...         "lat": ("lat", 89 - 2.0 * np.arange(90), {"units": "degrees_north"}),
    ...         "lon": ("lon", 2.0 * np.arange(180), {"units": "degrees_east"}),
    ...     },
    ... )
    >>> s = scatdask.scattering2d(
    ...     sst, J=3, L=4, dims=("lat", "lon"), boundary=("reflect", "periodic")
    ... )
    >>> dict(s.sizes)
    {'time': 2, 'path': 61, 'lat': 12, 'lon': 23}
    >>> s.wavelength1.values[1:].round(1), s.wavelength1.units
    (array([ 5.3,  5.3,  5.3,  5.3, 10.7, 10.7, 10.7, 10.7, 21.3, 21.3, 21.3, 21.3, ...]),
     'degrees')
    """
    transform = Scattering2D(
        J,
        L=L,
        max_order=max_order,
        boundary=boundary,  # type: ignore[arg-type]
        stride=stride,
        dtype=dtype,
        tolerance=tolerance,
        sampling=sampling,
    )
    return apply(obj, transform, dims=dims, selection=selection, keep_attrs=keep_attrs)
