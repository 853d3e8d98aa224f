import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering2D
from scatdask.kernels import Keep, transform_rows
from scatdask.kernels.scattering2d import sampled_filters
from tests.reference2d import scattering2d, worst_path2d

# One of each kind: J, L, max_order, stride, sampling, selection.
CASES = [
    {"J": 1},
    {"J": 2},
    {"J": 3, "L": 3},
    {"J": 3, "L": 4, "sampling": "frequency"},
    {"J": 3, "L": 2, "stride": 2},
    {"J": 3, "L": 2, "stride": 1},
    {"J": 2, "L": 5, "max_order": 1},
    {"J": 2, "L": 1, "stride": 2, "sampling": "frequency"},
    {"J": 3, "L": 2, "selection": (0, 2, 5, 8, 9, 16)},
    {"J": 3, "L": 2, "selection": (11,)},
    {"J": 2, "L": 4, "selection": (0,)},
]


def transform_of(case: dict, dtype: str = "float64") -> Scattering2D:
    return Scattering2D(**{"boundary": "periodic", "sampling": "space", "dtype": dtype, **case})


def run(transform, xp, x, keep=None, offset=None) -> np.ndarray:
    """Call the kernel on rows of images."""
    offset = np.zeros(len(x)) if offset is None else offset
    keep = keep or tuple(Keep(0, n) for n in x.shape[1:])
    [found] = transform_rows(transform, xp.asarray(x), xp.asarray(offset), keep)
    return xp.to_numpy(found)


class _Plain:
    asarray = staticmethod(np.asarray)
    to_numpy = staticmethod(np.asarray)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_equals_the_plain_definition(xp, rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((2, 48, 64))
    assert worst_path2d(run(transform, xp, x), scattering2d(transform, x)) < 1e-11


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_in_single_precision(rng, case):
    transform = transform_of(case, "float32")
    x = rng.standard_normal((2, 48, 64))
    found = transform(x.astype(np.float32))
    assert found.dtype == np.float32
    assert worst_path2d(found, scattering2d(transform, x.astype(np.float32))) < 5e-6


@settings(max_examples=25)
@given(
    J=st.integers(1, 3),
    L=st.integers(1, 9),
    coarser=st.integers(0, 3),
    max_order=st.sampled_from([1, 2]),
    sampling=st.sampled_from(["space", "frequency"]),
    rows=st.integers(1, 3),
    periods=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_kernel_equals_the_plain_definition_for_many_parameters(
    J, L, coarser, max_order, sampling, rows, periods
):
    transform = Scattering2D(
        J,
        L=L,
        max_order=max_order,
        stride=2 ** max(J - coarser, 0),
        boundary="periodic",
        dtype="float64",
        sampling=sampling,
    )
    shape = (rows, *(period * 2**J for period in periods))
    x = np.random.default_rng(rows).standard_normal(shape)
    # Deep in the stop band of a low-pass wider than the image there is rounding only.
    found, expected = transform(x), scattering2d(transform, x)
    assert worst_path2d(found, expected, floor=1e-6) < 1e-9


@pytest.mark.parametrize("boundary", ["reflect", "periodic", "zero", "nearest"])
@pytest.mark.parametrize("shape", [(8, 8), (31, 37), (64, 9), (23, 24)])
def test_images_of_any_size_and_boundary(rng, boundary, shape):
    other = "nearest" if boundary == "reflect" else "reflect"
    for J, boundaries in ((3, boundary), (2, (boundary, other)), (2, (other, boundary))):
        transform = Scattering2D(
            J, L=2, boundary=boundaries, sampling="space", dtype="float64", tolerance=1e-9
        )
        x = rng.standard_normal(shape)
        assert worst_path2d(transform(x), scattering2d(transform, x), floor=1e-3) < 1e-8


def test_input_is_not_written_to(rng):
    x = rng.standard_normal((2, 32, 40))
    before = x.copy()
    run(transform_of({"J": 2}), _Plain, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("case", CASES[:8], ids=str)
def test_keep_cuts_the_outputs_of_the_whole(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((2, 64, 80))
    whole, stride = run(transform, _Plain, x), transform.stride
    for keep in (
        (Keep(0, 64), Keep(0, 80)),
        (Keep(stride, 64 - stride), Keep(2 * stride, 2 * stride + 1)),
        (Keep(3 * stride, 64), Keep(0, 80 - 3)),
    ):
        part = run(transform, _Plain, x, keep)
        (top, bottom), (left, right) = (one.outputs(stride) for one in keep)
        np.testing.assert_allclose(part, whole[:, :, top:bottom, left:right], rtol=0, atol=1e-14)


def test_offset_goes_back_into_order_zero_only(xp, rng):
    x, offset = rng.standard_normal((2, 32, 32)), np.array([100.0, -7.0])
    transform = transform_of({"J": 2, "L": 3})
    difference = run(transform, xp, x, offset=offset) - run(transform, xp, x)
    np.testing.assert_allclose(difference[:, 0], np.broadcast_to(offset[:, None, None], (2, 8, 8)))
    assert not difference[:, 1:].any()


@pytest.mark.parametrize("selection", [(0, 4, 7), (3,), (5, 6, 11, 12, 20), (30, 40, 60)])
def test_selected_paths_are_those_of_the_whole(xp, rng, selection):
    whole = transform_of({"J": 3, "L": 4})
    x = rng.standard_normal((2, 32, 48))
    found = run(dataclasses.replace(whole, selection=selection), xp, x)
    np.testing.assert_allclose(found, run(whole, xp, x)[:, list(selection)], rtol=0, atol=1e-13)


@pytest.mark.parametrize("boundary", ["reflect", ("reflect", "periodic")])
def test_paths_that_are_selected_keep_their_numbers_at_edges(rng, boundary):
    whole = Scattering2D(3, L=4, boundary=boundary, dtype="float64")
    few = whole.select(lambda path: (path.order == 1) | (path.j1 == 0))
    x = rng.standard_normal((50, 70))
    rows = list(few.selection)
    assert worst_path2d(few(x), whole(x)[rows]) <= whole.tolerance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_filters_are_made_in_parts_with_the_same_numbers(monkeypatch, rng, dtype):
    x = rng.standard_normal((2, 64, 96))
    cases = [{"J": 3, "L": 8}, {"J": 2, "L": 3, "stride": 1}, {"J": 3, "sampling": "frequency"}]
    for case in cases:
        transform = transform_of(case, dtype)
        whole = run(transform, _Plain, x)
        sampled_filters.__globals__["_sampled_filters"].cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr("scatdask.kernels.folding2d.LARGEST_WHOLE", 64)
            patch.setattr("scatdask.kernels.folding2d.BAND_BYTES", 4096)
            parts = run(transform, _Plain, x)
        sampled_filters.__globals__["_sampled_filters"].cache_clear()
        assert worst_path2d(parts, whole) < (5e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("budget", [1, 2**17, 2**30])
def test_numbers_do_not_depend_on_how_much_is_done_at_once(monkeypatch, rng, budget):
    transform = transform_of({"J": 3, "L": 4})
    x = rng.standard_normal((3, 32, 40))
    expected = run(transform, _Plain, x)
    monkeypatch.setitem(sampled_filters.__globals__, "batch_bytes", lambda x: budget)
    np.testing.assert_allclose(run(transform, _Plain, x), expected, rtol=0, atol=1e-13)


def test_sampled_filters_are_kept(rng):
    transform = transform_of({"J": 2})
    x = rng.standard_normal((1, 32, 32))
    filters = sampled_filters(transform, (32, 32), x)
    assert sampled_filters(transform, (32, 32), x[:0]) is filters
    assert sampled_filters(transform, (32, 64), x) is not filters
    assert set(filters) == set(transform.filters)


# Laws


@pytest.mark.parametrize("case", [{"J": 2}, {"J": 3, "L": 4}, {"J": 3, "L": 6, "stride": 2}])
@pytest.mark.parametrize("noise", ["white", "brown"])
def test_energy_is_not_expanded(rng, case, noise):
    transform = transform_of(case)
    x = rng.standard_normal((96, 96))
    x = x if noise == "white" else np.cumsum(np.cumsum(x, axis=0), axis=1)
    kept = float(np.sum(transform(x) ** 2)) * transform.stride**2
    assert 0.05 * np.sum(x**2) < kept <= np.sum(x**2) * (1 + 1e-6)


@pytest.mark.parametrize("case", CASES[:9], ids=str)
def test_shift_by_the_stride_shifts_the_outputs(rng, case):
    transform = transform_of(case)
    x, step = rng.standard_normal((64, 80)), transform.alignment
    before = transform(x)
    after = transform(np.roll(x, (3 * step, -step), axis=(0, 1)))
    assert worst_path2d(after, np.roll(before, (3, -1), axis=(1, 2))) < 1e-11


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "nearest"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_gives_itself_in_order_zero_and_nothing_else(dtype, boundary):
    for J, L in ((2, 8), (3, 3)):
        transform = Scattering2D(J, L=L, dtype=dtype, boundary=boundary)
        order0, *others = transform(np.full((48, 56), 12.25))
        np.testing.assert_allclose(order0, 12.25, rtol=1e-6 if dtype == "float32" else 1e-13)
        assert all(not y.any() for y in others)


@pytest.mark.parametrize("L", [2, 4, 6, 8])
def test_rotation_by_a_right_angle_permutes_the_paths(rng, L):
    transform = transform_of({"J": 3, "L": L})
    n = 64
    x = rng.standard_normal((n, n))
    turned = np.roll(np.rot90(x), 1, axis=0)  # about the first sample
    found, expected = transform(turned), transform(x)
    expected = np.roll(np.rot90(expected, axes=(1, 2)), 1, axis=1)
    places = {indices: path for path, indices in enumerate(transform.path_indices)}

    def turn(n):
        return n - n % L + (n + L // 2) % L

    moved = [places[tuple(turn(n) for n in indices)] for indices in transform.path_indices]
    np.testing.assert_allclose(found[moved], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("L", [3, 4, 8])
def test_mirror_images_permute_the_paths(rng, L):
    transform = transform_of({"J": 2, "L": L})
    x = rng.standard_normal((32, 48))
    found = transform(np.roll(x[:, ::-1], 1, axis=1))
    expected = np.roll(transform(x)[:, :, ::-1], 1, axis=2)
    theta = {
        n: round(np.degrees(wavelet.theta) * 1e6) % 180_000_000
        for n, wavelet in enumerate(transform.wavelets)
    }
    places = {indices: path for path, indices in enumerate(transform.path_indices)}

    def mirror(n):
        wanted = -theta[n] % 180_000_000
        same = [m for m in theta if m // L == n // L and abs(theta[m] - wanted) <= 2]
        return same[0] if same else None

    if any(mirror(n) is None for n in theta):
        pytest.skip("this bank is not its own mirror image")
    moved = [places[tuple(mirror(n) for n in indices)] for indices in transform.path_indices]
    np.testing.assert_allclose(found[moved], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", CASES[:8], ids=str)
def test_orders_one_and_two_are_not_negative(rng, case):
    found = transform_of(case, "float32")(rng.standard_normal((64, 64)).cumsum(axis=1))
    others = found[1:]
    if transform_of(case).sampling == "space":  # cropped low-passes have negative lobes
        assert np.all(others >= 0)
    assert np.all(others.max(axis=(1, 2)) > 0)


@pytest.mark.parametrize("case", CASES[:6], ids=str)
def test_scattering_is_homogeneous(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((32, 48))
    expected = transform(x)
    for factor in (-8.0, 1e-200, 1e200):  # powers of ten too: no hidden epsilon
        scaled = transform(factor * x)
        signs = np.where(np.arange(len(expected)) == 0, factor, abs(factor))[:, None, None]
        assert worst_path2d(scaled, signs * expected, floor=0) < 1e-10


def test_half_the_stride_gives_every_other_output(rng):
    # No path is subsampled by more than half of 2**J.
    coarse = transform_of({"J": 3})
    fine = dataclasses.replace(coarse, stride=4)
    x = rng.standard_normal((64, 48))
    np.testing.assert_allclose(fine(x)[:, ::2, ::2], coarse(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("L", [3, 4, 8])
def test_a_smaller_stride_is_more_precise(rng, L):
    x = rng.standard_normal((64, 64))
    exact = transform_of({"J": 3, "L": L, "stride": 1})(x)
    errors = []
    for stride in (8, 2):
        found = transform_of({"J": 3, "L": L, "stride": stride})(x)
        expected = exact[:, ::stride, ::stride]
        np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-12)
        errors.append(np.linalg.norm((found - expected)[1:]) / np.linalg.norm(expected[1:]))
    assert errors[1] < errors[0] < 0.02


def test_batch_axes_come_first(rng):
    transform = Scattering2D(2, L=2)
    x = rng.standard_normal((2, 1, 3, 20, 25))
    found = transform(x)
    assert found.shape == (2, 1, 3, transform.n_paths, 5, 7)
    np.testing.assert_allclose(found[1, 0, 2], transform(x[1, 0, 2]), rtol=0, atol=1e-5)
    assert transform(x[:, :0]).shape == (2, 0, 3, transform.n_paths, 5, 7)
    assert transform(x[0, 0, 0]).shape == (transform.n_paths, 5, 7)


def test_scale_equal_to_the_size(rng):
    transform = Scattering2D(4, L=2, dtype="float64")
    x = rng.standard_normal((16, 16))
    found = transform(x)
    assert found.shape == (transform.n_paths, 1, 1)
    assert worst_path2d(found, scattering2d(transform, x)) < 1e-6
