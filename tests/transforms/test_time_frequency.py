import json
import pickle

import numpy as np
import pytest

from scatdask import Scattering1D, TimeFrequencyScattering
from tests.reference_jtfs import as_paths

# Bad parameters


@pytest.mark.parametrize("value", [2.0, "8", None, True, [8]])
@pytest.mark.parametrize("name", ["J", "J_fr", "Q_fr"])
def test_non_integers_are_type_errors(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got "):
        TimeFrequencyScattering(**{"J": 8, "J_fr": 3, name: value})


@pytest.mark.parametrize("value", [2.0, True, [8], 1j])
@pytest.mark.parametrize("name", ["T", "F", "stride"])
def test_non_integer_scales_are_type_errors(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer, got "):
        TimeFrequencyScattering(**{"J": 8, "J_fr": 3, name: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"J": 0}, "^J must be at least 1, got 0$"),
        ({"J_fr": 0}, "^J_fr must be at least 1, got 0$"),
        ({"J_fr": 41}, "^J_fr must be at most 40, got 41$"),
        (
            {"J_fr": 6},
            r"^J_fr=6 spans 2\*\*J_fr = 64 wavelets but the bank of J=8, Q=\(8, 1\) has 54: the "
            "largest J_fr that fits is 5, or raise J or Q$",
        ),
        ({"Q": 0}, "^Q must be at least 1, got 0$"),
        ({"Q": (8, 1, 1)}, "^Q must be an integer or a pair of integers"),
        ({"Q_fr": 0}, "^Q_fr must be at least 1, got 0$"),
        ({"T": -1}, "^T must be at least 0, got -1$"),
        ({"T": "always"}, "^T must be an integer, 'global' or None, got 'always'$"),
        ({"F": -1}, "^F must be at least 0, got -1$"),
        ({"F": "all"}, "^F must be an integer, 'global' or None, got 'all'$"),
        (
            {"F": 55},
            r"^F=55 exceeds the 54 wavelets of the bank of J=8, Q=\(8, 1\): the largest F that "
            "fits is 54, or F='global' for their mean$",
        ),
        ({"F": 0, "format": "joint"}, "^format='joint' has one spacing .* but with F=0 each"),
        (
            {"F": 9, "format": "joint"},
            r"^format='joint' has one spacing .* F=9 exceeds 2\*\*J_fr = 8, .* fits is 8, or take",
        ),
        ({"stride": 48}, "^stride must be a power of two, got 48"),
        ({"stride": 512}, "^stride=512 exceeds T=256: .* the largest stride is 256$"),
        ({"T": 0, "stride": 8}, "^stride=8 has no meaning with T=0: leave it out, or give T"),
        ({"format": "list"}, "^format must be one of 'time', 'joint', got 'list'$"),
        ({"boundary": "mirror"}, "^boundary must be one of 'reflect', .*, got 'mirror'$"),
        ({"dtype": "float16"}, "^dtype must be one of 'float32', 'float64', got 'float16'$"),
        ({"tolerance": 0}, "^tolerance must lie between 1e-15 and 0.1, got 0$"),
        ({"selection": ()}, "^selection must keep at least one of the 279 paths"),
        ({"selection": (3, 3)}, "^selection must be increasing, got 3 after 3$"),
        ({"selection": (279,)}, r"^selection\[0\] must be at most 278, got 279$"),
    ],
)
def test_parameters_out_of_range_are_value_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        TimeFrequencyScattering(**{"J": 8, "J_fr": 3, "Q": 8, **parameters})


def test_all_but_j_is_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        TimeFrequencyScattering(8, 3)  # type: ignore[misc]


def test_parameters_are_normalised():
    transform = TimeFrequencyScattering(np.int64(8), J_fr=np.uint8(3), Q=[8, 1], dtype=np.float64)
    assert transform == TimeFrequencyScattering(
        8, J_fr=3, Q=(8, 1), T=256, stride=256, F=8, dtype="float64"
    )
    assert TimeFrequencyScattering(8, J_fr=3, T="global").stride is None
    assert TimeFrequencyScattering(8, J_fr=3, selection=range(279)).selection is None


def test_transforms_are_values():
    transform = TimeFrequencyScattering(6, J_fr=2, F=3, format="joint", selection=(1, 4))
    assert hash(transform) == hash(pickle.loads(pickle.dumps(transform)))
    assert pickle.loads(pickle.dumps(transform)) == transform
    again = TimeFrequencyScattering(**json.loads(json.dumps(transform.parameters())))
    assert again == transform
    assert again.fingerprint() == transform.fingerprint()
    others = [
        TimeFrequencyScattering(6, J_fr=2, F=4, format="joint", selection=(1, 4)),
        TimeFrequencyScattering(6, J_fr=2, F=3, format="time", selection=(1, 4)),
        TimeFrequencyScattering(6, J_fr=2, F=3, format="joint", selection=(1, 5)),
        TimeFrequencyScattering(6, J_fr=2, F=3, format="joint"),
    ]
    assert len({transform.fingerprint(), *(other.fingerprint() for other in others)}) == 5


def test_too_short_signals_name_what_fits():
    transform = TimeFrequencyScattering(8, J_fr=3)
    transform.check_shape((256,))
    with pytest.raises(ValueError, match="the largest J that fits is 7"):
        transform.check_shape((255,))
    with pytest.raises(ValueError, match="no samples"):
        TimeFrequencyScattering(8, J_fr=3, boundary="zero").check_shape((0,))


# Paths


def _reference_files(folder):
    return sorted(folder.glob("jtfs_*.npz"))


def test_path_table_equals_kymatio(reference_folder):
    files = _reference_files(reference_folder)
    assert len(files) >= 3
    for file in files:
        stored = np.load(file)
        transform = TimeFrequencyScattering(**json.loads(str(stored["params"])))
        paths = transform.paths()
        names = ["order", "xi2", "xi_fr", "n_fr", "spin"]
        theirs = [stored["order"], stored["xi"][:, 1], *(stored[k] for k in names[2:])]
        ours = [paths[name].values.astype(float) for name in names]
        if transform.format == "time":
            names.append("xi1")
            ours.append(paths["xi1"].values)
            theirs.append(stored["xi"][:, 0])
            # Kymatio's table goes by first-order wavelet; its array, like ours, does not.
            index = paths["order"], paths["n1"], paths["n2"], paths["n_fr"]
            rows = np.lexsort([column.values for column in reversed(index)])
            ours = [column[rows] for column in ours]
        for name, a, b in zip(names, ours, theirs, strict=True):
            missing = {"n_fr": -1.0, "spin": 0.0}.get(name, np.nan)
            np.testing.assert_allclose(a, np.where(np.isnan(b), missing, b), err_msg=file.name)


@pytest.mark.parametrize("format", ["time", "joint"])
def test_path_table_is_labelled(format):
    transform = TimeFrequencyScattering(6, J_fr=2, Q=8, format=format)
    paths = transform.paths(spacing=0.25)
    levels = "12" if format == "time" else "2"
    of_time = {f"{name}{k}" for name in ("n", "j", "xi", "sigma") for k in levels}
    of_time |= {f"{name}{k}" for name in ("frequency", "bandwidth") for k in levels}
    of_frequency = {"n_fr", "j_fr", "xi_fr", "sigma_fr", "spin", "quefrency"}
    assert set(paths.coords) == {"order", *of_time, *of_frequency}
    assert not paths.data_vars
    assert all(coord.dims == ("path",) for coord in paths.coords.values())
    assert all("long_name" in coord.attrs for coord in paths.coords.values())
    assert paths["quefrency"].attrs["units"] == "cycles per octave"
    np.testing.assert_array_equal(paths["quefrency"], 8 * paths["xi_fr"])
    np.testing.assert_array_equal(paths["frequency2"], paths["xi2"] / 0.25)
    order = paths["order"].values
    assert list(order) == sorted(order)
    assert np.all((paths["n2"].values == -1) == (order < 2))
    assert np.all(np.isnan(paths["xi_fr"].values) == (order < 1))
    np.testing.assert_array_equal(paths["spin"], np.sign(np.nan_to_num(paths["xi_fr"])))
    assert np.all(paths["spin"].values[order < 2] >= 0)
    assert transform.paths((0.25,)).identical(paths)
    assert "frequency2" not in transform.paths()


def test_each_place_along_frequency_is_a_path_unless_joint():
    time, joint = (TimeFrequencyScattering(6, J_fr=2, Q=8, format=f) for f in ("time", "joint"))
    first, second = Scattering1D(6, Q=8).wavelets
    assert joint.all_path_indices[:4] == ((0,), (1,), (2,), (3,))
    assert time.all_path_indices[:3] == ((), (0, 0), (0, 4))
    expected = [()]
    for path in joint.all_path_indices:
        fine = [psi.j for psi in first]
        n_rows = len(first) if len(path) == 1 else sum(j < second[path[0]].j for j in fine)
        expected += [(*path, place) for place in range(0, n_rows, 4)]
    assert time.all_path_indices == tuple(expected)


def test_joint_paths_have_an_axis_of_frequency():
    transform = TimeFrequencyScattering(8, J_fr=3, Q=8, format="joint")
    assert transform.inner == (("frequency", 17),)
    (output,) = transform.outputs
    assert output.shape == (59, 17)
    coords = transform.inner_coords(spacing=0.5)
    assert set(coords) == {"n1", "j1", "xi1", "sigma1", "frequency1", "bandwidth1"}
    assert all(dims == "frequency" for dims, _, _ in coords.values())
    bank = Scattering1D(8, Q=8).wavelets[0]
    n1, xi1, frequency1 = (coords[name][1] for name in ("n1", "xi1", "frequency1"))
    assert list(n1[:7]) == list(range(0, 54, 8))
    assert np.all(n1[7:] == -1)
    np.testing.assert_array_equal(xi1[:7], [bank[n].xi for n in n1[:7]])
    assert np.all(np.isnan(xi1[7:]))
    np.testing.assert_array_equal(frequency1, xi1 / 0.5)
    assert "frequency1" not in transform.inner_coords()


def test_a_mean_over_frequency_stands_nowhere():
    joint = TimeFrequencyScattering(6, J_fr=2, F="global", format="joint")
    assert joint.inner == (("frequency", 1),)
    assert list(joint.inner_coords()["n1"][1]) == [-1]
    time = TimeFrequencyScattering(6, J_fr=2, F="global")
    assert time.inner == () == tuple(time.inner_coords())
    assert time.n_paths == joint.n_paths + 1
    assert np.all(time.paths()["n1"] == -1)


def test_octaves_are_those_of_the_wavelets_that_are_needed():
    transform = TimeFrequencyScattering(6, J_fr=2, Q=8)
    first, _ = transform.cascade.wavelets
    assert [n1 for wavelets, _ in transform.octaves for n1 in wavelets] == list(range(len(first)))
    for wavelets, log2_rate in transform.octaves:
        assert {first[n1].j for n1 in wavelets} == {log2_rate}
    few = transform.select(lambda path: path.n2 == 3)
    assert sum(len(wavelets) for wavelets, _ in few.octaves) == few.planes[0].n_rows < len(first)


# Outputs


@pytest.mark.parametrize("format", ["time", "joint"])
def test_one_output_with_all_paths_where_there_is_an_average(format):
    for T in (None, 24, "global"):
        transform = TimeFrequencyScattering(6, J_fr=2, T=T, format=format)
        (output,) = transform.outputs
        assert output.paths == tuple(range(transform.n_paths))
        assert output.stride == transform.stride
        assert output.inner == transform.inner
        assert not transform.is_ragged


@pytest.mark.parametrize("format", ["time", "joint"])
def test_without_average_paths_keep_their_own_rate(format, rng):
    transform = TimeFrequencyScattering(6, J_fr=2, T=0, format=format)
    assert transform.is_ragged
    table = transform.paths()
    expected = np.where(table.order == 2, 2.0**table.j2, np.where(table.order == 1, 64, 1))
    np.testing.assert_array_equal(transform.rates, expected)
    result = transform(rng.standard_normal((2, 300)))
    assert len(result) == transform.n_paths
    for y, rate in zip(result, transform.rates, strict=True):
        assert y.shape == (2, *(size for _, size in transform.inner), -(-300 // rate))


@pytest.mark.parametrize(
    ("parameters", "shape"),
    [
        ({}, (279, 4)),
        ({"format": "joint"}, (59, 17, 4)),
        ({"T": "global"}, (279,)),
        ({"T": "global", "format": "joint"}, (59, 17)),
        ({"F": "global", "T": 64, "stride": 16}, (60, 63)),
        ({"F": 0}, (1 + 196 + 1281, 4)),
    ],
)
def test_shapes(parameters, shape, rng):
    transform = TimeFrequencyScattering(8, J_fr=3, Q=8, **parameters)
    assert transform(rng.standard_normal((2, 1, 1000))).shape == (2, 1, *shape)


def test_paths_of_the_rows_follow_from_the_scales():
    transform = TimeFrequencyScattering(8, J_fr=3, Q=8)
    rows = [10, 18, 26, 34, 42, 49]
    assert [plane.n_rows for plane in transform.planes] == [54, *rows]
    assert transform.n_paths == 1 + 5 * 7 + 9 * sum(-(-n // 8) for n in rows)


# Halo


def test_halo_is_that_of_the_wavelets_and_averages_along_time():
    for parameters in ({}, {"T": 1024}, {"T": 8}, {"tolerance": 1e-3}):
        in_time = Scattering1D(8, Q=8, **parameters)
        for J_fr, F in ((2, None), (4, 1), (4, "global")):
            joint = TimeFrequencyScattering(8, J_fr=J_fr, Q=8, F=F, **parameters)
            assert joint.halo == in_time.halo
            assert joint.alignment == in_time.stride
    # The first order is averaged in any case.
    without = TimeFrequencyScattering(8, J_fr=3, T=0)
    assert Scattering1D(8, Q=8, T=0).halo <= without.halo < Scattering1D(8, Q=8).halo
    assert without.alignment == 256
    assert without.halo == TimeFrequencyScattering(8, J_fr=3, T="global").halo


def test_halo_is_that_of_what_is_selected():
    transform = TimeFrequencyScattering(8, J_fr=3, Q=8)
    fast = transform.select(lambda path: path.n2 == 3)
    assert fast.halo < transform.halo
    order0 = transform.select(lambda path: path.order == 0)
    assert order0.halo < fast.halo


# Parity with Kymatio


def _laid_against(stored, dtype):
    """Return our coefficients and Kymatio's, path by path."""
    x, n_padded = stored["x"], 8192
    transform = TimeFrequencyScattering(
        **json.loads(str(stored["params"])), boundary="periodic", dtype=dtype
    )
    # Kymatio pads by reflection to the power of two above what its low-pass reaches, no more than
    # thrice the signal: 8192 for these three, half of it on either side.
    left = (n_padded - x.shape[-1]) // 2
    widths = [(0, 0)] * (x.ndim - 1) + [(left, n_padded - x.shape[-1] - left)]
    result = transform(np.pad(x, widths, mode="reflect"))
    first = -(-left // transform.stride)
    expected = as_paths(stored["y"], transform)
    found = as_paths(result[..., first : first + stored["y"].shape[-1]], transform)
    return found, expected


@pytest.mark.parametrize("name", ["joint", "F", "time"])
@pytest.mark.parametrize(
    ("dtype", "overall", "each_path"), [("float64", 1e-6, 1e-11), ("float32", 1e-5, 1e-4)]
)
def test_parity_with_kymatio(reference_folder, name, dtype, overall, each_path):
    stored = np.load(reference_folder / f"jtfs_{name}.npz")
    found, expected = _laid_against(stored, dtype)
    assert all(y.dtype == dtype for y in found)
    assert [y.shape for y in found] == [e.shape for e in expected]
    errors = [float(np.linalg.norm(y - e)) for y, e in zip(found, expected, strict=True)]
    norms = [float(np.linalg.norm(e)) for e in expected]
    assert np.linalg.norm(errors) <= overall * np.linalg.norm(norms)
    assert max(np.divide(errors, norms)) <= each_path


def test_every_reference_is_laid_against(reference_folder):
    names = {file.stem.removeprefix("jtfs_") for file in _reference_files(reference_folder)}
    (mark,) = (mark for mark in test_parity_with_kymatio.pytestmark if mark.args[0] == "name")
    assert names == set(mark.args[1])
