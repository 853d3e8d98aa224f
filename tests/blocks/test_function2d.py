"""No number of an image depends on blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering2D
from scatdask.blocks import Grid, block_of, transform_block
from scatdask.errors import NonFiniteWarning
from scatdask.transforms.halo import FAINTNESS
from tests.reference import PAD_MODES
from tests.reference2d import worst_path2d

BOUNDARIES = list(PAD_MODES)
TOLERANCE = {"float64": 1e-6, "float32": 5e-5}


def in_blocks(transform: Scattering2D, x: np.ndarray, lengths: tuple[int, int]) -> np.ndarray:
    """Transform rows of images block by block, as both roads do."""
    shape = x.shape[1:]
    grid = Grid(shape, lengths)
    parts = []
    for index in range(len(grid)):
        block = block_of(transform, shape, grid.bounds(index))
        rows, columns = block
        pieces = [[x[:, a:b, c:d] for c, d in columns.pieces] for a, b in rows.pieces]
        parts.append(transform_block(transform, block, shape, pieces)[0])
    down, across = grid.counts
    bands = [np.concatenate(parts[r * across : (r + 1) * across], axis=-1) for r in range(down)]
    return np.concatenate(bands, axis=-2)


def at_once(transform: Scattering2D, x: np.ndarray) -> np.ndarray:
    return in_blocks(transform, x, x.shape[1:])


def noise(kind: str, rows: int, shape: tuple[int, int]) -> np.ndarray:
    x = np.random.default_rng(shape[0] + rows).standard_normal((rows, *shape))
    return x if kind == "white" else np.cumsum(np.cumsum(x, axis=1), axis=2)


def floor(x: np.ndarray) -> float:
    """Return the size of paths below which errors are relative to the image, not to the path."""
    return float(np.std(x)) / FAINTNESS + 1e-300


@st.composite
def transforms(draw) -> Scattering2D:
    J = draw(st.integers(1, 3))
    return Scattering2D(
        J,
        L=draw(st.sampled_from([1, 2, 3, 8])),
        max_order=draw(st.integers(1, 2)),
        stride=2 ** draw(st.integers(0, J)),
        boundary=tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(2)),
        dtype=draw(st.sampled_from(["float64", "float32"])),
        sampling="space",
    )


@settings(max_examples=20)
@given(
    transform=transforms(),
    shape=st.tuples(*2 * [st.one_of(st.integers(1, 40), st.sampled_from([64, 97, 128]))]),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    rows=st.integers(1, 2),
    kind=st.sampled_from(["white", "brown"]),
)
def test_any_blocks_equal_one_block(transform, shape, shares, rows, kind):
    x = noise(kind, rows, shape)
    # From a quarter of the image along either axis to all of it.
    unit, lengths = transform.alignment, []
    for n, share in zip(shape, shares, strict=True):
        most = -(-n // unit)
        fewest = max(most // 4, 1)
        lengths.append(unit * int(fewest + share * (most - fewest)))
    found, whole = in_blocks(transform, x, tuple(lengths)), at_once(transform, x)
    assert worst_path2d(found, whole, floor=floor(x)) <= TOLERANCE[transform.dtype]


@pytest.mark.parametrize("boundary", [*BOUNDARIES, ("reflect", "periodic"), ("periodic", "zero")])
@pytest.mark.parametrize("kind", ["white", "brown"])
@pytest.mark.parametrize("L", [2, 5])
def test_each_path_of_noise_by_its_own_largest_coefficient(boundary, kind, L):
    transform = Scattering2D(2, L=L, boundary=boundary, dtype="float64", sampling="space")
    x = noise(kind, 1, (4 * transform.halo + 1, 3 * transform.halo + 2))
    found = in_blocks(transform, x, (2 * transform.halo // 4 * 4, 20))
    assert worst_path2d(found, at_once(transform, x)) <= transform.tolerance


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_errors_follow_the_tolerance(tolerance):
    transform = Scattering2D(3, L=4, dtype="float64", tolerance=tolerance)
    x = noise("white", 1, (200, 240))
    assert worst_path2d(in_blocks(transform, x, (64, 80)), at_once(transform, x)) <= tolerance


def test_two_runs_are_bit_identical():
    transform = Scattering2D(2)
    x = noise("brown", 2, (60, 70))
    first, second = (in_blocks(transform, x, (32, 40)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("boundary", ["reflect", ("nearest", "periodic")])
def test_a_large_constant_costs_no_precision(boundary):
    transform = Scattering2D(2, L=4, boundary=boundary)
    x = noise("white", 1, (64, 72))
    found, expected = at_once(transform, x + 1e6), at_once(transform, x)
    assert worst_path2d(found[:, 1:], expected[:, 1:]) <= TOLERANCE["float32"]
    np.testing.assert_allclose(found[:, 0], expected[:, 0].astype(float) + 1e6, rtol=1e-7)


def test_periodic_images_of_cropped_filters_are_one_block():
    transform = Scattering2D(3, L=4, boundary="periodic")
    block = block_of(transform, (64, 80), ((0, 64), (0, 80)))
    assert [slab.length for slab in block] == [64, 80]


def test_a_missing_sample_spoils_what_it_touches_and_no_more(rng):
    transform = Scattering2D(2, L=2, stride=1, dtype="float64")
    x = rng.standard_normal((80, 90))
    expected = transform(x)
    x[40, 30] = np.nan
    with pytest.warns(NonFiniteWarning):
        found = transform(x)
    y, x0 = np.mgrid[:80, :90]
    touched = np.maximum(abs(y - 40), abs(x0 - 30)) <= transform.halo
    np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(touched, found.shape))
    assert worst_path2d(np.where(touched, 0, found), np.where(touched, 0, expected)) <= 1e-6


def test_a_missing_sample_of_a_periodic_image_of_cropped_filters_spoils_all(rng):
    transform = Scattering2D(3, L=2, boundary="periodic")
    x = rng.standard_normal((32, 40))
    x[3, 3] = np.nan
    with pytest.warns(NonFiniteWarning):
        assert np.isnan(transform(x)).all()
