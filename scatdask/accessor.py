"""The ``.scat`` accessor of DataArrays and Datasets. It only forwards to `scatdask.api`."""

from __future__ import annotations

from collections.abc import Hashable

import xarray as xr

from scatdask import api


class _Scat:
    """Wavelet scattering of an xarray object."""

    def __init__(self, obj: xr.DataArray | xr.Dataset) -> None:
        self._obj = obj

    def scattering1d(
        self,
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
        """Compute the scattering transform over one dimension; see `scatdask.scattering1d`.

        Parameters
        ----------
        J : int
            Largest scale: wavelets reach lengths in proportion to ``2**J`` samples.
        dim : hashable
            Dimension to transform over, uniformly sampled.
        Q : int or (int, int), default 1
            Wavelets per octave of the first and second order; an int means ``(Q, 1)``.
        T : int, "global" or None
            Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at
            its own rate; "global" is the mean over the whole of `dim`.
        stride : int, optional
            Input samples per output, a power of two up to `T`; by default the largest such.
        max_order : {1, 2}, default 2
            Highest scattering order.
        boundary : {"reflect", "periodic", "zero", "nearest"}
            How the signal goes on past its ends.
        dtype : {"float32", "float64"}
            Precision of the result and of the work.
        tolerance : float, default 1e-6
            Error that a block may have for not seeing the whole signal, relative to the largest
            coefficient of each path.
        keep_attrs : bool, default True
            Keep the attributes that hold of coefficients too, such as ``units``.

        Returns
        -------
        DataArray or Dataset
            With the dimensions ``(..., path, dim)``; lazy where the input is.

        Raises
        ------
        KeyError
            If there is no dimension `dim`.
        TypeError
            If samples are complex, boolean or not numeric, or a parameter is not an integer.
        ValueError
            If a parameter is out of its range, `dim` is too short or not uniform, or a Dataset
            has nothing to transform.

        Examples
        --------
        >>> import numpy as np, xarray as xr, scatdask
        >>> ds = xr.Dataset({"u": ("time", np.ones(1024)), "height": 2.0})
        >>> s = ds.scat.scattering1d(J=5, dim="time")
        >>> s.u.sizes, float(s.height)
        (Frozen({'path': 19, 'time': 32}), 2.0)
        """
        return api.scattering1d(
            self._obj,
            J,
            dim=dim,
            Q=Q,
            T=T,
            stride=stride,
            max_order=max_order,
            boundary=boundary,
            dtype=dtype,
            tolerance=tolerance,
            keep_attrs=keep_attrs,
        )


@xr.register_dataarray_accessor("scat")  # type: ignore[no-untyped-call]
class DataArrayScat(_Scat):
    """Wavelet scattering of a DataArray."""


@xr.register_dataset_accessor("scat")  # type: ignore[no-untyped-call]
class DatasetScat(_Scat):
    """Wavelet scattering of a Dataset."""
