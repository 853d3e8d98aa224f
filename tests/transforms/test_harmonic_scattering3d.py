import json
import pickle

import numpy as np
import pytest

from scatdask import HarmonicScattering3D
from scatdask.transforms.base import EVERYWHERE

# Bad parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"J": 1.5}, "^J must be an integer, got 1.5$"),
        ({"J": None}, "^J must be an integer, got None$"),
        ({"L": "3"}, "^L must be an integer, got '3'$"),
        ({"L": True}, "^L must be an integer, got True$"),
        ({"max_order": 2.0}, "^max_order must be an integer, got 2.0$"),
        ({"sigma_0": "wide"}, "^sigma_0 must be a number, got 'wide'$"),
        ({"sigma_0": None}, "^sigma_0 must be a number, got None$"),
        ({"sigma_0": True}, "^sigma_0 must be a number, got True$"),
        ({"rotation_covariant": 1}, "^rotation_covariant must be True or False, got 1$"),
        ({"integral_powers": 2}, "^integral_powers must be a sequence of numbers, got 2$"),
        ({"integral_powers": "12"}, "^integral_powers must be a sequence of numbers, got '12'$"),
        ({"integral_powers": (1, "2")}, r"^integral_powers\[1\] must be a number, got '2'$"),
        ({"method": "local", "stride": 2.0}, "^stride must be an integer, got 2.0$"),
        ({"tolerance": "small"}, "^tolerance must be a number, got 'small'$"),
        ({"selection": 3}, "^selection must be a sequence of integers or None, got 3$"),
    ],
)
def test_wrong_types_are_type_errors(parameters, message):
    with pytest.raises(TypeError, match=message):
        HarmonicScattering3D(**{"J": 2, **parameters})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"J": -1}, "^J must be at least 0, got -1$"),
        ({"J": 41}, "^J must be at most 40, got 41$"),
        ({"L": 0}, "^L must be at least 1, got 0$"),
        ({"L": 21}, "^L must be at most 20, got 21$"),
        ({"sigma_0": 0}, "^sigma_0 must be above 0 and finite, got 0$"),
        ({"sigma_0": -1.0}, "^sigma_0 must be above 0 and finite, got -1.0$"),
        ({"sigma_0": float("nan")}, "^sigma_0 must be above 0 and finite, got nan$"),
        ({"sigma_0": float("inf")}, "^sigma_0 must be above 0 and finite, got inf$"),
        ({"max_order": 0}, "^max_order must be at least 1, got 0$"),
        ({"max_order": 3}, "^max_order must be at most 2, got 3$"),
        ({"integral_powers": ()}, r"^integral_powers must have at least one power, got \(\)$"),
        ({"integral_powers": (1, 0)}, r"^integral_powers\[1\] must be above 0 and finite, got 0$"),
        ({"integral_powers": (-0.5,)}, r"^integral_powers\[0\] must be above 0 and finite, got -0"),
        ({"integral_powers": (1, 2, 1.0)}, "^integral_powers must differ from each other, got"),
        ({"method": "global"}, "^method must be one of 'integral', 'local', got 'global'$"),
        ({"stride": 4}, '^stride=4 has no meaning with method="integral": leave it out, or ask'),
        ({"method": "local", "stride": 0}, "^stride must be at least 1, got 0$"),
        ({"method": "local", "stride": 3}, "^stride must be a power of two, got 3$"),
        ({"method": "local", "stride": 8}, r"^stride=8 exceeds 2\*\*J = 4: .* stride is 4$"),
        ({"boundary": "mirror"}, "^boundary must be one of 'reflect', .*, got 'mirror'$"),
        ({"boundary": ("zero",)}, "^boundary must be a word or a sequence of 3, one for each core"),
        ({"dtype": "float16"}, "^dtype must be one of 'float32', 'float64', got 'float16'$"),
        ({"tolerance": 0}, "^tolerance must lie between 1e-15 and 0.1, got 0$"),
        ({"selection": (1000,)}, r"^selection\[0\] must be at most 74, got 1000$"),
        ({"sampling": "time"}, "^sampling must be one of 'space', 'frequency', got 'time'$"),
        (
            {"sampling": "frequency", "boundary": "reflect"},
            "^sampling=\"frequency\" makes filters as long as the volume, .* is 'reflect': take",
        ),
        (
            {"sampling": "frequency", "boundary": ("periodic", "zero", "periodic")},
            '^sampling="frequency" makes filters as long as the volume',
        ),
    ],
)
def test_parameters_out_of_range_are_value_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        HarmonicScattering3D(**{"J": 2, **parameters})


def test_all_but_j_is_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        HarmonicScattering3D(2, 3)  # type: ignore[misc]


def test_parameters_are_normalised():
    transform = HarmonicScattering3D(
        np.int64(2),
        L=np.uint8(1),
        sigma_0=1,
        integral_powers=[1, np.float32(2)],
        boundary=["periodic"] * 3,
        dtype=np.float64,
    )
    same = HarmonicScattering3D(2, L=1, integral_powers=(1.0, 2.0), dtype="float64")
    assert transform == same
    assert hash(transform) == hash(same)
    assert transform.fingerprint() == same.fingerprint()
    assert pickle.loads(pickle.dumps(transform)) == same
    assert HarmonicScattering3D(**transform.parameters()) == same
    assert transform.boundary == "periodic"
    assert HarmonicScattering3D(2, method="local").stride == 4


@pytest.mark.parametrize(
    ("parameters", "sampling"),
    [
        ({}, "frequency"),
        ({"boundary": "zero"}, "space"),
        ({"boundary": ("periodic", "periodic", "reflect")}, "space"),
        ({"method": "local"}, "space"),
        ({"method": "local", "sampling": "frequency"}, "frequency"),
        ({"sampling": "space"}, "space"),
        ({"sigma_0": 3, "boundary": "zero", "sampling": "frequency"}, "frequency"),
    ],
)
def test_sampling_follows_from_the_other_parameters(parameters, sampling):
    transform = HarmonicScattering3D(2, **parameters)
    assert transform.sampling == sampling
    # Which is what a fingerprint holds, so that another default would be another transform.
    assert transform.parameters()["sampling"] == sampling


# Shape


@pytest.mark.parametrize("boundary", ["reflect", "nearest", "periodic"])
def test_small_volumes_name_the_largest_scale_that_fits(boundary):
    transform = HarmonicScattering3D(3, sigma_0=1.5, boundary=("zero", boundary, "zero"))
    transform.check_shape((1, 12, 1))
    with pytest.raises(ValueError, match=r"= 12 samples but core axis 1 has 11: the largest J"):
        transform.check_shape((20, 11, 20))
    with pytest.raises(ValueError, match=r"fits is 2, or say that nothing lies .*=\"zero\""):
        transform.check_shape((20, 6, 20))
    with pytest.raises(ValueError, match="no J fits"):
        transform.check_shape((20, 1, 20))


def test_any_size_will_do_in_empty_space():
    HarmonicScattering3D(5, boundary="zero").check_shape((1, 7, 31))
    with pytest.raises(ValueError, match="no samples: core axis 2 has length 0"):
        HarmonicScattering3D(5, boundary="zero").check_shape((1, 7, 0))


def test_maps_with_wavelets_that_ring_need_sides_of_whole_strides():
    transform = HarmonicScattering3D(2, method="local", sampling="frequency")
    transform.check_shape((8, 12, 4))
    with pytest.raises(ValueError, match=r"multiples of stride=4, but core axis 1 has 13 samples"):
        transform.check_shape((8, 13, 4))


def test_volumes_have_three_axes(rng):
    with pytest.raises(ValueError, match=r"^x has 2 axes: scattering3d needs at least 3$"):
        HarmonicScattering3D(1)(rng.standard_normal((4, 4)))


def test_complex_volumes_are_type_errors():
    with pytest.raises(TypeError, match="complex128, which has no scattering transform"):
        HarmonicScattering3D(1)(np.zeros((4, 4, 4), complex))


# Paths


def test_paths_are_in_kymatios_order():
    transform = HarmonicScattering3D(2, L=1, integral_powers=(1, 2))
    pairs = [(0, -1), (1, -1), (2, -1), (0, 1), (0, 2), (1, 2)]
    expected = [(0, -1, -1, -1, q) for q in (0, 1)]
    for j1, j2 in pairs:
        order = 1 if j2 < 0 else 2
        expected += [(order, j1, j2, degree, q) for degree in (0, 1) for q in (0, 1)]
    assert list(transform.path_indices) == expected
    first = HarmonicScattering3D(2, L=1, integral_powers=(1, 2), max_order=1)
    assert first.path_indices == transform.path_indices[: len(first.path_indices)]
    assert first.n_paths == 2 + 3 * 2 * 2


def test_path_table_is_labelled():
    transform = HarmonicScattering3D(2, L=2, sigma_0=0.8)
    paths = transform.paths()
    assert set(paths.coords) == {"order", "j1", "sigma1", "j2", "sigma2", "l", "power"}
    assert not paths.data_vars
    assert all(coord.dims == ("path",) for coord in paths.coords.values())
    assert all("long_name" in coord.attrs for coord in paths.coords.values())
    order, l = paths["order"].values, paths["l"].values  # noqa: E741
    assert list(order) == sorted(order)
    for level in (1, 2):
        absent = order < level
        np.testing.assert_array_equal(paths[f"j{level}"].values == -1, absent)
        np.testing.assert_array_equal(np.isnan(paths[f"sigma{level}"]), absent)
        sigma = paths[f"sigma{level}"].values[~absent]
        np.testing.assert_array_equal(sigma, 0.8 * 2.0 ** paths[f"j{level}"].values[~absent])
    np.testing.assert_array_equal(l == -1, order == 0)
    np.testing.assert_array_equal(paths["power"].values[:6], [0.5, 1, 2] * 2)
    second = paths.isel(path=order == 2)
    assert np.all(second["j2"] > second["j1"])


def test_scales_follow_from_equal_spacings():
    transform = HarmonicScattering3D(1, L=1)
    for spacing in (0.5, (0.5, 0.5, 0.5)):
        paths = transform.paths(spacing)
        for level in "12":
            np.testing.assert_array_equal(paths[f"scale{level}"], paths[f"sigma{level}"] * 0.5)
            assert paths[f"scale{level}"].long_name == paths[f"sigma{level}"].long_name
            assert "scale" in paths[f"scale{level}"].long_name
    assert "scale1" not in transform.paths((0.5, 0.5, 0.25)).coords


def test_selection_keeps_rows_and_their_halo():
    transform = HarmonicScattering3D(2, L=2, sampling="space")
    first = transform.select(lambda path: (path.order == 1) & (path.j1 == 0) & (path.l == 0))
    assert first.n_paths == 3
    assert first.halo < transform.halo / 3
    assert first.paths().identical(transform.paths().isel(path=list(first.selection)))
    assert transform.select(lambda path: path.order == 0).halo == 0
    assert first.sum_weights((4, 4, 4)).tolist() == [1, 1, 1]


# Outputs


def test_integrals_are_one_number_a_path_and_maps_stand_at_multiples_of_the_stride(rng):
    x = rng.standard_normal((2, 3, 9, 12, 10)).astype(np.float32)
    integrals = HarmonicScattering3D(1, L=1)
    assert integrals(x).shape == (2, 3, integrals.n_paths)
    maps = HarmonicScattering3D(1, L=1, method="local")
    assert maps(x).shape == (2, 3, maps.n_paths, 5, 6, 5)
    (output,) = maps.outputs
    assert (output.stride, maps.alignment) == (2, 2)
    (output,) = integrals.outputs
    assert (output.stride, integrals.alignment) == (None, 1)
    assert not integrals.is_ragged


# Halo


def test_halo_grows_with_scales_degrees_and_the_low_pass():
    def halo(J=2, L=2, **parameters):
        return HarmonicScattering3D(J, L=L, sampling="space", **parameters).halo

    assert halo(J=1) < halo() < halo(J=3)
    assert halo(L=1) < halo() < halo(L=8)
    assert halo(max_order=1) < halo() < halo(method="local")
    assert halo(tolerance=1e-4) < halo() < halo(tolerance=1e-9)
    assert halo(sigma_0=2) == pytest.approx(2 * halo(), rel=0.05)


def test_wavelets_that_ring_reach_everywhere():
    assert HarmonicScattering3D(2).halo == EVERYWHERE
    assert HarmonicScattering3D(2, sigma_0=3).halo == (
        HarmonicScattering3D(2, sigma_0=3, sampling="space").halo
    )


def test_halo_holds_all_but_the_tolerance_of_an_impulse():
    transform = HarmonicScattering3D(
        0, L=2, method="local", stride=1, integral_powers=(1,), dtype="float64"
    )
    n = 2 * transform.halo + 11
    x = np.zeros((n, n, n))
    x[n // 2, n // 2, n // 2] = 1
    response = transform(x)
    inside = slice(n // 2 - transform.halo, n // 2 + transform.halo + 1)
    total = response.sum(axis=(1, 2, 3))
    kept = response[:, inside, inside, inside].sum(axis=(1, 2, 3))
    assert np.all(total - kept <= transform.tolerance * total)


# Laws


@pytest.mark.parametrize("parameters", [{}, {"sampling": "space"}, {"rotation_covariant": False}])
def test_integrals_do_not_change_when_a_periodic_volume_moves(rng, parameters):
    transform = HarmonicScattering3D(1, L=2, dtype="float64", **parameters)
    x = rng.standard_normal((12, 10, 8))
    moved = np.roll(x, (5, -3, 1), axis=(0, 1, 2))
    np.testing.assert_allclose(transform(moved), transform(x), rtol=1e-10)


# Kymatio's value at the Nyquist frequency, which even sides have, is that of minus this frequency.
@pytest.mark.parametrize(("sampling", "n"), [("space", 8), ("space", 9), ("frequency", 9)])
def test_covariant_coefficients_do_not_change_when_a_volume_turns(rng, sampling, n):
    transform = HarmonicScattering3D(1, L=4, sampling=sampling, dtype="float64")
    x = rng.standard_normal((n, n, n))
    expected = transform(x)
    for axes in ((0, 1), (1, 2), (0, 2)):
        np.testing.assert_allclose(transform(np.rot90(x, axes=axes)), expected, rtol=1e-10)
    for axis in range(3):
        np.testing.assert_allclose(transform(np.flip(x, axis)), expected, rtol=1e-10)


def test_without_covariance_coefficients_change_when_a_volume_turns(rng):
    transform = HarmonicScattering3D(1, L=2, rotation_covariant=False, dtype="float64")
    x = rng.standard_normal((8, 8, 8))
    changed = np.abs(transform(np.rot90(x, axes=(0, 2))) / transform(x) - 1)
    degree = transform.paths()["l"].values
    assert np.all(changed[degree < 1] < 1e-10)
    assert np.all(changed[degree > 0] > 1e-4)


def test_maps_turn_with_the_volume(rng):
    transform = HarmonicScattering3D(1, L=2, method="local", stride=1, dtype="float64")
    x = rng.standard_normal((7, 7, 7))
    turned = np.rot90(transform(x), axes=(1, 3))
    np.testing.assert_allclose(transform(np.rot90(x, axes=(0, 2))), turned, rtol=1e-9)


@pytest.mark.parametrize("sampling", ["space", "frequency"])
def test_maps_move_with_the_volume_by_whole_strides(rng, sampling):
    transform = HarmonicScattering3D(
        1, L=1, method="local", stride=2, sampling=sampling, dtype="float64"
    )
    x = rng.standard_normal((8, 12, 10))
    moved = transform(np.roll(x, (2, -4, 6), axis=(0, 1, 2)))
    expected = np.roll(transform(x), (1, -2, 3), axis=(1, 2, 3))
    np.testing.assert_allclose(moved, expected, rtol=1e-9)


def test_maps_average_to_the_integrals(rng):
    x = rng.standard_normal((8, 8, 8))
    maps = HarmonicScattering3D(1, L=2, method="local", stride=1, dtype="float64")
    integrals = HarmonicScattering3D(1, L=2, sampling="space", dtype="float64")
    np.testing.assert_allclose(maps(x).sum(axis=(1, 2, 3)), integrals(x), rtol=1e-10)


@pytest.mark.parametrize("method", ["integral", "local"])
@pytest.mark.parametrize("boundary", ["periodic", "reflect", "zero", "nearest"])
def test_nothing_comes_of_nothing(method, boundary):
    transform = HarmonicScattering3D(1, L=2, method=method, boundary=boundary)
    assert not transform(np.zeros((2, 5, 6, 4))).any()


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "nearest"])
@pytest.mark.parametrize("method", ["integral", "local"])
@pytest.mark.parametrize("value", [12.25, -1e6])
def test_a_constant_passes_through_degree_zero_only(method, boundary, value):
    transform = HarmonicScattering3D(1, L=2, method=method, boundary=boundary)
    shape = 6, 8, 4
    found = transform(np.full(shape, value))
    if method == "local":
        assert np.ptp(found, axis=(1, 2, 3)).max() <= 1e-5 * found.max()
        found = found[:, 0, 0, 0] * np.prod(shape)
    paths = transform.paths()
    passes = paths["l"].values < 1
    expected = np.prod(shape) * np.abs(value) ** paths["power"].values
    np.testing.assert_allclose(found[passes], expected[passes], rtol=1e-5)
    # Of what is constant but for rounding, powers below one make something.
    linear = ~passes & (paths["power"].values >= 1) & (paths["order"].values == 1)
    assert np.all(found[linear] <= 1e-6 * expected[linear])


def test_integrals_are_homogeneous(rng):
    transform = HarmonicScattering3D(1, L=2, dtype="float64")
    x = rng.standard_normal((6, 8, 10))
    power = transform.paths()["power"].values
    for factor in (-8.0, 1e-120, 1e120):
        expected = np.abs(factor) ** power * transform(x)
        np.testing.assert_allclose(transform(factor * x), expected, rtol=1e-10)


def test_first_order_energy_is_not_expanded(rng):
    # The squared moduli of a degree are one filter's energy, at most one at any frequency.
    transform = HarmonicScattering3D(2, L=3, integral_powers=(2,), dtype="float64")
    x = rng.standard_normal((16, 16, 16))
    order0, *others = transform(x)
    assert order0 == pytest.approx(np.sum(x**2))
    assert all(0 < y < order0 for y in others)


# Parity with Kymatio


def _reference_files(folder):
    return sorted(folder.glob("scattering3d_*.npz"))


@pytest.mark.parametrize("name", ["box", "cube", "fixed_frame", "order1", "powers"])
@pytest.mark.parametrize(
    ("dtype", "overall", "each"), [("float64", 1e-6, 1e-6), ("float32", 1e-5, 1e-5)]
)
def test_parity_with_kymatio(reference_folder, name, dtype, overall, each):
    stored = np.load(reference_folder / f"scattering3d_{name}.npz")
    transform = HarmonicScattering3D(**json.loads(str(stored["params"])), dtype=dtype)
    expected = stored["y"]
    coefficients = transform(stored["x"])
    assert coefficients.dtype == dtype
    order = transform.paths()["order"].values
    found = coefficients[..., order > 0].reshape(expected.shape)
    assert np.linalg.norm(found - expected) <= overall * np.linalg.norm(expected)
    np.testing.assert_allclose(found, expected, rtol=each)
    powers = [
        np.sum(np.abs(stored["x"]) ** q, axis=(-3, -2, -1)) for q in transform.integral_powers
    ]
    np.testing.assert_allclose(coefficients[..., order == 0], np.stack(powers, axis=-1), rtol=1e-6)


def test_samplings_differ_on_white_noise_only(reference_folder):
    stored = np.load(reference_folder / "scattering3d_cube.npz")
    both = [
        HarmonicScattering3D(2, L=2, sampling=sampling, dtype="float64")
        for sampling in ("space", "frequency")
    ]
    space, frequency = (transform(stored["x"]) for transform in both)
    assert 1e-3 < np.abs(space / frequency - 1).max() < 3e-2
    grid = np.mgrid[-8:8, -8:8, -8:8]
    density = np.exp(-np.sum((grid - 0.3) ** 2, axis=0) / (2 * 2.0**2))
    space, frequency = (transform(density) for transform in both)
    np.testing.assert_allclose(space, frequency, rtol=1e-4)


def test_every_reference_is_laid_against(reference_folder):
    names = {file.stem.removeprefix("scattering3d_") for file in _reference_files(reference_folder)}
    marks = test_parity_with_kymatio.pytestmark
    (mark,) = (mark for mark in marks if mark.args[0] == "name")
    assert names == set(mark.args[1])
