"""Wavelets and low-pass filters as closed-form functions of frequency.

Frequencies are in cycles per sample; everything is pure NumPy float64.
"""

from scatdask.filters.bank import Wavelet, low_pass_sigma, morlet_bank
from scatdask.filters.morlet import gaussian, morlet
from scatdask.filters.morlet2d import (
    SampledFilter2D,
    Wavelet2D,
    littlewood_paley2d,
    low_pass_sigma2d,
    morlet_bank2d,
    morlet_box2d,
    sample_morlet2d,
)
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
    wavelet_polynomial,
)

__all__ = [
    "SAMPLINGS",
    "SampledFilter",
    "SampledFilter2D",
    "Wavelet",
    "Wavelet2D",
    "gaussian",
    "harmonic_amplitude",
    "harmonic_band",
    "harmonic_reach",
    "littlewood_paley",
    "littlewood_paley2d",
    "low_pass_reach",
    "low_pass_sigma",
    "low_pass_sigma2d",
    "low_pass_taps",
    "monomial_gaussian",
    "morlet",
    "morlet_bank",
    "morlet_bank2d",
    "morlet_box2d",
    "morlet_support",
    "sample_gaussian",
    "sample_morlet",
    "sample_morlet2d",
    "solid_harmonic",
    "wavelet_polynomial",
]
