import gc
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import HarmonicScattering3D
from scatdask.kernels import Keep, transform_rows
from scatdask.kernels.harmonic_filters import sampled_scale
from scatdask.kernels.integrals import gaussian_matrix
from tests import reference3d

# One of each kind: even and odd sides, both samplings, wide and narrow wavelets, few bins.
CASES = {
    "default": ({"J": 1, "L": 2}, (8, 10, 6)),
    "odd sides": ({"J": 1, "L": 3}, (7, 8, 9)),
    "space": ({"J": 1, "L": 3, "sampling": "space"}, (8, 6, 9)),
    "narrow": ({"J": 2, "L": 2, "sigma_0": 0.6}, (8, 6, 8)),
    "wide": ({"J": 1, "L": 1, "sigma_0": 2.2}, (24, 17, 22)),
    "one m": ({"J": 1, "L": 3, "rotation_covariant": False, "sigma_0": 0.8}, (6, 8, 8)),
    "one m, space": ({"J": 1, "L": 4, "rotation_covariant": False, "sampling": "space"}, (8, 9, 6)),
    "first order": ({"J": 2, "L": 1, "max_order": 1}, (8, 8, 8)),
    "a cube": ({"J": 1, "L": 1}, (8, 8, 8)),
    "degree 5": ({"J": 0, "L": 5}, (6, 8, 10)),
    "powers": ({"J": 1, "L": 1, "integral_powers": (2, 1.5, 3, 0.25)}, (8, 8, 8)),
    "maps": ({"J": 1, "L": 2, "method": "local"}, (8, 10, 6)),
    "dense maps": ({"J": 1, "L": 1, "method": "local", "stride": 1}, (6, 7, 5)),
    "maps at half the scale": ({"J": 2, "L": 1, "method": "local", "stride": 2}, (10, 6, 12)),
    "maps, frequency": ({"J": 1, "L": 1, "method": "local", "sampling": "frequency"}, (8, 8, 8)),
    "tiny": ({"J": 0, "L": 2}, (1, 2, 4)),
}


def transform_of(name: str, dtype: str = "float64") -> HarmonicScattering3D:
    return HarmonicScattering3D(**CASES[name][0], dtype=dtype)


def whole(shape: tuple[int, ...]) -> tuple[Keep, ...]:
    return tuple(Keep(0, n) for n in shape)


def run(transform, xp, x, keep=None, offset=None) -> np.ndarray:
    """Call the kernel on volumes, shape (rows, z, y, x)."""
    offset = np.zeros(len(x)) if offset is None else offset
    (y,) = transform_rows(transform, xp.asarray(x), xp.asarray(offset), keep or whole(x.shape[1:]))
    return xp.to_numpy(y)


class _Plain:
    asarray = staticmethod(np.asarray)
    to_numpy = staticmethod(np.asarray)


def as_called(transform: HarmonicScattering3D, y: np.ndarray) -> np.ndarray:
    """Return outputs of the kernel as a call of the transform has them."""
    return y.reshape(y.shape[:2]) if transform.stride is None else y


@pytest.mark.parametrize("name", CASES)
def test_kernel_equals_the_plain_definition(xp, rng, name):
    transform, shape = transform_of(name), CASES[name][1]
    x = rng.standard_normal((2, *shape))
    expected = reference3d.scattering3d(transform, x)
    found = as_called(transform, run(transform, xp, x))
    assert reference3d.worst_path(found, expected) < 1e-10


@pytest.mark.parametrize("name", [name for name in CASES if name != "tiny"])
def test_kernel_in_single_precision(rng, name):
    transform, shape = transform_of(name, "float32"), CASES[name][1]
    x = rng.standard_normal((3, *shape))
    expected = reference3d.scattering3d(transform, x)
    found = transform(x.astype(np.float32))
    assert found.dtype == np.float32
    assert reference3d.worst_path(found, expected) < 1e-5


@settings(max_examples=10)
@given(
    J=st.integers(0, 1),
    L=st.integers(1, 3),
    sigma_0=st.sampled_from([0.7, 1.0, 1.4]),
    max_order=st.sampled_from([1, 2]),
    rotation_covariant=st.booleans(),
    sampling=st.sampled_from(["space", "frequency"]),
    stride=st.sampled_from([None, 1, 2]),
    shape=st.tuples(*(st.sampled_from([5, 6, 8]),) * 3),
)
def test_kernel_equals_the_plain_definition_for_many_parameters(J, stride, shape, **parameters):
    if stride is not None:
        parameters |= {"method": "local", "stride": min(stride, 2**J)}
        shape = tuple(n + n % 2 for n in shape)
    transform = HarmonicScattering3D(J, integral_powers=(1,), dtype="float64", **parameters)
    x = np.random.default_rng(J).standard_normal((1, *shape))
    expected = reference3d.scattering3d(transform, x)
    # Deep in the stop band of a wavelet wider than the volume there is rounding only.
    assert reference3d.worst_path(transform(x), expected, floor=1e-5) < 1e-9


@pytest.mark.parametrize("name", ["default", "maps", "one m"])
def test_input_is_not_written_to(rng, name):
    x = rng.standard_normal((2, *CASES[name][1]))
    before = x.copy()
    run(transform_of(name), _Plain, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("sampling", ["space", "frequency"])
def test_keep_cuts_the_outputs_of_the_whole(rng, sampling):
    transform = HarmonicScattering3D(
        1, L=2, method="local", stride=2, sampling=sampling, dtype="float64"
    )
    x = rng.standard_normal((1, 12, 16, 14))
    everything = run(transform, _Plain, x)
    keep = Keep(2, 7), Keep(0, 16), Keep(6, 9)
    part = run(transform, _Plain, x, keep)
    np.testing.assert_allclose(part, everything[:, :, 1:4, :, 3:5], rtol=1e-12, atol=1e-14)


def test_sums_over_parts_add_up(rng):
    transform = transform_of("default")
    x = rng.standard_normal((2, 8, 10, 6))
    everything = run(transform, _Plain, x)
    assert everything.shape == (2, transform.n_paths, 1, 1, 1)
    parts = [
        run(transform, _Plain, x, (z, y, Keep(0, 6)))
        for z in (Keep(0, 3), Keep(3, 8))
        for y in (Keep(0, 9), Keep(9, 10))
    ]
    np.testing.assert_allclose(sum(parts), everything, rtol=1e-12)


def test_offset_goes_back_into_order_and_degree_zero(xp, rng):
    transform = transform_of("space")
    x = rng.standard_normal((2, 8, 6, 9))
    offset = np.array([30.0, -7.0])
    found = run(transform, xp, x, offset=offset)[..., 0, 0, 0]
    expected = reference3d.scattering3d(transform, x + offset[:, None, None, None])
    assert reference3d.worst_path(found, expected) < 1e-10
    without = run(transform, xp, x)[..., 0, 0, 0]
    _, _, _, degree, _ = np.array(transform.path_indices).T
    np.testing.assert_array_equal(found[:, degree > 0], without[:, degree > 0])
    assert np.all(np.abs(found - without)[:, degree < 1] > 1e-3 * without[:, degree < 1])


@pytest.mark.parametrize("sampling", ["space", "frequency"])
def test_large_constants_cost_no_precision(rng, sampling):
    shape, parameters = (10, 8, 9), {"J": 1, "L": 3, "sampling": sampling}
    x = rng.standard_normal((1, *shape)) + 1e6
    expected = reference3d.scattering3d(HarmonicScattering3D(**parameters, dtype="float64"), x)
    found = HarmonicScattering3D(**parameters)(x)
    assert reference3d.worst_path(found, expected) < 1e-5


def test_high_degrees_keep_their_precision(rng):
    x = rng.standard_normal((10, 9, 8))
    parameters = {"J": 0, "L": 20, "integral_powers": (1,)}
    expected = HarmonicScattering3D(**parameters, dtype="float64")(x)
    np.testing.assert_allclose(HarmonicScattering3D(**parameters)(x), expected, rtol=3e-6)


@pytest.mark.parametrize("factor", [1e-30, 1e-22, 1e15, 1e25])
def test_squares_of_very_small_and_large_samples_stay_in_range(rng, factor):
    transform = HarmonicScattering3D(1, L=1, integral_powers=(0.5, 1))
    x = rng.standard_normal((2, 8, 8, 8)) * [[[[1.0]]], [[[1e-8]]]]
    size = factor ** np.array([0.5, 1.0] * (transform.n_paths // 2))
    assert reference3d.worst_path(transform(factor * x) / size, transform(x)) < 1e-5


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_batches_of_planes_change_nothing(rng, monkeypatch, name, planes):
    transform, shape = transform_of(name), CASES[name][1]
    x = rng.standard_normal((2, *shape))
    expected = transform(x)
    kernel = sys.modules["scatdask.kernels.harmonic_scattering3d"]
    plane = transform.plane_bytes(2, 0, shape)
    monkeypatch.setattr(kernel, "batch_bytes", lambda like: planes * plane)
    np.testing.assert_allclose(transform(x), expected, rtol=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 40])
@pytest.mark.parametrize("name", ["default", "maps"])
def test_rows_do_not_depend_on_each_other(rng, name, rows):
    transform, shape = transform_of(name), CASES[name][1]
    x = rng.standard_normal((rows, *shape))
    found = transform(x)
    assert found.shape[:2] == (rows, transform.n_paths)
    for place in range(0, rows, 13):
        np.testing.assert_allclose(found[place], transform(x[place]), rtol=1e-12)


@pytest.mark.parametrize("name", ["default", "space", "one m", "maps"])
def test_selected_paths_are_those_of_the_full_transform(xp, rng, name):
    everything, shape = transform_of(name), CASES[name][1]
    x = rng.standard_normal((1, *shape))
    expected = run(everything, _Plain, x)
    n = everything.n_paths
    for rows in ((0,), (n - 1,), (4, 7, n - 2), tuple(range(3, n, 4)), (1, 2)):
        some = HarmonicScattering3D(**CASES[name][0], dtype="float64", selection=rows)
        np.testing.assert_allclose(run(some, xp, x), expected[:, list(rows)], rtol=1e-9, atol=1e-14)


def test_what_is_not_selected_is_not_computed(rng, monkeypatch):
    kernel = sys.modules["scatdask.kernels.harmonic_scattering3d"]
    computed = []

    def record(scale, degree, *arguments):
        computed.append(degree)
        return kernel_moduli(scale, degree, *arguments)

    kernel_moduli = kernel.squared_moduli
    monkeypatch.setattr(kernel, "squared_moduli", record)
    transform = HarmonicScattering3D(2, L=2).select(lambda path: (path.order == 2) & (path.l == 1))
    transform(rng.standard_normal((8, 8, 8)))
    assert set(computed) == {1}
    computed.clear()
    transform.select(lambda path: path.j1 == 1)(rng.standard_normal((8, 8, 8)))
    assert computed == [1, 1]  # the parent, and its one child


def test_sampled_filters_are_kept_and_hold_no_volume(rng):
    transform = HarmonicScattering3D(1, L=1)
    x = rng.standard_normal((1, 8, 8, 8))
    scale = sampled_scale(transform, 0, (0, 1), (8, 8, 8), x)
    assert sampled_scale(transform, 0, (0, 1), (8, 8, 8), x[:, :4]) is scale
    assert sampled_scale(transform, 0, (0, 1), (8, 8, 9), x) is not scale
    assert sampled_scale(transform, 1, (0, 1), (8, 8, 8), x) is not scale
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_filters_for_one_library_are_not_given_to_another(rng):
    strict = pytest.importorskip("array_api_strict")
    transform = HarmonicScattering3D(1, L=1)
    x = rng.standard_normal((1, 8, 8, 8))
    ours = sampled_scale(transform, 0, (1,), (8, 8, 8), x)
    assert sampled_scale(transform, 0, (1,), (8, 8, 8), strict.asarray(x)) is not ours


@pytest.mark.parametrize(("n", "first", "last"), [(64, 4, 6), (64, 0, 16), (5, 0, 2), (9, 1, 2)])
def test_averages_have_weights_that_add_up_to_one(n, first, last):
    span, weights = gaussian_matrix(2.0, 4, n, first, last, "float64")
    assert weights.shape == (last - first, span.stop - span.start)
    assert 0 <= span.start < span.stop <= n
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    centre = np.argmax(weights, axis=1) + span.start
    np.testing.assert_array_equal(centre, np.arange(first, last) * 4)
