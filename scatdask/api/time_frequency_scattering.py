"""Joint time-frequency scattering of labelled signals over one dimension."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from scatdask.api.apply import Selection, apply
from scatdask.transforms import TimeFrequencyScattering

if TYPE_CHECKING:
    import xarray as xr


def time_frequency_scattering(
    obj: xr.DataArray | xr.Dataset,
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
    """Compute the joint time-frequency scattering transform over one dimension.

    Parameters
    ----------
    obj : DataArray or Dataset
        Real samples. What is in memory is transformed at once; what is held by dask gives a lazy
        result. Of a Dataset the numeric variables with `dim` are transformed.
    J : int
        Largest scale in time: wavelets reach lengths in proportion to ``2**J`` samples.
    J_fr : int
        Largest scale along frequency: ``2**J_fr`` first-order wavelets.
    dim : hashable
        Dimension to transform over, uniformly sampled.
    Q : int or (int, int), default 8
        Wavelets per octave of the first and second order in time; an int means ``(Q, 1)``.
    Q_fr : int, default 1
        Wavelets per octave along frequency.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the whole of `dim`.
    F : int, "global" or None
        Averaging scale along frequency, in first-order wavelets. None means ``2**J_fr``; 0 means
        no averaging, each path at its own spacing; "global" is the mean over the wavelets.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such.
    format : {"time", "joint"}, default "time"
        "time": each output along frequency is a path of its own, beside the order-0 path.
        "joint": a dimension ``frequency`` stands between path and time; there is no order 0.
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
        computed. See `scatdask.TimeFrequencyScattering.select`.
    keep_attrs : bool, default True
        Keep the attributes of `obj` that hold of coefficients too, such as ``units``.

    Returns
    -------
    DataArray or Dataset
        As `obj`, with the dimensions ``(..., path, dim)``, or ``(..., path, frequency, dim)`` for
        "joint". Coordinates on ``path`` describe the wavelets: rates in the inverse unit of `dim`
        where it has a spacing (Hz for times), quefrencies in cycles per octave, and the spin;
        those along `dim` are every stride-th of the input's. ``T="global"`` has no `dim`.
        ``T=0`` gives a Dataset with a variable ``<name>_stride<stride>`` for each rate.

    Raises
    ------
    KeyError
        If `obj` has no dimension `dim`.
    TypeError
        If samples are complex, boolean or not numeric, or a parameter is not an integer.
    ValueError
        If a parameter is out of its range, `J_fr` or `F` exceeds the bank of first-order
        wavelets, `dim` is shorter than the transform's scale, its coordinate is not uniform, a
        Dataset has nothing to transform, or names clash.

    See Also
    --------
    scatdask.TimeFrequencyScattering : The transform itself, on plain arrays.

    References
    ----------
    Andén, Lostanlen & Mallat, "Joint time-frequency scattering", IEEE Trans. Signal Process.
    67(14), 2019.

    Examples
    --------
    >>> import numpy as np, xarray as xr, scatdask
    >>> time = xr.date_range("2024-01-01", periods=4096, freq="10ms")
    >>> x = xr.DataArray(np.random.default_rng(0).standard_normal(4096),
    ...                  dims="time", coords={"time": time})
    >>> s = scatdask.time_frequency_scattering(x, J=8, J_fr=3, dim="time", format="joint")
    >>> dict(s.sizes)
    {'path': 59, 'frequency': 17, 'time': 16}
    >>> rising = s.isel(path=s.spin == 1)
    >>> float(rising.frequency2[-1].round(2)), rising.frequency2.units
    (0.14, 'Hz')
    """
    transform = TimeFrequencyScattering(
        J,
        J_fr=J_fr,
        Q=Q,
        Q_fr=Q_fr,
        T=T,
        F=F,
        stride=stride,
        format=format,
        boundary=boundary,
        dtype=dtype,
        tolerance=tolerance,
    )
    return apply(obj, transform, dims=dim, selection=selection, keep_attrs=keep_attrs)
