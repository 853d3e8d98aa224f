"""What a 1-D cascade costs: batches that fit the cache, memory, operations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scatdask.arrays.memory import CACHE_BYTES
from scatdask.filters import Wavelet, low_pass_reach, morlet_support
from scatdask.transforms.cascade import walk
from scatdask.transforms.tuning import FILTER_OVERHEAD, LANES, WIDEST_REACH

if TYPE_CHECKING:
    from scatdask.transforms.scattering1d import Scattering1D


def _fits(n: int, dtype: str, memory: int) -> int:
    """Return how many FFTs of length `n` fit some memory; never less than fill the lanes."""
    return max(LANES, memory // (2 * np.dtype(dtype).itemsize * n))


def rows_at_once(transform: Scattering1D, rows: int, n: int) -> int:
    """Return how many rows of padded length `n` a kernel takes in one pass."""
    fits = _fits(n, transform.dtype, CACHE_BYTES)
    if rows <= LANES or rows * LANES <= fits:
        return max(rows, 1)
    return min(rows, fits) // LANES * LANES


def wavelets_at_once(wavelets: int, signals: int, n_out: int, dtype: str, memory: int) -> int:
    """Return how many of some wavelets a kernel applies to some signals in one pass.

    Parameters
    ----------
    wavelets : int
        Those that there are, all of one subsampling.
    signals : int
        Rows, or rows times the wavelets before these.
    n_out : int
        Samples of each output.
    dtype : str
    memory : int
        Bytes that their FFTs should have: on a CPU, what fits the cache.
    """
    unit = LANES // math.gcd(signals, LANES)
    fits = _fits(n_out, dtype, memory) // signals
    return min(max(fits // unit, 1) * unit, wavelets)


def filter_tolerance(dtype: str) -> float:
    """Return the share of a filter's peak that is lost in the rounding of the FFT."""
    return float(np.finfo(dtype).eps) / 10


def workspace(transform: Scattering1D, rows: int, n: int) -> int:
    """Return the bytes that the kernel needs beside its input, output and filters.

    Parameters
    ----------
    transform : Scattering1D
    rows : int
        Signals in one pass.
    n : int
        Padded length of each.
    """
    dtype = transform.dtype
    n_smooth = n // transform.stride if transform.low_pass and transform.stride else 0
    product = passing = 0
    modulus = [0] * len(transform.wavelets)
    # By order: the signals of one batch, and the words of the half spectra above that are held.
    signals, held = [rows], [0]
    for branch, order, log2_in, _ in walk(transform.branches):
        del signals[order:], held[order:]
        length = n >> branch.log2_rate
        count = wavelets_at_once(len(branch.wavelets), signals[-1], length, dtype, CACHE_BYTES)
        batch = -(-signals[-1] * count // LANES) * LANES
        product = max(product, 2 * batch * length)
        modulus[order - 1] = max(modulus[order - 1], batch * length)
        for wavelet in branch.wavelets:
            bins, mirrored = _bins(transform, transform.wavelets[order - 1][wavelet], n, log2_in)
            adding = 2 * length if bins > length else 0
            passing = max(passing, held[-1] + signals[-1] * (adding + 6 * mirrored))
        # The half spectrum of the modulus stays while each child is filtered and averaged;
        # without children averaging takes it too, or a copy of samples that wrap around.
        spectrum = batch * length if branch.children else 0
        averaging = (8 * n_smooth + (0 if spectrum else 2 * length)) * bool(n_smooth)
        passing = max(passing, held[-1] + spectrum + batch * averaging)
        signals.append(signals[-1] * count)
        held.append(held[-1] + spectrum)
    scratch = 2 * LANES * n
    words = rows * n + product + sum(modulus) + passing + scratch
    return np.dtype(dtype).itemsize * words


def filter_memory(transform: Scattering1D, n: int) -> int:
    """Return the bytes of the filters for rows of padded length `n`, which are kept."""
    sampled = {
        (transform.wavelets[order - 1][wavelet], log2_in, branch.log2_rate)
        for branch, order, log2_in, _ in walk(transform.branches)
        for wavelet in branch.wavelets
    }
    total: float = sum(_bins(transform, wavelet, n, rate)[0] for wavelet, rate, _ in sampled)
    total += _taps(transform, n) / 2
    itemsize = np.dtype(transform.dtype).itemsize
    return 2 * itemsize * math.ceil(total) + FILTER_OVERHEAD * len(sampled)


def _taps(transform: Scattering1D, n: int) -> int:
    """Return the entries of the matrices that average by tiles, one for each rate."""
    sigma, stride = transform.low_pass, transform.stride
    if not (sigma and stride):
        return 0
    reach = low_pass_reach(sigma, float(np.finfo(transform.dtype).eps)) / stride
    tile = math.ceil(reach) + 1
    if reach > WIDEST_REACH or n // stride < 3 * reach:
        return 0
    tree = walk(transform.branches)
    rates = {branch.log2_rate for branch, *_ in tree if not branch.children}
    return sum((stride >> rate) * 3 * tile**2 for rate in rates)


def _bins(transform: Scattering1D, wavelet: Wavelet, n: int, log2_rate: int) -> tuple[int, int]:
    """Return the bins of a filter of subsampled rows, and how many are mirrored."""
    length = n >> log2_rate
    low, high = morlet_support(wavelet.xi, wavelet.sigma, filter_tolerance(transform.dtype))
    mirrored = max(-low, 0.0) * n + max(high * n - length / 2, 0.0)
    return min(math.ceil((high - low) * n) + 2, length), min(math.ceil(mirrored), length // 2)


def flops(transform: Scattering1D, shape: tuple[int, ...]) -> float:
    """Estimate the floating-point operations for an input of a shape ``(..., n)``.

    Counts ``5 n log2 n`` for a complex FFT and half for a real one.
    """
    *batch, n = shape

    def fft(length: float) -> float:
        return 5 * length * math.log2(max(length, 2.0))

    total = fft(n) / 2
    for branch, _, _, parents in walk(transform.branches):
        each = fft(n / 2**branch.log2_rate) * (1.5 if branch.children else 1)
        total += each * parents * len(branch.wavelets)
    return math.prod(batch) * total
