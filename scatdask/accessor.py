"""The ``.scat`` accessor of DataArrays and Datasets. It only forwards to `scatdask.api`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import xarray as xr

from scatdask import api
from scatdask.api.apply import Selection


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
        selection: Selection = None,
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
            Wavelets per octave of the first and of the higher orders; an int means ``(Q, 1)``.
        T : int, "global" or None
            Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at
            its own rate; "global" is the mean over the whole of `dim`.
        stride : int, optional
            Input samples per output, a power of two up to `T`; by default the largest such.
        max_order : {1, 2, 3}, default 2
            Highest scattering order.
        boundary : {"reflect", "periodic", "zero", "nearest"}
            How the signal goes on past its ends.
        dtype : {"float32", "float64"}
            Precision of the result and of the work.
        tolerance : float, default 1e-6
            Error that a block may have for not seeing the whole signal, relative to the largest
            coefficient of each path.
        selection : sequence of int or callable, optional
            Rows of the table of paths that are wanted, or a predicate on the table.
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
            selection=selection,
            keep_attrs=keep_attrs,
        )

    def scattering2d(
        self,
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
        """Compute the scattering transform over two dimensions; see `scatdask.scattering2d`.

        Parameters
        ----------
        J : int
            Number of scales: wavelets reach lengths in proportion to ``2**j`` samples for j from
            0 to ``J - 1``, and coefficients are averaged over ``2**J`` samples.
        dims : sequence of two hashable
            Dimensions to transform over, each uniformly sampled, such as ``("lat", "lon")``.
        L : int, default 8
            Number of directions between 0 and 180 degrees.
        max_order : {1, 2}, default 2
            Highest scattering order.
        boundary : {"reflect", "periodic", "zero", "nearest"} or one for each dimension
            How the image goes on past its edges.
        stride : int, optional
            Input samples per output along both dimensions, a power of two up to ``2**J``, which
            is the default.
        dtype : {"float32", "float64"}
            Precision of the result and of the work.
        tolerance : float, default 1e-6
            Error that a block may have for not seeing the whole image, relative to the largest
            coefficient of each path.
        selection : sequence of int or callable, optional
            Rows of the table of paths that are wanted, or a predicate on the table.
        sampling : {"space", "frequency"}, optional
            What becomes of filters that are applied to subsampled images. "space" lets images be
            cut into blocks.
        keep_attrs : bool, default True
            Keep the attributes that hold of coefficients too, such as ``units``.

        Returns
        -------
        DataArray or Dataset
            With the dimensions ``(..., path, *dims)``; lazy where the input is.

        Raises
        ------
        KeyError
            If there is no dimension of one of the names.
        TypeError
            If samples are complex, boolean or not numeric, or a parameter has the wrong type.
        ValueError
            If a parameter is out of its range, a dimension is too short or not uniform, or a
            Dataset has nothing to transform.

        Examples
        --------
        >>> import numpy as np, xarray as xr, scatdask
        >>> ds = xr.Dataset({"sst": (("lat", "lon"), np.ones((40, 50))), "area": 2.0})
        >>> s = ds.scat.scattering2d(J=2, L=4, dims=("lat", "lon"))
        >>> s.sst.sizes, float(s.area)
        (Frozen({'path': 25, 'lat': 10, 'lon': 13}), 2.0)
        """
        return api.scattering2d(
            self._obj,
            J,
            dims=dims,
            L=L,
            max_order=max_order,
            boundary=boundary,
            stride=stride,
            dtype=dtype,
            tolerance=tolerance,
            selection=selection,
            sampling=sampling,
            keep_attrs=keep_attrs,
        )

    def scattering3d(
        self,
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
        """Compute the solid harmonic scattering transform; see `scatdask.scattering3d`.

        Parameters
        ----------
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
            Whether coefficients are sums over the whole volume, or maps: averages by a Gaussian
            of width ``sigma_0 * 2**J``, one every `stride` samples.
        stride : int, optional
            Input samples per output of "local", by default ``2**J``.
        boundary : {"periodic", "reflect", "zero", "nearest"} or one for each dimension
            How the volume goes on past its faces.
        dtype : {"float32", "float64"}
            Precision of the result and of the work.
        tolerance : float, default 1e-6
            Error that a block may have for not seeing the whole volume, relative to the largest
            coefficient of each path.
        selection : sequence of int or callable, optional
            Rows of the table of paths that are wanted, or a predicate on the table.
        sampling : {"space", "frequency"}, optional
            Where wavelets are sampled. "space" lets volumes be cut into blocks.
        keep_attrs : bool, default True
            Keep the attributes that hold of coefficients too.

        Returns
        -------
        DataArray or Dataset
            With the dimensions ``(..., path)``, or ``(..., path, *dims)`` for "local"; lazy where
            the input is.

        Raises
        ------
        KeyError
            If there is no dimension of one of the names.
        TypeError
            If samples are complex, boolean or not numeric, or a parameter has the wrong type.
        ValueError
            If a parameter is out of its range, a dimension is too short or not uniform, or a
            Dataset has nothing to transform.

        Examples
        --------
        >>> import numpy as np, xarray as xr, scatdask
        >>> rho = xr.DataArray(np.ones((16, 16, 16)), dims=("z", "y", "x"))
        >>> rho.scat.scattering3d(J=1, L=1, dims=("z", "y", "x")).sizes
        Frozen({'path': 21})
        """
        return api.scattering3d(
            self._obj,
            J,
            dims=dims,
            L=L,
            sigma_0=sigma_0,
            max_order=max_order,
            rotation_covariant=rotation_covariant,
            integral_powers=integral_powers,
            method=method,
            stride=stride,
            boundary=boundary,
            dtype=dtype,
            tolerance=tolerance,
            selection=selection,
            sampling=sampling,
            keep_attrs=keep_attrs,
        )

    def time_frequency_scattering(
        self,
        J: int,
        *,
        J_fr: int,
        dim: Hashable,
        Q: int | tuple[int, int] = 8,
        Q_fr: int = 1,
        T: int | str | None = None,
        F: int | str | None = None,
        stride: int | None = None,
        format: str = "time",
        boundary: str = "reflect",
        dtype: str = "float32",
        tolerance: float = 1e-6,
        selection: Selection = None,
        keep_attrs: bool = True,
    ) -> xr.DataArray | xr.Dataset:
        """Compute joint scattering in time and frequency over one dimension.

        See `scatdask.time_frequency_scattering`.

        Parameters
        ----------
        J : int
            Largest scale in time: wavelets reach lengths in proportion to ``2**J`` samples.
        J_fr : int
            Largest scale along frequency: ``2**J_fr`` first-order wavelets.
        dim : hashable
            Dimension to transform over, uniformly sampled.
        Q : int or (int, int), default 8
            Wavelets per octave of the first and second order in time.
        Q_fr : int, default 1
            Wavelets per octave along frequency.
        T : int, "global" or None
            Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at
            its own rate; "global" is the mean over the whole of `dim`.
        F : int, "global" or None
            Averaging scale along frequency, in first-order wavelets. None means ``2**J_fr``; 0
            means no averaging; "global" is the mean over the wavelets.
        stride : int, optional
            Input samples per output, a power of two up to `T`; by default the largest such.
        format : {"time", "joint"}, default "time"
            Whether each output along frequency is a path of its own, or a dimension
            ``frequency`` stands between path and time.
        boundary : {"reflect", "periodic", "zero", "nearest"}
            How the signal goes on past its ends.
        dtype : {"float32", "float64"}
            Precision of the result and of the work.
        tolerance : float, default 1e-6
            Error that a block may have for not seeing the whole signal, relative to the largest
            coefficient of each path.
        selection : sequence of int or callable, optional
            Rows of the table of paths that are wanted, or a predicate on the table.
        keep_attrs : bool, default True
            Keep the attributes that hold of coefficients too, such as ``units``.

        Returns
        -------
        DataArray or Dataset
            With the dimensions ``(..., path, dim)``, or ``(..., path, frequency, dim)``; lazy
            where the input is.

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
        >>> x = xr.DataArray(np.ones(1024), dims="time")
        >>> x.scat.time_frequency_scattering(J=6, J_fr=2, dim="time").sizes
        Frozen({'path': 209, 'time': 16})
        """
        return api.time_frequency_scattering(
            self._obj,
            J,
            J_fr=J_fr,
            dim=dim,
            Q=Q,
            Q_fr=Q_fr,
            T=T,
            F=F,
            stride=stride,
            format=format,
            boundary=boundary,
            dtype=dtype,
            tolerance=tolerance,
            selection=selection,
            keep_attrs=keep_attrs,
        )


@xr.register_dataarray_accessor("scat")  # type: ignore[no-untyped-call]
class DataArrayScat(_Scat):
    """Wavelet scattering of a DataArray."""


@xr.register_dataset_accessor("scat")  # type: ignore[no-untyped-call]
class DatasetScat(_Scat):
    """Wavelet scattering of a Dataset."""
