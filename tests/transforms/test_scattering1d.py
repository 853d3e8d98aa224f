import json
import math
from itertools import pairwise

import numpy as np
import pytest

from scatdask import Scattering1D
from tests import reference

# Bad parameters


@pytest.mark.parametrize("value", [2.0, "8", None, True, [8]])
@pytest.mark.parametrize("name", ["J", "max_order"])
def test_non_integers_are_type_errors(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got "):
        Scattering1D(**{"J": 8, name: value})


@pytest.mark.parametrize("value", [2.0, True, [256], 1j])
@pytest.mark.parametrize("name", ["T", "stride"])
def test_non_integer_scales_are_type_errors(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got "):
        Scattering1D(**{"J": 8, name: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"J": 0}, "^J must be at least 1, got 0$"),
        ({"J": -3}, "^J must be at least 1, got -3$"),
        ({"J": 41}, "^J must be at most 40, got 41$"),
        ({"Q": 0}, "^Q must be at least 1, got 0$"),
        ({"Q": (8, 0)}, r"^Q\[1\] must be at least 1, got 0$"),
        ({"Q": (8, 1, 1)}, "^Q must be an integer or a pair of integers"),
        ({"T": -1}, "^T must be at least 0, got -1$"),
        ({"T": "always"}, "^T must be an integer, 'global' or None, got 'always'$"),
        ({"stride": 0}, "^stride must be at least 1, got 0$"),
        ({"stride": 48}, "^stride must be a power of two, got 48"),
        ({"stride": 512}, "^stride=512 exceeds T=256: .* the largest stride is 256$"),
        ({"stride": 128, "T": 100}, "^stride=128 exceeds T=100: .* the largest stride is 64$"),
        ({"T": 0, "stride": 8}, "^stride=8 has no meaning with T=0: leave it out, or give T"),
        ({"T": "global", "stride": 8}, "^stride=8 has no meaning with T='global': leave it out"),
        ({"max_order": 0}, "^max_order must be at least 1, got 0$"),
        ({"max_order": 4}, "^max_order must be at most 3, got 4$"),
        ({"boundary": "mirror"}, "^boundary must be one of 'reflect', .*, got 'mirror'$"),
        ({"dtype": "float16"}, "^dtype must be one of 'float32', 'float64', got 'float16'$"),
        ({"dtype": "number"}, "^dtype must be one of 'float32', 'float64', got 'number'$"),
        ({"tolerance": 0}, "^tolerance must lie between 1e-15 and 0.1, got 0$"),
    ],
)
def test_parameters_out_of_range_are_value_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        Scattering1D(**{"J": 8, **parameters})


def test_all_but_j_is_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        Scattering1D(8, 8)  # type: ignore[misc]


def test_parameters_are_normalised():
    transform = Scattering1D(np.int64(6), Q=[8, 2], T=np.uint16(100), dtype=np.float64)
    assert transform == Scattering1D(6, Q=(8, 2), T=100, stride=64, dtype="float64")
    assert Scattering1D(6).T == Scattering1D(6).stride == 64
    assert Scattering1D(6, T=0).stride is None
    assert Scattering1D(6, T="global").stride is None


# Length


@pytest.mark.parametrize("boundary", ["reflect", "nearest"])
def test_too_short_signals_name_the_largest_scale_that_fits(boundary):
    transform = Scattering1D(8, boundary=boundary)
    transform.check_shape((256,))
    with pytest.raises(ValueError, match=r"2\*\*J = 256 samples but the signal has 255: the large"):
        transform.check_shape((255,))
    with pytest.raises(ValueError, match=r"the largest J that fits is 7, or say what lies outside"):
        transform.check_shape((255,))
    with pytest.raises(ValueError, match="the largest J that fits is 1, or"):
        transform.check_shape((2,))
    with pytest.raises(ValueError, match="no J fits, or"):
        transform.check_shape((1,))
    wide = Scattering1D(4, T=100, boundary=boundary)
    wide.check_shape((100,))
    with pytest.raises(
        ValueError, match=r"^T=100 exceeds the signal's 99 .* T that fits is 99, or"
    ):
        wide.check_shape((99,))
    with pytest.raises(ValueError, match=f'boundary="periodic" or "zero" .now {boundary!r}'):
        wide.check_shape((99,))


@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_any_length_will_do_where_the_outside_is_known(boundary):
    transform = Scattering1D(8, T=1000, boundary=boundary)
    for n in (1, 2, 255, 999):
        transform.check_shape((n,))


@pytest.mark.parametrize("boundary", ["reflect", "nearest", "periodic", "zero"])
def test_no_samples_are_an_error_for_every_boundary(boundary):
    with pytest.raises(ValueError, match="no samples"):
        Scattering1D(3, boundary=boundary).check_shape((0,))


# Paths


def _reference_files(folder):
    return sorted(folder.glob("scattering1d_*.npz"))


def _parameters(stored):
    params = json.loads(str(stored["params"]))
    if isinstance(params["Q"], list):
        params["Q"] = tuple(params["Q"])
    return params


def test_path_table_equals_kymatio(reference_folder):
    files = _reference_files(reference_folder)
    assert len(files) >= 9
    for file in files:
        stored = np.load(file)
        transform = Scattering1D(**_parameters(stored))
        paths = transform.paths()
        levels = stored["n"].shape[1]
        assert paths.sizes["path"] == transform.n_paths == len(stored["n"])
        missing = np.isnan(stored["n"].astype(float))
        for key in ("n", "j", "xi", "sigma"):
            if key not in stored.files:
                continue
            ours = np.stack([paths[f"{key}{level + 1}"].values for level in range(levels)], axis=1)
            kymatio = stored[key].astype(float)
            absent = -1 if key in ("n", "j") else np.nan
            np.testing.assert_allclose(ours, np.where(missing, absent, kymatio), err_msg=file.name)
        if "order" in stored.files:
            np.testing.assert_array_equal(paths["order"], stored["order"])


def test_path_table_is_labelled():
    paths = Scattering1D(5, Q=(4, 2)).paths()
    assert set(paths.coords) == {
        "order", "n1", "j1", "xi1", "sigma1", "n2", "j2", "xi2", "sigma2",
    }  # fmt: skip
    assert not paths.data_vars
    assert all(coord.dims == ("path",) for coord in paths.coords.values())
    assert all("long_name" in coord.attrs for coord in paths.coords.values())
    assert paths["xi1"].attrs["units"] == "cycles per sample"
    order = paths["order"].values
    assert list(order) == sorted(order)
    assert np.all(np.isnan(paths["xi1"].values) == (order < 1))
    assert np.all((paths["n2"].values == -1) == (order < 2))
    second = paths.isel(path=order == 2)
    assert np.all(second["j2"] > second["j1"])


def test_frequencies_follow_from_the_spacing():
    paths = Scattering1D(5, Q=2).paths(spacing=0.25)
    for level in "12":
        np.testing.assert_array_equal(paths[f"frequency{level}"], paths[f"xi{level}"] / 0.25)
        np.testing.assert_array_equal(paths[f"bandwidth{level}"], paths[f"sigma{level}"] / 0.25)


def test_second_order_follows_only_coarser_wavelets_and_max_order_stops_it():
    two, one = Scattering1D(6, Q=4), Scattering1D(6, Q=4, max_order=1)
    first, second = two.wavelets
    assert one.wavelets == two.wavelets
    pairs = [
        (n1, n2) for n1, low in enumerate(first) for n2, high in enumerate(second) if high.j > low.j
    ]
    assert [path for path in two.path_indices if len(path) == 2] == pairs
    assert one.path_indices == two.path_indices[: 1 + len(first)]


def test_third_order_follows_only_coarser_wavelets_of_the_second_bank():
    two, three = (Scattering1D(7, Q=(4, 2), max_order=order) for order in (2, 3))
    first, second, third = three.wavelets
    assert (first, second) == two.wavelets
    assert third == second
    assert three.path_indices[: two.n_paths] == two.path_indices
    triples = [
        (n1, n2, n3)
        for n1, n2 in two.path_indices[1 + len(first) :]
        for n3, wavelet in enumerate(third)
        if wavelet.j > second[n2].j
    ]
    assert list(three.path_indices[two.n_paths :]) == triples
    assert len(triples) > 50


def test_third_order_has_columns_of_its_own():
    two, three = (Scattering1D(7, Q=(4, 2), max_order=order).paths(0.5) for order in (2, 3))
    names = ("n3", "j3", "xi3", "sigma3", "frequency3", "bandwidth3")
    assert set(three.coords) - set(two.coords) == set(names)
    assert three.isel(path=slice(two.sizes["path"])).drop_vars(names).identical(two)
    order = three["order"].values
    assert np.all((three["n3"].values == -1) == (order < 3))
    assert np.all(np.isnan(three["xi3"].values) == (order < 3))
    third = three.isel(path=order == 3)
    assert np.all(third["j3"] > third["j2"])
    assert np.all(third["frequency3"] == third["xi3"] / 0.5)


# Outputs


@pytest.mark.parametrize("n", [256, 257, 511, 512, 1009])
def test_outputs_stand_at_multiples_of_the_stride(n):
    assert Scattering1D(8).n_out(n) == math.ceil(n / 256)
    assert Scattering1D(8, stride=16).n_out(n) == math.ceil(n / 16)
    assert Scattering1D(6, T=100).n_out(n) == math.ceil(n / 64)
    assert Scattering1D(8, T="global").n_out(n) == 1


def test_one_output_with_all_paths_where_there_is_an_average():
    for transform in (Scattering1D(6, Q=2), Scattering1D(6, Q=2, T="global")):
        (output,) = transform.outputs
        assert output.paths == tuple(range(transform.n_paths))
        assert output.stride == transform.stride
        assert not transform.is_ragged


def test_without_average_paths_keep_their_own_rate():
    transform = Scattering1D(6, Q=2, T=0)
    assert transform.is_ragged
    assert sorted(p for output in transform.outputs for p in output.paths) == list(
        range(transform.n_paths)
    )
    for output in transform.outputs:
        assert all(transform.rates[path] == output.stride for path in output.paths)
    for indices, rate in zip(transform.path_indices, transform.rates, strict=True):
        expected = transform.wavelets[len(indices) - 1][indices[-1]].j if indices else 0
        assert rate == 2**expected
    assert transform.alignment == max(transform.rates)
    with pytest.raises(ValueError, match="its own rate"):
        transform.n_out(1024)


def test_alignment_is_the_coarsest_grid():
    assert Scattering1D(8).alignment == 256
    assert Scattering1D(8, stride=4).alignment == 4
    assert Scattering1D(6, T=512).alignment == 512
    assert Scattering1D(8, T="global").alignment == max(Scattering1D(8, T="global").rates)


# Halo


def test_halo_grows_with_every_digit_of_the_tolerance():
    halos = [Scattering1D(8, tolerance=10.0**-k).halo for k in range(1, 16)]
    assert all(a < b for a, b in pairwise(halos))


def test_halo_grows_with_the_scales_and_scales_with_them():
    assert Scattering1D(8).halo < Scattering1D(8, T=1024).halo < Scattering1D(8, T=4096).halo
    assert Scattering1D(8, T=0).halo <= Scattering1D(8, T=1).halo < Scattering1D(8).halo
    assert Scattering1D(8, max_order=1).halo < Scattering1D(8).halo
    assert Scattering1D(9).halo == pytest.approx(2 * Scattering1D(8).halo, rel=1e-3)
    assert Scattering1D(8, stride=1).halo == Scattering1D(8).halo
    assert Scattering1D(8, T="global").halo == Scattering1D(8, T=0).halo


def test_halo_holds_all_but_the_tolerance_of_an_impulse():
    # What lies beyond the halo of an impulse response, for each path and by its own peak.
    transform = Scattering1D(4, Q=2, stride=1, dtype="float64", boundary="periodic")
    n = 4096
    x = np.zeros(n)
    x[n // 2] = 1
    response = np.abs(transform(x))
    distance = np.abs(np.arange(n) - n // 2)
    tail = response[:, distance > transform.halo].sum(axis=1)
    assert np.all(tail <= transform.tolerance * response.max(axis=1))


# Littlewood-Paley sums


@pytest.mark.parametrize(("J", "Q"), [(3, 8), (4, 16), (7, 1), (8, (8, 2)), (10, (12, 1))])
def test_littlewood_paley_sums_never_expand_energy_and_leave_no_hole(J, Q):
    transform = Scattering1D(J, Q=Q, max_order=3)
    sums = transform.littlewood_paley(2**13)
    assert sums.dims == ("order", "frequency")
    assert sums.max() <= 1 + 1e-9
    np.testing.assert_allclose(sums.sel(frequency=0), 1)
    for order, bank in enumerate(transform.wavelets, start=1):
        covered = sums.sel(order=order, frequency=slice(0, bank[0].xi))
        assert covered.min() > 0.05
    np.testing.assert_array_equal(sums.sel(order=2), sums.sel(order=3))


@pytest.mark.parametrize("n", [1, 2, 255, 256])
@pytest.mark.parametrize("max_order", [1, 2, 3])
def test_littlewood_paley_sums_are_labelled(n, max_order):
    sums = Scattering1D(4, max_order=max_order).littlewood_paley(n)
    np.testing.assert_array_equal(sums["order"], range(1, max_order + 1))
    np.testing.assert_array_equal(sums["frequency"], np.fft.rfftfreq(n))
    assert sums["frequency"].attrs["units"] == "cycles per sample"
    assert all("long_name" in values.attrs for values in (sums, *sums.coords.values()))


def test_littlewood_paley_sum_is_the_energy_that_filters_keep(rng):
    # By the kernel itself: order zero and the moduli of order one, unaveraged, of one signal.
    n = 512
    parameters = {"Q": 4, "max_order": 1, "boundary": "periodic", "dtype": "float64"}
    x = rng.standard_normal(n)
    energy = np.abs(np.fft.rfft(x)) ** 2 * np.where(np.arange(n // 2 + 1) % (n // 2), 2, 1) / n
    averaged = Scattering1D(4, stride=1, **parameters)
    sums = averaged.littlewood_paley(n).sel(order=1)
    # The average of a modulus keeps its mean, so the mean square stands for the modulus here.
    unaveraged = Scattering1D(4, T=0, **parameters)
    _, *moduli = unaveraged(x)
    found = np.sum(averaged(x)[0] ** 2)
    found += sum(np.sum(y**2) * rate for y, rate in zip(moduli, unaveraged.rates[1:], strict=True))
    assert found == pytest.approx(float(np.sum(energy * sums)), rel=1e-6)


def test_littlewood_paley_sums_without_an_average_and_with_a_global_one():
    by_T = {T: Scattering1D(5, Q=4, T=T).littlewood_paley(1024) for T in (None, 0, "global")}
    assert by_T[0].sel(frequency=0).max() == 0
    np.testing.assert_array_equal(by_T["global"].sel(frequency=0), 1)
    np.testing.assert_array_equal(by_T["global"][:, 1:], by_T[0][:, 1:])
    assert np.all(by_T[None] >= by_T[0])


def test_littlewood_paley_sums_are_of_the_whole_bank_whatever_is_selected():
    transform = Scattering1D(5)
    some = transform.select(lambda path: path.order == 0)
    assert some.littlewood_paley(64).identical(transform.littlewood_paley(64))
    with pytest.raises(ValueError, match=r"^n must be at least 1, got 0$"):
        transform.littlewood_paley(0)


# Parity with Kymatio


def _laid_against(stored, dtype):
    """Return our coefficients and Kymatio's, path by path, as the references' README lays them."""
    x = stored["x"]
    transform = Scattering1D(**_parameters(stored), boundary="periodic", dtype=dtype)
    n = x.shape[-1]
    if transform.is_ragged:
        # Kymatio padded as for any other transform of J = 6 and 4096 samples.
        left, total = n // 2, 2 * n
        expected = [stored[f"y{path}"] for path in range(transform.n_paths)]
    else:
        left, total = int(stored["pad_left"]), int(stored["n_padded"])
        expected = list(np.moveaxis(stored["y"], -2, 0))
    widths = [(0, 0)] * (x.ndim - 1) + [(left, total - n - left)]
    found = reference.as_paths(transform(np.pad(x, widths, mode="reflect")), transform)
    strides = transform.rates if transform.is_ragged else [transform.stride] * transform.n_paths
    kept = [
        y[..., -(-left // stride) :][..., : e.shape[-1]]
        for y, e, stride in zip(found, expected, strides, strict=True)
    ]
    return kept, expected


@pytest.mark.parametrize(
    "name",
    [
        "basic", "long_T", "music", "no_average", "order1", "q2", "short_T", "speech", "stride",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("dtype", "overall", "each_path"), [("float64", 1e-6, 1e-9), ("float32", 1e-5, 1e-4)]
)
def test_parity_with_kymatio(reference_folder, name, dtype, overall, each_path):
    stored = np.load(reference_folder / f"scattering1d_{name}.npz")
    found, expected = _laid_against(stored, dtype)
    assert all(y.dtype == dtype for y in found)
    errors = [float(np.linalg.norm(y - e)) for y, e in zip(found, expected, strict=True)]
    norms = [float(np.linalg.norm(e)) for e in expected]
    assert np.linalg.norm(errors) <= overall * np.linalg.norm(norms)
    assert max(np.divide(errors, norms)) <= each_path


def test_every_reference_is_laid_against(reference_folder):
    names = {file.stem.removeprefix("scattering1d_") for file in _reference_files(reference_folder)}
    (mark,) = (
        mark for mark in test_parity_with_kymatio.pytestmark if mark.args[0] == "name"
    )  # fmt: skip
    assert names == set(mark.args[1])
