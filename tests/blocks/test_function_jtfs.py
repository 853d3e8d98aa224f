"""Joint scattering in blocks: no number depends on them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import TimeFrequencyScattering
from scatdask.blocks import Grid, block_of, combine_sums, transform_block
from scatdask.errors import NonFiniteWarning
from tests.blocks.common import BOUNDARIES, T_CHOICES, TOLERANCE, floor, noise
from tests.reference import worst_path
from tests.reference_jtfs import as_paths, joint_scattering


def in_blocks(transform, x: np.ndarray, length: int) -> list[np.ndarray]:
    """Transform block by block, as both roads do, and return one array a path."""
    shape = x.shape[1:]
    grid = Grid(shape, (length,))
    parts = []
    for index in range(len(grid)):
        block = block_of(transform, shape, grid.bounds(index))
        pieces = [x[:, a:b] for a, b in block[0].pieces]
        parts.append(transform_block(transform, block, shape, pieces))
    if transform.T == "global":
        sums = sum(part[0].astype(np.float64) for part in parts)
        return list(np.moveaxis(combine_sums(transform, sums, shape), 1, 0))
    places = {}
    for which, output in enumerate(transform.outputs):
        joined = np.concatenate([part[which] for part in parts], axis=-1)
        assert joined.shape == (len(x), *output.shape, *output.core_shape(shape))
        places.update({path: joined[:, row] for row, path in enumerate(output.paths)})
    return [places[path] for path in range(transform.n_paths)]


@st.composite
def transforms(draw) -> TimeFrequencyScattering:
    Q = draw(st.sampled_from([3, 6, (8, 2)]))
    # With J = 2 the bank of Q = 8 gathers near frequency zero, where signals are fainter than any
    # halo resolves.
    J = draw(st.integers(3 if Q == (8, 2) else 2, 5))
    T = draw(st.sampled_from(T_CHOICES))
    T = {"short": 2 ** (J - 2), "long": 2 ** (J + 2), "odd": 3 * J}.get(T, T)
    stride = None
    if T not in (0, "global"):
        largest = int(np.log2(2**J if T is None else T))
        stride = 2 ** draw(st.sampled_from(sorted({0, largest // 2, largest})))
    joint = draw(st.booleans())
    return TimeFrequencyScattering(
        J,
        J_fr=draw(st.integers(1, 2)),
        Q=Q,
        T=T,
        F=draw(st.sampled_from([None, 1, 2, "global"] + [0, 5] * (not joint))),
        stride=stride,
        format="joint" if joint else "time",
        boundary=draw(st.sampled_from(BOUNDARIES)),
        dtype=draw(st.sampled_from(["float64", "float32"])),
    )


@settings(max_examples=60)
@given(
    transform=transforms(),
    n=st.one_of(st.integers(1, 60), st.sampled_from([127, 256, 509, 1999]), st.integers(60, 3000)),
    share=st.floats(0, 1),
    rows=st.integers(1, 3),
    kind=st.sampled_from(["white", "brown"]),
)
def test_any_blocks_equal_one_block(transform, n, share, rows, kind):
    x = noise(kind, rows, n)
    aligned = transform.alignment
    # From the shortest block (but no more than some ten of them) to the whole signal.
    most, fewest = -(-n // aligned), max(-(-n // aligned // 10), 1)
    length = aligned * int(fewest + share * (most - fewest))
    whole = in_blocks(transform, x, n)
    error = worst_path(in_blocks(transform, x, length), whole, floor=floor(transform, x))
    assert error <= TOLERANCE[transform.dtype]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("format", ["time", "joint"])
@pytest.mark.parametrize("T", [None, 0, "global"])
def test_signals_are_extended_as_the_boundary_says(rng, boundary, format, T):
    transform = TimeFrequencyScattering(
        4, J_fr=2, Q=6, T=T, format=format, boundary=boundary, dtype="float64"
    )
    x = rng.standard_normal((2, 301))
    found = as_paths(transform(x), transform)
    assert worst_path(found, joint_scattering(transform, x)) < 1e-6


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_long_arrays_are_transformed_in_blocks(monkeypatch, rng, T):
    transform = TimeFrequencyScattering(3, J_fr=1, Q=3, T=T, format="joint", dtype="float64")
    x = rng.standard_normal((2, 3, 1001))
    expected = as_paths(transform(x), transform)
    monkeypatch.setattr(
        "scatdask.blocks.function.eager_lengths",
        lambda transform, shape: (16 * transform.alignment,),
    )
    found = as_paths(transform(x), transform)
    assert worst_path(found, expected) <= 1e-6


def test_selected_paths_of_blocks_are_those_of_the_whole(rng):
    transform = TimeFrequencyScattering(4, J_fr=2, Q=6, dtype="float64")
    x = rng.standard_normal((2, 700))
    some = transform.select(lambda path: (path.spin == -1) & (path.n2 == path.n2.max()))
    whole = in_blocks(transform, x, 700)
    found = in_blocks(some, x, 16 * transform.alignment)
    assert some.halo <= transform.halo
    assert worst_path(found, [whole[row] for row in some.selection]) <= 1e-6


@pytest.mark.parametrize("format", ["time", "joint"])
@pytest.mark.parametrize("T", [None, 0, "global"])
def test_a_missing_sample_spoils_what_it_touches_and_nothing_else(rng, format, T):
    transform = TimeFrequencyScattering(3, J_fr=1, Q=3, T=T, format=format, dtype="float64")
    n, at = 1200, 800
    x = rng.standard_normal((1, n))
    whole = as_paths(transform(x), transform)
    x[0, at] = np.nan
    with pytest.warns(NonFiniteWarning):
        spoiled = as_paths(transform(x), transform)
    for y, good, rate in zip(spoiled, whole, transform.rates, strict=True):
        if T == "global":
            assert np.all(np.isnan(y))
            continue
        centre = np.arange(y.shape[-1]) * (transform.stride or rate)
        touched = np.abs(centre - at) <= transform.halo
        assert np.all(np.isnan(y[..., touched]))
        np.testing.assert_allclose(y[..., ~touched], good[..., ~touched], atol=1e-6 * good.max())
