import dask
import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    log_scattering,
    renormalise,
)
from scatdask.features import parents


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.standard_normal((2, 3000)),
        dims=("station", "time"),
        coords={"station": ["a", "b"]},
        name="u",
        attrs={"units": "m/s", "history": "made"},
    )


@pytest.fixture
def s(x):
    return scatdask.scattering1d(x, J=5, Q=2, dim="time", max_order=3, dtype="float64")


# Parents


@pytest.mark.parametrize("max_order", [1, 2, 3])
def test_parents_of_signals_have_the_same_wavelets_but_the_last(max_order):
    S = Scattering1D(J=5, Q=(4, 2), max_order=max_order)
    for path, parent in enumerate(parents(S.paths())):
        indices = S.path_indices[path]
        assert S.path_indices[parent] == (indices[:-1] if len(indices) > 1 else indices)


def test_parents_of_images_have_the_same_scale_and_direction():
    S = Scattering2D(J=3, L=3)
    for path, parent in enumerate(parents(S.paths(spacing=0.3))):
        indices = S.path_indices[path]
        assert S.path_indices[parent] == (indices[:1] if len(indices) == 2 else indices)


def test_parents_of_volumes_have_the_same_degree_and_power():
    S = HarmonicScattering3D(J=2, L=2, integral_powers=(0.5, 1.0, 1.5))
    for path, parent in enumerate(parents(S.paths())):
        order, j1, _, degree, power = S.path_indices[path]
        expected = (1, j1, -1, degree, power) if order == 2 else S.path_indices[path]
        assert S.path_indices[parent] == expected


@pytest.mark.parametrize("options", [{}, {"F": 1}, {"F": "global"}, {"format": "joint"}])
def test_parents_of_joint_paths_stand_at_the_same_place(options):
    S = TimeFrequencyScattering(J=6, J_fr=2, Q=8, **options)
    table = S.paths()
    found = table.isel(path=parents(table))
    second = table.order.values == 2
    np.testing.assert_array_equal(found.order, np.minimum(table.order, 1))
    np.testing.assert_array_equal(found.spin.values[second], 0)
    np.testing.assert_array_equal(found.n_fr.values[second], 0)
    np.testing.assert_array_equal(parents(table)[~second], np.flatnonzero(~second))
    if "n1" in table.coords:
        np.testing.assert_array_equal(found.n1, table.n1)


def test_paths_may_be_in_any_order():
    table = Scattering1D(J=4).paths()
    turned = table.isel(path=slice(None, None, -1))
    last = table.sizes["path"] - 1
    np.testing.assert_array_equal(parents(turned), last - parents(table)[::-1])


def test_parent_that_is_not_selected():
    S = Scattering1D(J=4).select(lambda path: (path.order == 2) | (path.n1 == 0))
    with pytest.raises(
        ValueError, match=r"parent of path \d+ \(order 2, n1=1.*not among.*keep the order-1 paths"
    ):
        parents(S.paths())


def test_selection_that_keeps_parents():
    S = Scattering1D(J=5, Q=2).select(lambda path: path.n1 % 2 == 0)
    assert S.n_paths == len(parents(S.paths()))


def test_missing_labels():
    table = Scattering1D(J=4).paths()
    with pytest.raises(KeyError, match="no label 'order'"):
        parents(table.drop_vars("order"))
    with pytest.raises(KeyError, match="labels that tell wavelets"):
        parents(table.drop_vars(["n1", "n2", "j1", "j2"]))
    with pytest.raises(ValueError, match="do not tell path"):
        parents(Scattering1D(J=4, Q=4).paths().drop_vars(["n1", "n2"]))


# Renormalised


def test_higher_orders_are_divided_by_their_parents(s):
    r = renormalise(s, epsilon=0.01)
    assert r.dims == s.dims
    for path, parent in enumerate(parents(s)):
        here = s.isel(path=path).values
        if s.order[path] >= 2:
            here = here / (s.isel(path=parent).values + 0.01)
        np.testing.assert_allclose(r.isel(path=path).values, here, rtol=1e-12)
    for name in s.coords:
        xr.testing.assert_identical(r[name].variable, s[name].variable)


def test_lower_orders_are_the_same_bits(s):
    r = renormalise(s, epsilon=0.01)
    np.testing.assert_array_equal(r.isel(path=s.order < 2), s.isel(path=s.order < 2))


def test_loudness_does_not_matter(x):
    options = {"J": 5, "Q": 2, "dim": "time", "dtype": "float64"}
    quiet, loud = (renormalise(scatdask.scattering1d(k * x, **options)) for k in (1, 1000))
    second = quiet.order == 2
    np.testing.assert_allclose(loud.isel(path=second), quiet.isel(path=second), rtol=1e-9)


def test_silence_gives_zero_and_missing_samples_nan(x):
    x[0] = 0
    x[1, 2500] = np.nan
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        s = scatdask.scattering1d(x, J=4, dim="time")
    for epsilon in (0, 1e-3):
        r = renormalise(s, epsilon=epsilon)
        np.testing.assert_array_equal(r[0], 0)
        np.testing.assert_array_equal(np.isnan(r), np.isnan(s))
        assert not np.isinf(r).any()


def test_epsilon_quietens_what_is_next_to_silence(x):
    x[:, :1500] = 0
    s = scatdask.scattering1d(x, J=4, dim="time").isel(time=slice(60))
    second = s.order == 2
    assert renormalise(s).isel(path=second).max() > 0.1  # rounding over rounding
    assert renormalise(s, epsilon=1e-3).isel(path=second).max() < 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_type_is_kept(x, dtype):
    s = scatdask.scattering1d(x, J=4, dim="time", dtype=dtype)
    assert renormalise(s, epsilon=1e-3).dtype == dtype
    assert log_scattering(s, 1e-3).dtype == dtype


def test_units_and_attributes_are_true(s):
    r = renormalise(s, epsilon=0.5)
    assert "units" not in r.attrs
    assert r.attrs["renormalised_epsilon"] == 0.5
    assert r.attrs["J"] == 5
    assert r.attrs["long_name"] == s.attrs["long_name"]
    assert r.attrs["history"].split("\n")[-1].endswith("renormalise(dim='path', epsilon=0.5)")
    assert r.attrs["history"].startswith(s.attrs["history"])
    assert s.attrs["units"] == "m/s"  # the input is not touched
    first = s.isel(path=s.order < 2)
    assert renormalise(first).attrs["units"] == "m/s"  # nothing to divide


@pytest.mark.parametrize("chunks", [{"time": 500}, {"time": 3000, "station": 1}])
def test_lazy_and_equal_for_any_chunks(x, s, chunks):
    expected = log_scattering(renormalise(s, epsilon=1e-3), 1e-6)

    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        lazy = scatdask.scattering1d(
            x.chunk(chunks), J=5, Q=2, dim="time", max_order=3, dtype="float64"
        )
        got, again = (log_scattering(renormalise(lazy, epsilon=1e-3), 1e-6) for _ in range(2))
    assert got.data.name == again.data.name
    assert got.chunks == lazy.chunks
    xr.testing.assert_allclose(got.compute(), expected, rtol=1e-6)
    assert got.attrs == expected.attrs


def test_of_a_dataset_the_variables_with_paths_are_changed(s):
    ds = xr.Dataset({"u": s, "gain": ("station", [1.0, 2.0])}, attrs={"title": "test"})
    for function in (renormalise, lambda obj: log_scattering(obj, 1e-3)):
        got = function(ds)
        xr.testing.assert_identical(got.u, function(s))
        xr.testing.assert_identical(got.gain.variable, ds.gain.variable)
        assert got.attrs["title"] == "test"
        assert "scatdask" in got.attrs["history"]


def test_every_transform_can_be_renormalised(x):
    image = xr.DataArray(x.values[0].reshape(50, 60), dims=("y", "x"))
    volume = xr.DataArray(x.values[0].reshape(10, 15, 20), dims=("z", "y", "x"))
    joint = {"J": 6, "J_fr": 2, "dim": "time"}
    results = [
        scatdask.scattering2d(image, J=2, L=2, dims=("y", "x")),
        scatdask.scattering3d(volume, J=1, L=1, dims=("z", "y", "x")),
        scatdask.time_frequency_scattering(x, **joint),
        scatdask.time_frequency_scattering(x, **joint, format="joint"),
    ]
    for s in results:
        r = renormalise(s)
        assert r.dims == s.dims
        assert np.isfinite(r).all()
        changed = (r != s).any([dim for dim in s.dims if dim != "path"])
        np.testing.assert_array_equal(changed, s.order == 2)


def test_joint_paths_that_are_not_averaged_have_no_parents(x):
    joint = {"J": 6, "J_fr": 2, "Q": 4, "dim": "time", "dtype": "float64"}
    s = scatdask.time_frequency_scattering(x, **joint, F=0)
    with pytest.raises(ValueError, match=r"order 2, n1=1, .* with F=0 .* give F of 1 or more$"):
        renormalise(s)
    on_the_grid = s.isel(path=(s.order < 2) | (s.n1 % 4 == 0))
    assert renormalise(on_the_grid).sizes == on_the_grid.sizes
    averaged = scatdask.time_frequency_scattering(x, **joint, F=1)
    assert np.isfinite(renormalise(averaged)).all()
    with pytest.raises(ValueError, match=r"n_fr=0\) .* keep the order-1 paths that others"):
        renormalise(averaged.isel(path=averaged.order != 1))


def test_features_are_of_the_library_of_the_coefficients(s, xp):
    array = xp.asarray(s.values)
    held = s.copy(data=array)
    if type(held.data) is not type(array):
        pytest.skip("xarray does not hold arrays of this library")
    for function in (lambda c: renormalise(c, epsilon=0.1), lambda c: log_scattering(c, 0.1)):
        got = function(held)
        assert type(got.data) is type(held.data)
        np.testing.assert_allclose(xp.to_numpy(got.data), function(s).values, rtol=1e-12)


# Logarithms


def test_logarithm(s):
    got = log_scattering(s, 1e-3)
    np.testing.assert_allclose(got, np.log(np.abs(s.values) + 1e-3), rtol=1e-12)
    assert got.attrs["units"] == "ln(re 1 m/s)"
    assert got.attrs["logarithm_epsilon"] == 1e-3
    assert got.attrs["history"].endswith("log_scattering(epsilon=0.001)")
    assert "units" not in log_scattering(renormalise(s), 1e-3).attrs


def test_results_can_be_stored(s, tmp_path):
    result = log_scattering(renormalise(s, epsilon=1e-3), 1e-6)
    result.to_dataset(name="u").to_zarr(tmp_path / "out.zarr", zarr_format=2)
    with xr.open_zarr(tmp_path / "out.zarr") as read:
        xr.testing.assert_identical(read.u.compute(), result)
        np.testing.assert_array_equal(parents(read), parents(s))


# Bad input


@pytest.mark.parametrize(
    ("epsilon", "error"),
    [(-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError),
     (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_epsilon_that_is_none(s, epsilon, error):
    with pytest.raises(error, match="epsilon must be"):
        renormalise(s, epsilon=epsilon)
    with pytest.raises(error, match="epsilon must be"):
        log_scattering(s, epsilon)


def test_logarithm_needs_an_epsilon_above_zero(s):
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        log_scattering(s, 0)
    with pytest.raises(TypeError, match="epsilon"):
        log_scattering(s)


def test_twice_is_a_mistake(s):
    with pytest.raises(ValueError, match="renormalised already"):
        renormalise(renormalise(s))
    with pytest.raises(ValueError, match=r"logarithms already.*renormalise first"):
        renormalise(log_scattering(s, 1))
    with pytest.raises(ValueError, match="logarithms already"):
        log_scattering(log_scattering(s, 1), 1)


def test_neither_dataarray_nor_dataset(s):
    for obj in (s.values, None):
        with pytest.raises(TypeError, match="expected a DataArray or Dataset"):
            renormalise(obj)


def test_no_paths(x):
    with pytest.raises(KeyError, match="no dimension 'path'; there are 'station', 'time'"):
        renormalise(x)


def test_paths_at_their_own_rates(x):
    ragged = scatdask.scattering1d(x, J=4, T=0, dim="time")
    with pytest.raises(KeyError, match=r"no dimension 'path'.*dim='path_stride1' is one"):
        log_scattering(ragged, 1e-3)
    one = log_scattering(ragged.u_stride2, 1e-3, dim="path_stride2")
    assert one.dims == ragged.u_stride2.dims
    for obj, dim in ((ragged, "path"), (ragged, "path_stride1"), (one, "path_stride2")):
        with pytest.raises(ValueError, match=r"T=0, .*path_stride2.*a T of 1 or more"):
            renormalise(obj, dim=dim)


# Statistics of windows


@pytest.fixture
def statistics(s):
    """What a `Reduction` writes, as far as features look at it."""
    said = {what: {**s.attrs, "window_statistic": what} for what in ("count", "mean", "variance")}
    return xr.Dataset(
        {
            "u_count": s.notnull().sum("time").assign_attrs(said["count"]),
            "u_mean": s.mean("time").assign_attrs(said["mean"]),
            "u_variance": s.var("time").assign_attrs(said["variance"]),
        }
    )


@pytest.mark.parametrize("is_lazy", [False, True])
def test_counts_and_variances_stay(statistics, is_lazy):
    r = statistics.chunk() if is_lazy else statistics
    for result, change in (
        (log_scattering(r, 1e-3), lambda mean: np.log(np.abs(mean) + 1e-3)),
        (renormalise(r), renormalise),
    ):
        xr.testing.assert_identical(result.u_count.compute(), statistics.u_count)
        xr.testing.assert_identical(result.u_variance.compute(), statistics.u_variance)
        np.testing.assert_allclose(result.u_mean, change(statistics.u_mean))


@pytest.mark.parametrize("what", ["count", "variance"])
def test_counts_and_variances_are_no_coefficients(statistics, what):
    for obj in (statistics[f"u_{what}"], statistics[[f"u_{what}"]]):
        with pytest.raises(ValueError, match=f"'u_{what}' holds the {what} of coefficients"):
            log_scattering(obj, 1e-3)
        with pytest.raises(ValueError, match="take their mean"):
            renormalise(obj)


def test_integers_become_floats_whether_lazy_or_not():
    counts = xr.DataArray(np.arange(6, dtype="i2"), dims="path")
    lazy, eager = log_scattering(counts.chunk(), 1.0), log_scattering(counts, 1.0)
    assert lazy.dtype == lazy.compute().dtype == eager.dtype == np.float64
    np.testing.assert_allclose(eager, np.log(np.arange(6) + 1.0))
