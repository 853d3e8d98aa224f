"""Gradients through every transform agree with finite differences of the NumPy result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scatdask import HarmonicScattering3D, Scattering1D, Scattering2D, TimeFrequencyScattering
from scatdask.transforms import Transform
from tests.conftest import Differentiable

pytestmark = pytest.mark.libraries

# Each with the shape of its input: odd ones are extended and filled up.
CASES = {
    "1-D": (Scattering1D(3, Q=2, dtype="float64"), (2, 100)),
    "1-D, rates": (Scattering1D(3, T=0, boundary="periodic", dtype="float64"), (128,)),
    "1-D, mean": (Scattering1D(3, T="global", dtype="float64"), (90,)),
    "1-D, fine": (
        Scattering1D(3, Q=(3, 2), T=20, stride=2, boundary="nearest", dtype="float64"),
        (77,),
    ),
    "1-D, third order": (
        Scattering1D(4, max_order=3, selection=(0, 3, 9, 14), dtype="float64"),
        (64,),
    ),
    "joint": (TimeFrequencyScattering(4, J_fr=1, Q=2, format="joint", dtype="float64"), (2, 64)),
    "joint, time": (
        TimeFrequencyScattering(3, J_fr=1, Q=2, T=0, format="time", dtype="float64"),
        (64,),
    ),
    "2-D": (
        Scattering2D(2, L=2, boundary=("periodic", "reflect"), dtype="float64"),
        (2, 16, 11),
    ),
    "2-D, fine": (
        Scattering2D(1, L=3, max_order=1, stride=1, boundary="nearest", dtype="float64"),
        (9, 10),
    ),
    "3-D, sums": (HarmonicScattering3D(1, L=1, dtype="float64"), (8, 8, 8)),
    "3-D, one m": (
        HarmonicScattering3D(1, L=1, rotation_covariant=False, dtype="float64"),
        (8, 8, 8),
    ),
    "3-D, maps": (
        # Not "reflect": mirrored volumes have moduli of zero at their corners, in exact arithmetic,
        # and the square root of their rounding has no derivative.
        HarmonicScattering3D(
            1, L=1, method="local", boundary=("nearest", "zero", "periodic"), dtype="float64"
        ),
        (6, 7, 8),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Transform, tuple[int, ...]]:
    return CASES[request.param]


def weighted(
    transform: Transform, shape: tuple[int, ...], *, of_zero: float = 1.0
) -> Callable[..., Any]:
    """Return a function that gives one number: outputs times random weights.

    `of_zero` is the weight of order 0.
    """
    rng = np.random.default_rng(1)
    axis = len(shape) - transform.ndim
    order = transform.paths().order.values
    example = transform(np.zeros(shape))
    paths = example if isinstance(example, list) else np.moveaxis(example, axis, 0)
    weights = [
        rng.standard_normal(np.shape(y)) * (1 if level else of_zero)
        for y, level in zip(paths, order, strict=True)
    ]
    if not isinstance(example, list):
        weights = [np.stack(weights, axis=axis)]

    def total(x: Any, asarray: Callable[[np.ndarray], Any] = np.asarray) -> Any:
        values = transform(x)
        values = values if isinstance(values, list) else [values]
        return sum((y * asarray(w)).sum() for y, w in zip(values, weights, strict=True))

    return total


def test_gradients_agree_with_finite_differences(differentiable: Differentiable, case, rng):
    transform, shape = case
    total = weighted(transform, shape)
    x = rng.standard_normal(shape)
    gradient = differentiable.gradient(lambda v: total(v, differentiable.xp.asarray), x)
    assert gradient.shape == shape
    for _ in range(3):
        direction = rng.standard_normal(shape)
        step = 1e-6 / np.linalg.norm(direction)
        expected = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(np.sum(gradient * direction) - expected) <= 1e-6 * scale


@pytest.mark.parametrize("constant", [0.0, 12.25])
def test_gradients_are_zero_where_the_moduli_are(differentiable: Differentiable, case, constant):
    transform, shape = case
    total = weighted(transform, shape, of_zero=0.0)
    gradient = differentiable.gradient(
        lambda v: total(v, differentiable.xp.asarray), np.full(shape, constant)
    )
    if transform.ndim == 3 and constant:  # wavelets of degree 0 see it
        assert np.all(np.isfinite(gradient))
    else:
        np.testing.assert_array_equal(gradient, 0)
