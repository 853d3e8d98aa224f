"""Volumes: blocks of any size give the numbers of the whole."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import HarmonicScattering3D
from scatdask.blocks import Grid, block_lengths, block_of, combine_sums, transform_block
from scatdask.errors import NonFiniteWarning
from tests import reference3d
from tests.blocks.common import BOUNDARIES, TOLERANCE


def cut(x: np.ndarray, block, axis: int = 0):
    """Return the pieces of volumes that a block reads, nested as for `numpy.block`."""
    if axis == 3:
        return x
    pieces = (np.take(x, np.arange(a, b), axis=axis + 1) for a, b in block[axis].pieces)
    return [cut(piece, block, axis + 1) for piece in pieces]


def in_blocks(transform, x: np.ndarray, lengths: tuple[int, ...]) -> np.ndarray:
    """Transform block by block, as both roads do."""
    shape = x.shape[1:]
    grid = Grid(shape, lengths)
    parts = []
    for index in range(len(grid)):
        block = block_of(transform, shape, grid.bounds(index))
        (part,) = transform_block(transform, block, shape, cut(x, block))
        parts.append(part)
    if transform.stride is None:
        return combine_sums(transform, sum(part.astype(np.float64) for part in parts), shape)
    for axis, count in zip((-1, -2, -3), reversed(grid.counts), strict=True):
        groups = [parts[i : i + count] for i in range(0, len(parts), count)]
        parts = [np.concatenate(group, axis=axis) for group in groups]
    return parts[0]


def at_once(transform, x: np.ndarray) -> np.ndarray:
    step = transform.alignment
    return in_blocks(transform, x, tuple(-(-n // step) * step for n in x.shape[1:]))


@st.composite
def transforms(draw) -> HarmonicScattering3D:
    J = draw(st.integers(0, 1))
    parameters = {}
    if draw(st.booleans()):
        parameters = {"method": "local", "stride": draw(st.sampled_from([1, 2**J]))}
    transform = HarmonicScattering3D(
        J,
        L=draw(st.integers(1, 2)),
        sigma_0=draw(st.sampled_from([0.7, 1.0, 1.4])),
        max_order=draw(st.sampled_from([1, 2])),
        rotation_covariant=draw(st.booleans()),
        boundary=tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(3)),
        dtype=draw(st.sampled_from(["float64", "float32"])),
        sampling="space",
        **parameters,
    )
    if draw(st.booleans()):
        return transform
    rows = draw(st.sets(st.integers(0, transform.n_paths - 1), min_size=1, max_size=4))
    return dataclasses.replace(transform, selection=tuple(sorted(rows)))


@settings(max_examples=25)
@given(
    transform=transforms(),
    shape=st.tuples(*(st.integers(3, 14),) * 3),
    steps=st.tuples(*(st.integers(1, 8),) * 3),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_any_blocks_equal_the_whole(transform, shape, steps, offset):
    # At most 27 blocks, so that a test takes no longer than it must.
    least = [-(-n // (3 * transform.alignment)) for n in shape]
    lengths = tuple(max(a, b) * transform.alignment for a, b in zip(steps, least, strict=True))
    x = np.random.default_rng(sum(shape)).standard_normal((1, *shape)) + offset
    expected = at_once(transform, x)
    found = in_blocks(transform, x, lengths)
    assert found.dtype == transform.dtype
    assert reference3d.worst_path(found, expected) <= TOLERANCE[transform.dtype]


@pytest.mark.parametrize("method", ["integral", "local"])
@pytest.mark.parametrize("kind", ["white", "brown"])
def test_blocks_of_two_scales_equal_the_whole(rng, method, kind):
    transform = HarmonicScattering3D(2, L=3, method=method, sampling="space", dtype="float64")
    x = rng.standard_normal((1, 24, 28, 20))
    if kind == "brown":
        x = x.cumsum(axis=1).cumsum(axis=2).cumsum(axis=3)
    found = in_blocks(transform, x, (12, 16, 20))
    assert reference3d.worst_path(found, at_once(transform, x)) <= 1e-6


@pytest.mark.parametrize("method", ["integral", "local"])
@pytest.mark.parametrize(
    "boundary", ["reflect", "zero", "nearest", ("nearest", "periodic", "zero")], ids=str
)
def test_boundaries_are_those_of_the_plain_definition(rng, method, boundary):
    transform = HarmonicScattering3D(
        0, L=1, method=method, boundary=boundary, integral_powers=(1, 2), dtype="float64"
    )
    x = rng.standard_normal((1, 5, 6, 4)) + 2
    expected = reference3d.scattering3d(transform, x)
    assert reference3d.worst_path(transform(x), expected) < 1e-7


def test_blocks_of_noncontiguous_and_integer_input(rng):
    x = rng.integers(-100, 100, (6, 8, 10)).astype(np.int16)
    for transform in (HarmonicScattering3D(1, L=1), HarmonicScattering3D(1, L=1, method="local")):
        expected = transform(x.astype(float))
        np.testing.assert_array_equal(transform(x), expected)
        turned = np.asfortranarray(x).astype(">i4")
        np.testing.assert_array_equal(transform(turned), expected)


@pytest.mark.parametrize("lengths", [(30, 22, 20), (8, 12, 20), (10, 10, 10)])
def test_a_missing_sample_spoils_what_sees_it_and_no_more(rng, lengths):
    transform = HarmonicScattering3D(
        0, L=1, method="local", stride=1, integral_powers=(1,), boundary="zero", dtype="float64"
    )
    x = rng.standard_normal((1, 30, 22, 20))
    x[0, 4, 7, 10] = np.nan
    found = in_blocks(transform, x, lengths)
    near = [
        np.abs(np.arange(n) - c) <= transform.halo
        for n, c in zip(x.shape[1:], (4, 7, 10), strict=True)
    ]
    touched = near[0][:, None, None] & near[1][:, None] & near[2]
    assert np.all(np.isnan(found) == touched)


def test_a_missing_sample_spoils_all_that_rings(rng):
    x = rng.standard_normal((2, 8, 8, 8))
    x[1, 2, 3, 4] = np.inf
    with pytest.warns(NonFiniteWarning):
        found = HarmonicScattering3D(1, L=1)(x)
    assert np.all(np.isfinite(found[0]))
    assert np.all(np.isnan(found[1]))


def test_a_box_whose_wavelets_ring_is_one_block_or_none():
    transform = HarmonicScattering3D(1, L=1)
    shape = 128, 96, 64
    assert block_lengths(transform, shape, rows=1, itemsize=4, memory=2**30) == shape
    with pytest.raises(MemoryError, match=r"see the whole .* 1 MiB: .* take sampling=\"space\"$"):
        block_lengths(transform, shape, rows=1, itemsize=4, memory=2**20)
    short = dataclasses.replace(transform, sampling="space")
    lengths = block_lengths(short, shape, rows=1, itemsize=4, memory=2**25)
    assert max(lengths) < 128


@pytest.mark.parametrize("power", [3.0, 4.0])
@pytest.mark.parametrize("still", [48, 24])
def test_large_powers_of_what_stands_still_do_not_overflow(power, still):
    x = np.full((1, 48, 16, 16), 0.1, np.float32)
    x[:, still:] += 0.05 * np.random.default_rng(0).standard_normal(x[:, still:].shape)
    transform = HarmonicScattering3D(
        0, L=1, sampling="space", integral_powers=(power,), tolerance=1e-2
    )
    expected = HarmonicScattering3D(
        0, L=1, sampling="space", integral_powers=(power,), dtype="float64"
    )(x)
    order0_and_degree0 = slice(0, 2)  # degree 1 has nothing where all stands still
    for found in (at_once(transform, x), in_blocks(transform, x, (8, 16, 16))):
        found = np.reshape(found, expected.shape)
        np.testing.assert_allclose(
            found[:, order0_and_degree0], expected[:, order0_and_degree0], rtol=1e-2
        )
