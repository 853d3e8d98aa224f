import dataclasses
import json
import pickle
from itertools import pairwise

import numpy as np
import pytest

from scatdask import Scattering2D
from tests.reference2d import worst_path2d

# Bad parameters


@pytest.mark.parametrize("value", [2.0, "8", True, [8]])
@pytest.mark.parametrize("name", ["J", "L", "max_order", "stride"])
def test_non_integers_are_type_errors(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got "):
        Scattering2D(**{"J": 3, name: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"J": 0}, "^J must be at least 1, got 0$"),
        ({"J": 21}, "^J must be at most 20, got 21$"),
        ({"L": 0}, "^L must be at least 1, got 0$"),
        ({"L": -8}, "^L must be at least 1, got -8$"),
        ({"max_order": 0}, "^max_order must be at least 1, got 0$"),
        ({"max_order": 3}, "^max_order must be at most 2, got 3$"),
        ({"stride": 0}, "^stride must be at least 1, got 0$"),
        ({"stride": 6}, "^stride must be a power of two, got 6"),
        ({"stride": 16}, r"^stride=16 exceeds 2\*\*J = 8: .* the largest stride is 8$"),
        ({"boundary": "mirror"}, "^boundary must be one of 'reflect', .*, got 'mirror'$"),
        ({"boundary": ("reflect",)}, "^boundary must be a word or a sequence of 2, one for each"),
        ({"boundary": ("zero", "wrap")}, r"^boundary\[1\] must be one of 'reflect', .*'wrap'$"),
        ({"dtype": "float16"}, "^dtype must be one of 'float32', 'float64', got 'float16'$"),
        ({"tolerance": 0}, "^tolerance must lie between 1e-15 and 0.1, got 0$"),
        ({"selection": ()}, "^selection must keep at least one of the 217 paths"),
        ({"selection": (3, 2)}, "^selection must be increasing, got 2 after 3$"),
        ({"selection": (217,)}, r"^selection\[0\] must be at most 216, got 217$"),
        ({"sampling": "time"}, "^sampling must be one of 'space', 'frequency', got 'time'$"),
        ({"sampling": "frequency"}, '^sampling="frequency" .* periodic, but boundary is \'refl'),
    ],
)
def test_parameters_out_of_range_are_value_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        Scattering2D(**{"J": 3, **parameters})


def test_all_but_j_is_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        Scattering2D(3, 8)  # type: ignore[misc]


def test_parameters_are_normalised():
    transform = Scattering2D(np.int64(3), L=np.uint8(8), boundary=["zero", "zero"], dtype="f4")
    assert transform == Scattering2D(3, boundary="zero", stride=8, selection=range(217))
    assert transform.sampling == "space"
    assert transform.boundaries == ("zero", "zero")
    assert Scattering2D(3, boundary=("reflect", "periodic")).boundary == ("reflect", "periodic")
    assert Scattering2D(3, boundary=("reflect", "periodic")).sampling == "space"
    assert Scattering2D(3, boundary=("periodic", "periodic")).sampling == "frequency"
    assert Scattering2D(3, boundary="periodic", sampling="space").sampling == "space"


@pytest.mark.parametrize(
    "parameters",
    [{}, {"L": 3}, {"boundary": ("reflect", "periodic")}, {"selection": (0, 5)}, {"stride": 2}],
)
def test_parameters_make_the_same_transform_again(parameters):
    transform = Scattering2D(3, **parameters)
    stored = json.loads(json.dumps(transform.parameters()))
    assert Scattering2D(**stored) == transform
    assert Scattering2D(**stored).fingerprint() == transform.fingerprint()
    assert transform.fingerprint() != Scattering2D(3, tolerance=1e-5).fingerprint()
    assert transform.halo
    copy = pickle.loads(pickle.dumps(transform))
    assert copy == transform
    assert "halo" not in copy.__dict__


# Shape


@pytest.mark.parametrize("boundary", ["reflect", "nearest", ("zero", "reflect")])
def test_small_images_name_the_axis_and_the_largest_scale_that_fits(boundary):
    transform = Scattering2D(5, boundary=boundary)
    transform.check_shape((32, 33))
    message = r"^J=5 spans 2\*\*J = 32 samples but core axis 1 has 31: the largest J that fits is 4"
    with pytest.raises(ValueError, match=message):
        transform.check_shape((40, 31))
    with pytest.raises(ValueError, match="axis 1 has 1: no J fits, or say what lies outside"):
        transform.check_shape((40, 1))


def test_any_size_will_do_where_the_outside_is_known():
    transform = Scattering2D(5, boundary=("periodic", "zero"))
    for shape in ((1, 1), (3, 500), (31, 2)):
        transform.check_shape(shape)
    Scattering2D(5, boundary="periodic", sampling="space").check_shape((31, 2))
    Scattering2D(5, boundary="periodic", stride=1).check_shape((31, 2))


def test_images_of_cropped_filters_must_fit_the_stride():
    transform = Scattering2D(3, boundary="periodic")
    transform.check_shape((8, 160))
    with pytest.raises(ValueError, match=r'stride=8, but core axis 0 has 12 .* sampling="space"$'):
        transform.check_shape((12, 16))


@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_no_samples_are_an_error(boundary):
    with pytest.raises(ValueError, match="no samples: core axis 1 has length 0"):
        Scattering2D(3, boundary=boundary).check_shape((64, 0))


def test_one_axis_is_too_few():
    with pytest.raises(ValueError, match="x has 1 axes: scattering2d needs at least 2"):
        Scattering2D(3)(np.zeros(64))


# Paths


def test_path_table_equals_kymatio(reference_folder):
    files = sorted(reference_folder.glob("scattering2d_*.npz"))
    assert len(files) >= 4
    for file in files:
        stored = np.load(file)
        transform = Scattering2D(**json.loads(str(stored["params"])))
        paths = transform.paths()
        assert paths.sizes["path"] == transform.n_paths == len(stored["j"])
        for level in (1, 2):
            j, direction = stored["j"][:, level - 1], stored["theta"][:, level - 1]
            np.testing.assert_array_equal(paths[f"j{level}"], j)
            index = np.where(j < 0, -1, j * transform.L + direction)
            np.testing.assert_array_equal(paths[f"n{level}"], index)
            # Kymatio's angle is from the second last axis to the last.
            steepest = int(transform.L / 2 - 1)
            theta = (90 - (steepest - direction) * 180 / transform.L) % 180
            np.testing.assert_allclose(
                paths[f"theta{level}"], np.where(j < 0, np.nan, theta), atol=1e-9
            )
        np.testing.assert_array_equal(paths["order"], (stored["j"] >= 0).sum(axis=1))


def test_path_table_is_labelled():
    paths = Scattering2D(2, L=4).paths()
    assert set(paths.coords) == {
        "order", "n1", "j1", "theta1", "xi1", "n2", "j2", "theta2", "xi2",
    }  # fmt: skip
    assert not paths.data_vars
    assert all(coord.dims == ("path",) for coord in paths.coords.values())
    assert all(coord.attrs["long_name"] for coord in paths.coords.values())
    assert paths["theta1"].attrs["units"] == "degrees"
    assert paths["xi2"].attrs["units"] == "cycles per sample"
    assert np.isnan(paths["theta1"].values[0])
    assert np.isnan(paths["xi2"].values[:9]).all()
    assert paths["n2"].values[:9].tolist() == [-1] * 9
    thetas = paths["theta1"].values[1:5]
    assert thetas.tolist() == [45, 90, 135, 0]


@pytest.mark.parametrize("angle", [0.0, 22.5, 67.5, 90.0, 135.0])
def test_theta_is_the_direction_of_oscillation_from_the_last_axis(angle):
    y, x = np.mgrid[:64, :64]
    along = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    transform = Scattering2D(2, L=8, max_order=1)
    coefficients = transform(np.cos(2 * np.pi * 3 / 16 * along))[:, 8, 8]
    paths = transform.paths()
    best = int(np.argmax(coefficients[1:])) + 1
    assert paths["theta1"].values[best] == angle
    assert paths["xi1"].values[best] == 3 / 16


def test_wavelengths_are_in_the_unit_of_the_axes():
    transform = Scattering2D(3, L=4)
    even = transform.paths(spacing=0.5)
    np.testing.assert_allclose(even["wavelength1"], 0.5 / even["xi1"])
    np.testing.assert_allclose(even["wavelength2"], 0.5 / even["xi2"])
    uneven = transform.paths(spacing=(2.0, 0.5))
    theta, xi = np.radians(uneven["theta1"]), uneven["xi1"]
    expected = 1 / np.hypot(xi * np.sin(theta) / 2.0, xi * np.cos(theta) / 0.5)
    np.testing.assert_allclose(uneven["wavelength1"], expected)
    assert np.isnan(uneven["wavelength1"].values[0])
    assert "units" not in uneven["wavelength1"].attrs


def test_selection_prunes_the_cascade():
    whole = Scattering2D(3, L=4)
    some = whole.select(lambda path: (path.j2 == 2) & (path.theta1 == path.theta2))
    assert some.n_paths == 8
    assert [branch.wavelets for branch in some.branches] == [(n1,) for n1 in range(8)]
    assert len(some.filters) == 4 + 4 + 4 + 4  # of the first order, and at either rate
    assert some.flops((64, 64)) < 0.7 * whole.flops((64, 64))
    first = whole.select(lambda path: path.order < 2)
    assert first.path_indices == Scattering2D(3, L=4, max_order=1).path_indices
    assert first.halo < whole.halo
    assert whole.select(lambda path: path.order == 0).branches == ()


# Outputs


def test_outputs_stand_at_multiples_of_the_stride():
    transform = Scattering2D(3, L=2)
    (output,) = transform.outputs
    assert output.stride == transform.alignment == 8
    assert output.core_shape((64, 65)) == (8, 9)
    assert transform.n_out(65) == 9
    assert not transform.is_ragged
    assert Scattering2D(3, stride=2).alignment == 2


def test_rates_never_exceed_the_stride():
    assert set(Scattering2D(4, L=2).rates) == {1, 2, 4, 8}
    assert set(Scattering2D(4, L=2, stride=2).rates) == {1, 2}
    assert set(Scattering2D(4, L=2, stride=1).rates) == {1}


# Halo


def test_halo_grows_with_every_digit_of_the_tolerance():
    halos = [Scattering2D(3, tolerance=10.0**-k).halo for k in range(1, 16)]
    assert all(a < b for a, b in pairwise(halos))


def test_halo_grows_with_the_scales_and_with_elongation():
    assert Scattering2D(4).halo == pytest.approx(2 * Scattering2D(3).halo, abs=2)
    assert Scattering2D(3, L=4).halo < Scattering2D(3).halo < Scattering2D(3, L=16).halo
    assert Scattering2D(3, max_order=1).halo < Scattering2D(3).halo
    assert Scattering2D(3, stride=1).halo == Scattering2D(3).halo
    assert Scattering2D(3, boundary="periodic", stride=1).halo == Scattering2D(3).halo


def test_cropped_filters_reach_everywhere():
    assert Scattering2D(3, boundary="periodic").halo > 2**32
    # Nothing that is subsampled is filtered.
    assert Scattering2D(1, boundary="periodic").halo < 100


@pytest.mark.parametrize("L", [2, 4, 8])
def test_halo_holds_all_but_the_tolerance_of_an_impulse(L):
    # What lies beyond the halo of an impulse response, for each path and by its own peak.
    transform = Scattering2D(
        2, L=L, stride=1, boundary="periodic", sampling="space", dtype="float64"
    )
    n = 128
    x = np.zeros((n, n))
    x[n // 2, n // 2] = 1
    response = np.abs(transform(x))
    distance = np.abs(np.arange(n) - n // 2)
    far = np.maximum(distance[:, None], distance) > transform.halo
    assert far.any()
    tail = response[:, far].sum(axis=1)
    assert np.all(tail <= transform.tolerance * response.max(axis=(1, 2)))


# Cost


def test_flops_grow_as_they_should():
    base = Scattering2D(3).flops((3, 256, 256))
    assert base == pytest.approx(3 * Scattering2D(3).flops((256, 256)))
    assert Scattering2D(3, max_order=1).flops((3, 256, 256)) < base
    assert 1.5 < Scattering2D(3, L=16).flops((3, 256, 256)) / base < 4
    assert Scattering2D(3, stride=1).flops((3, 256, 256)) > base
    assert 4 < Scattering2D(3).flops((3, 512, 512)) / base < 5


def test_rows_at_once_fit_the_cache():
    transform = Scattering2D(3)
    assert transform.rows_at_once(1000, (32, 32)) < 1000
    assert transform.rows_at_once(1000, (32, 32)) > 10
    assert transform.rows_at_once(5, (32, 32)) == 5
    assert transform.rows_at_once(5, (4096, 4096)) == 1
    assert transform.rows_at_once(0, (64, 64)) == 1


# Parity with Kymatio


@pytest.mark.parametrize("name", ["large", "mnist", "order1", "rect"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 3e-6)])
def test_parity_with_kymatio(reference_folder, name, dtype, tolerance):
    stored = np.load(reference_folder / f"scattering2d_{name}.npz")
    transform = Scattering2D(**json.loads(str(stored["params"])), boundary="periodic", dtype=dtype)
    x, scale = stored["x"], 2**transform.J
    widths = [(0, 0)] * (x.ndim - 2)
    for n in x.shape[-2:]:
        added = ((n + scale) // scale + 1) * scale - n
        widths.append((added // 2, added - added // 2))
    found = transform(np.pad(x, widths, mode="reflect"))[..., 1:-1, 1:-1]
    assert found.dtype == dtype
    # Kymatio's Gabor filters are divided by 2 * 3.1415 instead of by 2 pi.
    order = (stored["j"] >= 0).sum(axis=1)
    found = found * (np.pi / 3.1415) ** (order + 1)[:, None, None]
    assert worst_path2d(found, stored["y"]) <= tolerance


def test_every_reference_is_laid_against(reference_folder):
    names = {file.stem.split("_")[1] for file in reference_folder.glob("scattering2d_*.npz")}
    [mark] = (m for m in test_parity_with_kymatio.pytestmark if m.args[0] == "name")
    assert names == set(mark.args[1])


@pytest.mark.parametrize("J", [2, 3, 4])
def test_samplings_differ_as_little_as_is_said(rng, J):
    transform = Scattering2D(J, L=4, boundary="periodic", dtype="float64")
    x = rng.standard_normal((64, 96))
    order = transform.paths()["order"].values
    found = transform(x)
    other = dataclasses.replace(transform, sampling="space")(x)
    errors = [
        np.linalg.norm((found - other)[order == k]) / np.linalg.norm(found[order == k])
        for k in range(3)
    ]
    assert errors[0] < 1e-12
    assert 1e-5 < errors[1] < 2e-3
    assert 1e-5 < errors[2] < 4e-3


def test_samplings_are_the_same_where_nothing_is_subsampled(rng):
    transform = Scattering2D(3, L=3, boundary="periodic", stride=1, dtype="float64")
    x = rng.standard_normal((31, 40))
    other = dataclasses.replace(transform, sampling="space")
    np.testing.assert_array_equal(transform(x), other(x))
