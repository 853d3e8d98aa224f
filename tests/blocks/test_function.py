import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.blocks import check_dtype
from scatdask.errors import NonFiniteWarning
from tests.blocks.common import BOUNDARIES, TOLERANCE, at_once, floor, in_blocks, noise, transforms
from tests.reference import as_paths, scattering1d, worst_path

# No number depends on blocks


LOUD_AND_FAINT = {
    "brown": lambda noise, t: np.cumsum(noise),
    "ramp": lambda noise, t: noise + 1e5 * t,
    "tide": lambda noise, t: noise + 1e4 * np.sin(14 * np.pi * t),
    "staircase": lambda noise, t: noise + np.floor(20 * t),
    "offset": lambda noise, t: noise + 1e6,
}


@pytest.mark.parametrize("signal", LOUD_AND_FAINT)
def test_loud_low_frequencies_do_not_drown_faint_high_ones_in_float32(signal):
    # No floor: each path keeps the promise relative to its own largest coefficient.
    n = 2**17
    noise = np.random.default_rng(0).standard_normal(n)
    x = LOUD_AND_FAINT[signal](noise, np.arange(n) / n)[None].astype(np.float32)
    transform = Scattering1D(8, Q=8)
    whole = at_once(transform, x)
    exact = at_once(Scattering1D(8, Q=8, dtype="float64"), x)
    assert worst_path(whole, exact, floor=0.0) <= 5e-5
    assert worst_path(in_blocks(transform, x, 2**13), whole, floor=0.0) <= 5e-5


@settings(max_examples=80)
@given(
    transform=transforms(),
    n=st.one_of(
        st.integers(1, 60),
        st.sampled_from([127, 256, 509, 1024, 1999, 4096]),
        st.integers(60, 6000),
    ),
    share=st.floats(0, 1),
    rows=st.integers(1, 3),
    kind=st.sampled_from(["white", "brown"]),
)
def test_any_blocks_equal_one_block(transform, n, share, rows, kind):
    x = noise(kind, rows, n)
    aligned = transform.alignment
    # From the shortest block (but no more than some twenty of them) to the whole signal.
    most, fewest = -(-n // aligned), max(-(-n // aligned // 20), 1)
    length = aligned * int(fewest + share * (most - fewest))
    error = worst_path(
        in_blocks(transform, x, length), at_once(transform, x), floor=floor(transform, x)
    )
    assert error <= TOLERANCE[transform.dtype]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("kind", ["white", "brown"])
@pytest.mark.parametrize(
    ("T", "max_order"),
    [(None, 2), (2, 2), (128, 2), (0, 2), ("global", 2), (None, 3), (0, 3)],
)
def test_each_path_of_noise_by_its_own_largest_coefficient(boundary, kind, T, max_order):
    Q = (8, 2) if max_order == 2 else (4, 2)
    transform = Scattering1D(5, Q=Q, T=T, max_order=max_order, boundary=boundary, dtype="float64")
    n = 3 * transform.halo + 1
    x = noise(kind, 2, n)
    whole = at_once(transform, x)
    for length in (transform.halo // 4, transform.halo):
        length = -(-length // transform.alignment) * transform.alignment
        assert worst_path(in_blocks(transform, x, length), whole) <= transform.tolerance


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("kind", ["white", "brown"])
def test_long_signal_in_single_precision(boundary, kind):
    transform = Scattering1D(6, Q=8, boundary=boundary)
    x = noise(kind, 1, 30011)
    for length in (4096, 64 * 111):
        found, whole = in_blocks(transform, x, length), at_once(transform, x)
        assert worst_path(found, whole) <= TOLERANCE["float32"]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("signal", ["impulse", "step", "burst", "chirp", "tone"])
def test_signals_with_faint_paths(boundary, signal):
    transform = Scattering1D(4, Q=(8, 2), max_order=3, boundary=boundary, dtype="float64")
    n = 5 * transform.halo
    time = np.arange(n)
    x = {
        "impulse": (time == n // 2 + 3).astype(float),
        "step": (time > n // 2).astype(float),
        "burst": np.exp(-(((time - n / 3) / 40) ** 2)) * np.cos(0.9 * time),
        "chirp": np.cos(2 * np.pi * 0.2 * time**2 / n),
        "tone": 1e3 + np.sin(2 * np.pi * time / 10),
    }[signal][None]
    whole = at_once(transform, x)
    for length in (transform.alignment * 8, n // 3 // transform.alignment * transform.alignment):
        found = in_blocks(transform, x, length)
        assert worst_path(found, whole, floor=floor(transform, x)) <= transform.tolerance


@pytest.mark.parametrize("boundary", ["reflect", "nearest"])
def test_drift_that_dwarfs_the_noise(boundary):
    # Joining the ends of a row by a step, not by a ramp, would cost ten times the tolerance.
    transform = Scattering1D(4, Q=(8, 2), T=256, boundary=boundary, dtype="float64")
    n = 3 * transform.halo + 1
    x = noise("white", 2, n) + 10.0 * np.arange(n)
    whole = at_once(transform, x)
    assert worst_path(in_blocks(transform, x, 512), whole) <= transform.tolerance / 5


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_errors_follow_the_tolerance(tolerance):
    transform = Scattering1D(5, Q=4, dtype="float64", tolerance=tolerance)
    x = noise("white", 2, 9000)
    assert worst_path(in_blocks(transform, x, 512), at_once(transform, x)) <= tolerance


@pytest.mark.parametrize("T", [None, 0, "global", 8])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_block_function_equals_the_plain_definition(boundary, T):
    transform = Scattering1D(4, Q=(4, 2), T=T, boundary=boundary, dtype="float64")
    for n in (31, 500, 1024):
        x = noise("white", 2, n)
        expected = scattering1d(transform, x)
        for length in (transform.alignment * 7, n):
            found = in_blocks(transform, x, length)
            assert worst_path(found, expected, floor=floor(transform, x)) <= 1e-6


def test_a_block_that_needs_exactly_one_period():
    transform = Scattering1D(3, Q=2, boundary="periodic", dtype="float64")
    extent = 5 * transform.alignment
    n = extent + transform.halo + -(-transform.halo // transform.alignment) * transform.alignment
    x = noise("white", 1, n)
    assert worst_path(in_blocks(transform, x, extent), at_once(transform, x)) <= 1e-6


@pytest.mark.parametrize("rows", [1, 3, 5, 9])
def test_rows_do_not_know_each_other(monkeypatch, rows):
    transform = Scattering1D(5, Q=4, T=0, dtype="float64")
    x = noise("white", rows, 600)
    together = at_once(transform, x)
    monkeypatch.setattr("scatdask.transforms.cost1d.CACHE_BYTES", 1)
    in_passes = at_once(transform, x)
    alone = [at_once(transform, x[row : row + 1]) for row in range(rows)]
    for path in range(transform.n_paths):
        np.testing.assert_allclose(in_passes[path], together[path], atol=1e-13)
        for row in range(rows):
            np.testing.assert_allclose(alone[row][path][0], together[path][row], atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_runs_are_bit_identical(dtype):
    transform = Scattering1D(5, Q=8, dtype=dtype)
    x = noise("brown", 3, 3001)
    for a, b in zip(in_blocks(transform, x, 320), in_blocks(transform, x, 320), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("boundary", ["reflect", "periodic", "nearest"])
def test_a_large_constant_costs_no_precision(boundary):
    transform = Scattering1D(6, Q=4, boundary=boundary)
    x = noise("white", 2, 4000)
    order0, *others = at_once(transform, x + 1e6)
    expected0, *expected = at_once(transform, x)
    assert worst_path(others, expected) <= TOLERANCE["float32"]
    np.testing.assert_allclose(order0, expected0.astype(float) + 1e6, rtol=1e-7)


# Kinds of arrays


@pytest.mark.parametrize(
    "dtype",
    ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">f4", ">f8", ">i2"],
)
def test_real_numbers_of_any_type(rng, dtype):
    x = rng.integers(0, 100, (2, 300))
    for transform in (Scattering1D(3), Scattering1D(3, dtype="float64")):
        found = transform(x.astype(dtype))
        assert found.dtype == transform.dtype
        np.testing.assert_array_equal(found, transform(x.astype(np.float64)))


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 3, axis=-1)[..., ::3],
    "negative": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "transposed": lambda x: np.ascontiguousarray(np.moveaxis(x, -1, 0)).transpose(
        *range(1, x.ndim), 0
    ),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_any_layout(rng, layout):
    transform = Scattering1D(3, Q=2, dtype="float64")
    x = LAYOUTS[layout](rng.standard_normal((3, 2, 257)))
    expected = transform(np.array(x, order="C"))
    np.testing.assert_allclose(transform(x), expected, atol=1e-13)


def test_input_is_never_written_to(xp, rng):
    for transform in (Scattering1D(3), Scattering1D(3, boundary="zero", dtype="float64")):
        x = rng.standard_normal((2, 300)).astype(transform.dtype)
        given_in = xp.asarray(x)
        transform(given_in)
        np.testing.assert_array_equal(xp.to_numpy(given_in), x)


@pytest.mark.parametrize("T", [None, 0, "global"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_array_library(xp, rng, boundary, T):
    transform = Scattering1D(4, Q=2, T=T, boundary=boundary, dtype="float64")
    x = rng.standard_normal((2, 700))
    found = transform(xp.asarray(x))
    expected = transform(x)
    if T != 0:
        found, expected = [found], [expected]
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(xp.asarray(x))
        np.testing.assert_allclose(xp.to_numpy(a), b, atol=1e-13)


def test_missing_samples_in_every_array_library(xp, rng):
    transform = Scattering1D(3, dtype="float64")
    x = rng.standard_normal((2, 700))
    x[0, 100] = np.nan
    with pytest.warns(NonFiniteWarning):
        expected = transform(x)
    with pytest.warns(NonFiniteWarning):
        found = transform(xp.asarray(x))
    np.testing.assert_allclose(xp.to_numpy(found), expected, atol=1e-13)


@pytest.mark.parametrize(
    ("x", "hint"),
    [
        (np.zeros(64, complex), "complex128, .* absolute value"),
        (np.zeros(64, bool), "bool, .* float type"),
        (np.zeros(64, object), "object, .* real numeric type"),
        (np.full(64, "a"), "<U1, .* real numeric type"),
        (np.zeros(64, "M8[s]"), r"datetime64\[s\], .* real numeric type"),
        (np.zeros(64, "m8[s]"), r"timedelta64\[s\], .* unit of time"),
        (np.ma.masked_array(np.zeros(64, complex)), "complex128, .* absolute value"),
    ],
    ids=["complex", "bool", "object", "str", "datetime", "timedelta", "masked"],
)
def test_what_is_no_real_number_is_a_type_error(x, hint):
    with pytest.raises(TypeError, match=f"^x has dtype {hint}"):
        Scattering1D(3)(x)


def test_data_types_of_other_libraries_are_checked_by_name(xp):
    check_dtype(xp.namespace.float32)
    check_dtype(xp.namespace.int16)
    with pytest.raises(TypeError, match=r"^pressure has dtype .*complex64.* absolute value"):
        check_dtype(xp.namespace.complex64, "pressure")


def test_lazy_arrays_are_refused_and_not_computed():
    da = pytest.importorskip("dask.array")

    def fail(block):
        raise AssertionError("computed")

    lazy = da.map_blocks(fail, da.zeros(64), dtype=float, meta=np.zeros(0))
    with pytest.raises(TypeError, match=r"not dask arrays: .* scatdask.scattering1d"):
        Scattering1D(3)(lazy)


def test_labelled_objects_are_for_functions():
    pd, xr = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    for obj in (xr.DataArray(np.zeros(64)), pd.Series(np.zeros(64)), pd.DataFrame({"u": [0.0]})):
        with pytest.raises(TypeError, match=r"takes arrays.* not a (Data|Series).*to_numpy\(\)"):
            Scattering1D(3)(obj)


# Shapes


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (2, 1, 2)])
def test_shapes(rng, batch):
    x = rng.standard_normal((*batch, 130))
    paths = Scattering1D(3).n_paths
    assert Scattering1D(3)(x).shape == (*batch, paths, 17)
    assert Scattering1D(3, T="global")(x).shape == (*batch, paths)
    several = Scattering1D(3, T=0)
    result = several(x)
    assert isinstance(result, list)
    assert [y.shape for y in result] == [(*batch, -(-130 // rate)) for rate in several.rates]
    for y in (Scattering1D(3)(x), *result):
        assert y.dtype == np.float32


def test_without_average_a_list_even_where_all_paths_share_a_rate(rng):
    transform = Scattering1D(1, T=0)
    assert set(transform.rates) == {1}
    assert isinstance(transform(rng.standard_normal(20)), list)


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_no_rows_give_no_rows(T):
    transform = Scattering1D(3, T=T)
    result = transform(np.zeros((2, 0, 64)))
    arrays = result if isinstance(result, list) else [result]
    assert all(y.shape[:2] == (2, 0) and y.size == 0 for y in arrays)
    assert len(arrays) == (transform.n_paths if T == 0 else 1)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_samples_are_a_value_error(boundary):
    with pytest.raises(ValueError, match="core axis has length 0"):
        Scattering1D(3, boundary=boundary)(np.zeros((2, 0)))


def test_a_number_is_no_signal():
    with pytest.raises(ValueError, match="x has 0 axes: scattering1d needs at least 1"):
        Scattering1D(3)(np.float64(3.0))


def test_too_short_a_signal_is_a_value_error():
    with pytest.raises(ValueError, match="the largest J that fits is 5"):
        Scattering1D(6)(np.zeros(63))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("T", [None, 0, "global"])
def test_long_arrays_are_transformed_in_blocks(monkeypatch, rng, boundary, T):
    transform = Scattering1D(3, Q=2, T=T, boundary=boundary, dtype="float64")
    x = rng.standard_normal((2, 3, 1001))
    expected = as_paths(transform(x), transform)
    seen = []

    def short(transform, shape):
        seen.append(shape)
        return (16 * transform.alignment,)

    monkeypatch.setattr("scatdask.blocks.function.eager_lengths", short)
    found = as_paths(transform(x), transform)
    assert seen == [(1001,)]
    assert worst_path(found, expected) <= 1e-6


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("n", [64, 101])
def test_global_average_is_the_mean_over_the_signals_own_samples(rng, boundary, n):
    x = rng.standard_normal((2, n))
    parameters = {"Q": (4, 2), "boundary": boundary, "dtype": "float64"}
    found = Scattering1D(4, T="global", **parameters)(x)
    each = Scattering1D(4, T=0, **parameters)(x)
    expected = np.stack([y.mean(axis=-1) for y in each], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found[:, 0], x.mean(axis=-1), atol=1e-12)
