import array_api_compat.numpy as numpy_namespace
import numpy as np
import pytest

from scatdask import arrays
from scatdask.errors import PrecisionWarning


def test_namespace_knows_its_arrays(xp):
    x = xp.asarray(np.arange(4.0))
    namespace = arrays.array_namespace(x)
    assert type(namespace.concat([x, x], axis=0)) is type(x)
    assert arrays.is_numpy(x) == (xp.namespace is np)
    if arrays.is_numpy(x):
        assert namespace is numpy_namespace
    with pytest.raises(TypeError):
        arrays.array_namespace("no array")


def test_subclasses_of_numpy_are_numpy():
    assert arrays.is_numpy(np.ma.masked_array([1.0]))


def test_device_is_hashable_and_keeps(xp):
    x = xp.asarray(np.arange(4.0))
    device = arrays.device_of(x)
    assert hash(device) == hash(arrays.device_of(x))
    moved = arrays.from_numpy(np.arange(3.0), like=x)
    assert type(moved) is type(x)
    assert arrays.device_of(moved) == device
    np.testing.assert_array_equal(xp.to_numpy(moved), np.arange(3.0))


def test_moving_to_numpy_copies_nothing():
    array = np.arange(3.0)
    assert arrays.from_numpy(array, like=np.zeros(1)) is array


def test_complex_types(xp):
    assert arrays.complex_dtype(xp.namespace, "float32") == xp.namespace.complex64
    assert arrays.complex_dtype(xp.namespace, "float64") == xp.namespace.complex128


def test_only_lazy_arrays_are_refused(xp):
    arrays.check_in_memory(xp.asarray(np.zeros(3)))
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="not dask arrays"):
        arrays.check_in_memory(da.zeros(3))


def test_what_is_no_array_is_told_where_to_go():
    xr = pytest.importorskip("xarray")
    with pytest.raises(TypeError, match=r"not a DataArray: give .* scatdask\.scattering1d.*numpy"):
        arrays.check_in_memory(xr.DataArray(np.zeros(3)))


def big_endian(array):
    return array.astype(array.dtype.newbyteorder(">"))


@pytest.mark.parametrize(
    "change", [big_endian, lambda a: a[::-1], lambda a: a[:, ::2], np.asfortranarray]
)
def test_foreign_bytes_and_strides_are_mended_on_the_way(xp, rng, change):
    array = change(rng.standard_normal((4, 6)))
    array.flags.writeable = False
    found = arrays.from_numpy(array, like=xp.asarray(np.zeros(1)))
    np.testing.assert_array_equal(arrays.to_numpy(found), array)


def test_values_on_the_host(xp, rng):
    x = rng.standard_normal((2, 3))
    found = arrays.to_numpy(xp.asarray(x))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize(
    ("name", "kind"), [("float32", "f"), ("int16", "i"), ("uint8", "u"), ("bool", "b")]
)
def test_kinds_of_types(xp, name, kind):
    x = xp.asarray(np.zeros(2, name))
    assert arrays.kind_of(x.dtype) == kind
    assert arrays.kind_of(name) == kind


@pytest.mark.parametrize("values", [[True, True], [True, False]])
def test_what_is_surely_true(xp, values):
    x = xp.asarray(np.array(values))
    assert arrays.is_surely(arrays.array_namespace(x).all(x)) == all(values)


def test_keys_of_caches_are_equal_where_library_and_device_are(xp):
    one, other = (arrays.Like(xp.asarray(np.zeros(n))) for n in (1, 2))
    assert one == other
    assert hash(one) == hash(other)
    assert one.array.shape == (0,)
    assert type(one.array) is type(xp.asarray(np.zeros(1))) or arrays.is_numpy(one.array)
    assert one != 1


def test_keys_of_caches_differ_between_libraries(xp):
    strict = pytest.importorskip("array_api_strict")
    x = xp.asarray(np.zeros(1))
    assert (arrays.Like(x) == arrays.Like(strict.zeros(1))) == isinstance(x, type(strict.zeros(1)))


def test_functions_are_compiled_only_by_jax(xp):
    x = xp.asarray(np.arange(3.0))
    for factor in (2, 3):
        found = arrays.compiled(_scaled, factor, like=x)([x, x])
        np.testing.assert_array_equal(xp.to_numpy(found), 2 * factor * np.arange(3.0))


def _scaled(factor, pair):
    return factor * (pair[0] + pair[1])


# JAX has values only where it does not trace


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.mark.libraries
def test_nothing_is_sure_while_jax_traces(jax):
    answers = []

    def function(x):
        answers.append(arrays.is_surely((x > 0).all()))
        return x

    x = jax.numpy.ones(3)
    jax.jit(function)(x)
    jax.vmap(function)(x)
    jax.grad(lambda x: function(x).sum())(x)  # there are values here
    assert answers == [False, False, True]


@pytest.mark.libraries
def test_constants_made_while_jax_traces_are_numbers(jax):
    kept = []

    def function(x):
        kept.append(arrays.from_numpy(np.arange(3.0), like=x))
        kept.append(arrays.Like(x).array)
        return x + kept[0]

    np.testing.assert_array_equal(jax.jit(function)(jax.numpy.ones(3)), [1, 2, 3])
    np.testing.assert_array_equal(kept[0], [0, 1, 2])
    assert kept[1].shape == (0,)


@pytest.mark.libraries
def test_without_64_bits_jax_has_float32_only(jax):
    with jax.enable_x64(False):
        x = jax.numpy.zeros(3)
        assert arrays.widest_float(x) == np.float32
        with pytest.warns(PrecisionWarning, match="jax_enable_x64"):
            arrays.check_precision(x, "float32", stacklevel=1)
        with pytest.raises(TypeError, match=r'dtype="float64" needs JAX .*jax_enable_x64'):
            arrays.check_precision(x, "float64", stacklevel=1)
    assert arrays.widest_float(jax.numpy.zeros(3)) == np.float64


def test_other_libraries_have_float64(xp):
    x = xp.asarray(np.zeros(3))
    assert arrays.widest_float(x) == arrays.array_namespace(x).float64
    arrays.check_precision(x, "float64", stacklevel=1)


@pytest.mark.libraries
def test_kind_of_bfloat16():
    torch = pytest.importorskip("torch")
    assert arrays.kind_of(torch.bfloat16) == "f"


@pytest.mark.libraries
def test_torch_tensor_inside_xarray_is_numpy_there():
    """xarray makes it so; a tensor that keeps gradients is refused by torch, which says why."""
    torch = pytest.importorskip("torch")
    import xarray as xr

    from scatdask import scattering1d

    x = torch.linspace(0, 1, 2000).reshape(1, -1) ** 2
    labelled = xr.DataArray(x, dims=("channel", "time"))
    result = scattering1d(labelled, J=4, dim="time")
    expected = scattering1d(xr.DataArray(x.numpy(), dims=("channel", "time")), J=4, dim="time")
    assert arrays.is_numpy(result.data)
    xr.testing.assert_equal(result, expected)
    with pytest.raises(RuntimeError, match="detach"):
        xr.DataArray(x.requires_grad_(), dims=("channel", "time"))
