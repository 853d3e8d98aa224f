"""Scattering of labelled signals over one dimension."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from scatdask.api.apply import Selection, apply
from scatdask.transforms import Scattering1D

if TYPE_CHECKING:
    import xarray as xr


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
    selection: Selection = None,
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
        Wavelets per octave of the first and of the higher orders; an int means ``(Q, 1)``.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the whole of `dim`.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such.
    max_order : {1, 2, 3}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"}
        How the signal goes on past its ends. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole signal, relative to the largest
        coefficient of each path.
    selection : sequence of int or callable, optional
        Rows of the table of paths that are wanted, or a predicate on the labelled table, such as
        ``lambda path: path.order < 2``; by default all. What no wanted path needs is not
        computed. See `scatdask.Scattering1D.select`.
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
    return apply(obj, transform, dims=dim, selection=selection, keep_attrs=keep_attrs)
