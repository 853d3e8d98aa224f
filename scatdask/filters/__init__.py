"""Wavelets and low-pass filters as closed-form functions of frequency.

Frequencies are in cycles per sample; everything is pure NumPy float64.
"""

from scatdask.filters.bank import Wavelet, low_pass_sigma, morlet_bank
from scatdask.filters.morlet import gaussian, morlet
from scatdask.filters.sampled import (
    SampledFilter,
    littlewood_paley,
    low_pass_reach,
    low_pass_taps,
    morlet_support,
    sample_gaussian,
    sample_morlet,
)
from scatdask.filters.solid_harmonic import (
    SAMPLINGS,
    harmonic_amplitude,
    harmonic_band,
    harmonic_reach,
    monomial_gaussian,
    solid_harmonic,
)

__all__ = [
    "SAMPLINGS",
    "SampledFilter",
    "Wavelet",
    "gaussian",
    "harmonic_amplitude",
    "harmonic_band",
    "harmonic_reach",
    "littlewood_paley",
    "low_pass_reach",
    "low_pass_sigma",
    "low_pass_taps",
    "monomial_gaussian",
    "morlet",
    "morlet_bank",
    "morlet_support",
    "sample_gaussian",
    "sample_morlet",
    "solid_harmonic",
]
