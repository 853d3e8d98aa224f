"""Solid harmonic scattering of labelled volumes over three dimensions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from scatdask.api.apply import Selection, apply
from scatdask.transforms import HarmonicScattering3D

if TYPE_CHECKING:
    import xarray as xr


def scattering3d(
    obj: xr.DataArray | xr.Dataset,
    J: int,
    *,
    dims: Sequence[Hashable],
    L: int = 3,
    sigma_0: float = 1.0,
    max_order: int = 2,
    rotation_covariant: bool = True,
    integral_powers: Sequence[float] = (0.5, 1.0, 2.0),
    method: str = "integral",
    stride: int | None = None,
    boundary: str | Sequence[str] = "periodic",
    dtype: str = "float32",
    tolerance: float = 1e-6,
    selection: Selection = None,
    sampling: str | None = None,
    keep_attrs: bool = True,
) -> xr.DataArray | xr.Dataset:
    """Compute the solid harmonic scattering transform over three dimensions.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples. What is in memory is transformed at once; what is held by dask gives a lazy
        result. Of a Dataset the numeric variables with all of `dims` are transformed.
    J : int
        Largest scale: wavelets have widths ``sigma_0 * 2**j`` for j from 0 to J.
    dims : sequence of three hashable
        Dimensions to transform over, each uniformly sampled, such as ``("z", "y", "x")``.
    L : int, default 3
        Highest degree of the solid harmonics; l goes from 0 to L.
    sigma_0 : float, default 1
        Width of the narrowest wavelet in samples, along each axis.
    max_order : {1, 2}, default 2
        Highest scattering order.
    rotation_covariant : bool, default True
        Whether moduli are over all m of a degree, so that they turn with the volume.
    integral_powers : sequence of float, default (0.5, 1, 2)
        Powers q of the moduli.
    method : {"integral", "local"}
        Whether coefficients are sums over the whole volume, or maps: averages by a Gaussian of
        width ``sigma_0 * 2**J``, one every `stride` samples.
    stride : int, optional
        Input samples per output of "local", by default ``2**J``.
    boundary : {"periodic", "reflect", "zero", "nearest"} or one for each dimension
        How the volume goes on past its faces. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole volume, relative to the largest
        coefficient of each path.
    selection : sequence of int or callable, optional
        Rows of the table of paths that are wanted, or a predicate on the labelled table, such as
        ``lambda path: path.order < 2``; by default all. What no wanted path needs is not
        computed. See `scatdask.HarmonicScattering3D.select`.
    sampling : {"space", "frequency"}, optional
        Where wavelets are sampled; see `scatdask.HarmonicScattering3D`. "space" lets volumes be
        cut into blocks.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units`` where 1 is
        the only power.

    Returns
    -------
    DataArray or Dataset
        As `obj`, with the dimensions ``(..., path)``, or ``(..., path, *dims)`` for "local".
        Coordinates on ``path`` describe the wavelets, in the unit of `dims` where all have the
        same spacing; those along `dims` are every stride-th of the input's.

    Raises
    ------
    KeyError
        If `obj` lacks one of `dims`.
    TypeError
        If samples are complex, boolean or not numeric, or a parameter has the wrong type.
    ValueError
        If a parameter is out of its range, `dims` are not three different ones, one is shorter
        than the widest wavelet or not uniform, a Dataset has nothing to transform, or names
        clash.

    See Also
    --------
    scatdask.HarmonicScattering3D : The transform itself, on plain arrays.

    References
    ----------
    Eickenberg, Exarchakis, Hirn, Mallat & Thiry, "Solid harmonic wavelet scattering for
    predictions of molecule properties", J. Chem. Phys. 148, 241732, 2018.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> rho = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((2, 32, 32, 32)),
    ...     dims=("snapshot", "z", "y", "x"),
    ... )
    >>> s = scatdask.scattering3d(rho, J=1, L=2, dims=("z", "y", "x"))
    >>> dict(s.sizes)
    {'snapshot': 2, 'path': 30}
    >>> maps = scatdask.scattering3d(rho, J=1, L=2, dims=("z", "y", "x"), method="local")
    >>> dict(maps.sizes)
    {'snapshot': 2, 'path': 30, 'z': 16, 'y': 16, 'x': 16}
    """
    transform = HarmonicScattering3D(
        J,
        L=L,
        sigma_0=sigma_0,
        max_order=max_order,
        rotation_covariant=rotation_covariant,
        integral_powers=integral_powers,  # type: ignore[arg-type]
        method=method,
        stride=stride,
        boundary=boundary,  # type: ignore[arg-type]
        dtype=dtype,
        tolerance=tolerance,
        sampling=sampling,
    )
    return apply(obj, transform, dims=dims, selection=selection, keep_attrs=keep_attrs)
