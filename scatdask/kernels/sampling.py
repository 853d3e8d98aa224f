"""The filters along time of a cascade, sampled for one padded length on one device."""

from __future__ import annotations

from functools import cache

from scatdask.arrays import Like
from scatdask.filters import Wavelet, sample_gaussian, sample_morlet
from scatdask.kernels.operations import (
    FoldedFilter,
    SpectralSmoother,
    TapSmoother,
    fold_filter,
    tap_smoother,
)
from scatdask.transforms.cost1d import filter_tolerance


class TimeFilters:
    """Sample wavelets and averages along time, each once.

    Parameters
    ----------
    low_pass : float or None
        Width of the average, cycles per sample; None for none.
    stride : int or None
        Input samples per output of the average.
    n : int
        Padded length of the rows.
    dtype : {"float32", "float64"}
    like : Like
        Where the values are to live.
    """

    def __init__(
        self, low_pass: float | None, stride: int | None, n: int, dtype: str, like: Like
    ) -> None:
        self._low_pass, self._stride, self._n = low_pass, stride, n
        self._dtype, self._like = dtype, like
        self._tolerance = filter_tolerance(dtype)
        self.band = cache(self._band)
        self.spectral = cache(self._spectral)
        self.last = cache(self._last)

    def _band(self, wavelet: Wavelet, log2_in: int, log2_out: int) -> FoldedFilter:
        """Sample a wavelet for rows subsampled by ``2**log2_in``, and its output's subsampling."""
        length, rate = self._n >> log2_in, 2**log2_in
        sampled = sample_morlet(
            wavelet.xi, wavelet.sigma, length, rate=rate, tolerance=self._tolerance
        )
        return fold_filter(sampled, self._n >> log2_out, self._dtype, like=self._like.array)

    def _spectral(self, log2_rate: int) -> SpectralSmoother | None:
        """Sample the average for half spectra of rows subsampled by ``2**log2_rate``."""
        if self._low_pass is None or self._stride is None:
            return None
        rate = 2**log2_rate
        sampled = sample_gaussian(
            self._low_pass, self._n // rate, rate=rate, tolerance=self._tolerance
        )
        n_out = self._n // self._stride
        return SpectralSmoother(fold_filter(sampled, n_out, self._dtype, like=self._like.array))

    def _last(self, log2_rate: int) -> SpectralSmoother | TapSmoother | None:
        """Sample the average for rows of which nothing else needs the spectrum."""
        if self._low_pass is None or self._stride is None:
            return None
        taps = tap_smoother(
            self._low_pass,
            self._stride,
            2**log2_rate,
            self._n // self._stride,
            self._dtype,
            like=self._like.array,
        )
        return taps or self.spectral(log2_rate)
