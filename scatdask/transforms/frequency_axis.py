"""The axis along which first-order wavelets stand: its filters, subsamplings and places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scatdask.filters import Wavelet, low_pass_sigma
from scatdask.filters.quefrency import quefrency_bank, quefrency_taps

# Share of its peak below which what a wavelet reaches, or differs from its twin by, is left out.
NEGLIGIBLE = {"float32": 1e-6, "float64": 1e-13}


@dataclass(frozen=True)
class FrequencyAxis:
    """Wavelets along log-frequency on a circle: the bank from place 0 on, then zeros.

    Attributes
    ----------
    J_fr, Q_fr : int
        Largest scale of the wavelets along frequency, and how many there are per octave.
    F : int or "global"
        Averaging scale; 0 for none.
    n_bank : int
        First-order wavelets.
    room : int
        Places for them, at least as many.
    whole : bool
        Whether outputs stand all around the circle, or at the bank only.
    """

    J_fr: int
    Q_fr: int
    F: int | str
    n_bank: int
    room: int
    whole: bool

    @cached_property
    def bank(self) -> tuple[Wavelet, ...]:
        """The filters along frequency: the low-pass, then wavelets of either sign."""
        return quefrency_bank(self.J_fr, self.Q_fr)

    @property
    def n_pairs(self) -> int:
        """Wavelets of positive quefrency."""
        return len(self.bank) // 2

    @property
    def stride(self) -> int | None:
        """Places per output after averaging over F, or None without such an average."""
        return 2 ** math.floor(math.log2(self.F)) if isinstance(self.F, int) and self.F else None

    @cached_property
    def length(self) -> int:
        """Places of the circle.

        As in Kymatio: the room and 8 times the smaller of F and ``2**J_fr``, less what is no
        multiple of ``2**J_fr``.
        """
        scale = 2**self.J_fr
        F = self.F if isinstance(self.F, int) and self.F else scale
        length = (self.room + 8 * min(F, scale)) // scale * scale
        step = max(scale, self.stride or 1)
        return -(-max(length, self.n_bank) // step) * step

    def step(self, n_fr: int) -> int:
        """Return the subsampling of the modulus of a filter."""
        return min(2 ** self.bank[n_fr].j, self.stride or self.length)

    def places(self, n_fr: int, n_rows: int) -> tuple[int, ...]:
        """Return where the outputs of a filter stand.

        Parameters
        ----------
        n_fr : int
            The filter.
        n_rows : int
            First-order wavelets that it sees.

        Returns
        -------
        tuple of int
            (-1,) for a mean over all wavelets.
        """
        if self.F == "global":
            return (-1,)
        # The low-pass is an average by itself.
        step = self.stride if self.stride and n_fr else self.step(n_fr)
        return tuple(range(0, self.length if self.whole else n_rows, step))

    def taps(self, n_fr: int) -> np.ndarray:
        """Return the taps of a filter, shape (length,)."""
        return quefrency_taps(self.bank[n_fr].xi, self.bank[n_fr].sigma, self.length)

    def are_mirrored(self, n_fr: int, dtype: str) -> bool:
        """Say whether a wavelet of positive quefrency and its twin have conjugate taps."""
        taps, twin = self.taps(n_fr), self.taps(n_fr + self.n_pairs)
        return bool(np.abs(taps - twin.conj()).max() <= NEGLIGIBLE[dtype] * np.abs(taps).max())

    def moduli_at(self, n_fr: int, places: tuple[int, ...], n_rows: int, dtype: str) -> np.ndarray:
        """Return the places at which the modulus of a filter is needed for outputs at others."""
        step = self.step(n_fr)
        if self.F == "global":
            return np.arange(0, n_rows, step)
        if n_fr == 0 or self.F == 0:
            return np.array(places)
        # Where a wavelet does not reach there is nothing to average.
        at, weight = np.arange(0, self.length, step), np.abs(self.taps(n_fr))
        nearest = np.max(weight[(at[:, None] - np.arange(n_rows)) % self.length], axis=1)
        return at[nearest > NEGLIGIBLE[dtype] * weight.max()]

    def matrix(self, n_fr: int, at: np.ndarray, n_rows: int) -> np.ndarray:
        """Return what each first-order wavelet gives to each place, shape (len(at), n_rows)."""
        return self.taps(n_fr)[(at[:, None] - np.arange(n_rows)) % self.length]

    def average(self, n_fr: int, places: tuple[int, ...], at: np.ndarray) -> np.ndarray | None:
        """Return what each modulus gives to each output, shape (len(places), len(at)).

        None where the moduli are the outputs.
        """
        if self.F == "global":
            return np.full((1, len(at)), 1 / len(at))
        if n_fr == 0 or not isinstance(self.F, int) or self.F == 0:
            return None
        low_pass = quefrency_taps(0.0, low_pass_sigma(self.F), self.length).real
        lag = np.array(places)[:, None] - at
        return self.step(n_fr) * low_pass[lag % self.length]
