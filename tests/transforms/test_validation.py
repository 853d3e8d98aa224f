import numpy as np
import pytest
import xarray as xr

from scatdask.transforms.base import BOUNDARIES
from scatdask.transforms.validation import (
    as_average,
    as_boundary,
    as_dtype,
    as_flag,
    as_integer,
    as_member,
    as_pair,
    as_positive,
    as_powers,
    as_selection,
    as_stride,
    as_tolerance,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_of_any_library(value):
    number = as_integer("J", value, at_least=1)
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize("value", [3.0, "3", None, True, False, np.True_, [3], 3j, np.float64(3)])
def test_what_is_no_integer_is_named(value):
    with pytest.raises(TypeError, match=r"^J must be an integer, got "):
        as_integer("J", value, at_least=0)


def test_bounds_are_named():
    assert as_integer("J", 1, at_least=1) == 1
    assert as_integer("J", 4, at_least=1, at_most=4) == 4
    with pytest.raises(ValueError, match=r"^J must be at least 1, got 0$"):
        as_integer("J", 0, at_least=1)
    with pytest.raises(ValueError, match=r"^J must be at most 4, got 5$"):
        as_integer("J", 5, at_least=1, at_most=4)


@pytest.mark.parametrize(
    ("value", "pair"), [(8, (8, 1)), ((8, 2), (8, 2)), ([8, 2], (8, 2)), (np.int32(8), (8, 1))]
)
def test_pairs(value, pair):
    assert as_pair("Q", value, at_least=1) == pair


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ((1, 2, 3), ValueError, r"^Q must be an integer or a pair of integers, got \(1, 2, 3\)$"),
        ((), ValueError, r"^Q must be an integer or a pair"),
        ((8, 0), ValueError, r"^Q\[1\] must be at least 1, got 0$"),
        ((8.5, 1), TypeError, r"^Q\[0\] must be an integer, got 8.5$"),
        ("8", TypeError, "^Q must be an integer, got '8'$"),
    ],
)
def test_what_is_no_pair_is_named(value, error, message):
    with pytest.raises(error, match=message):
        as_pair("Q", value, at_least=1)


@pytest.mark.parametrize(("scale", "largest"), [(1, 1), (2, 2), (100, 64), (128, 128)])
def test_strides_are_powers_of_two_within_a_scale(scale, largest):
    fitting = {"at_most": scale, "which_is": f"T={scale}"}
    assert as_stride(None, **fitting) == as_stride(np.int64(largest), **fitting) == largest
    with pytest.raises(
        ValueError, match=rf"^stride={2 * largest} exceeds T={scale}: .* stride is {largest}$"
    ):
        as_stride(2 * largest, **fitting)
    with pytest.raises(ValueError, match=r"^stride must be a power of two, got 3$"):
        as_stride(3, **fitting)
    with pytest.raises(TypeError, match=r"^stride must be an integer, got 2\.0$"):
        as_stride(2.0, **fitting)


def test_averages():
    assert as_average("T", np.int64(0)) == 0
    assert as_average("T", "global") == "global"
    with pytest.raises(ValueError, match=r"^T must be an integer, 'global' or None, got 'globl'$"):
        as_average("T", "globl")
    with pytest.raises(TypeError, match=r"^T must be an integer, got 1.5$"):
        as_average("T", 1.5)


def test_words():
    assert as_member("boundary", "zero", ("zero", "nearest")) == "zero"
    for value in ("mirror", None, 3, ["zero"]):
        with pytest.raises(ValueError, match=r"^boundary must be one of 'zero', 'nearest', got "):
            as_member("boundary", value, ("zero", "nearest"))


@pytest.mark.parametrize("value", ["float64", "f8", np.float64, float, np.dtype("f8"), ">f8"])
def test_data_types_by_any_name(value):
    assert as_dtype("dtype", value, ("float32", "float64")) == "float64"


@pytest.mark.parametrize("value", [None, "float16", "int32", int, complex, "half a float", 7])
def test_other_data_types_are_named(value):
    with pytest.raises(ValueError, match=r"^dtype must be one of 'float32', 'float64', got "):
        as_dtype("dtype", value, ("float32", "float64"))


def test_tolerances():
    assert as_tolerance("tolerance", 1e-6) == 1e-6
    assert as_tolerance("tolerance", np.float32(0.1).astype(float) / 2) < 0.1
    for value in (0, -1e-6, 0.2, 1, True, float("nan"), float("inf"), 1e-16):
        with pytest.raises(ValueError, match=r"^tolerance must lie between 1e-15 and 0.1, got "):
            as_tolerance("tolerance", value)
    for nonsense in (None, "small", [1e-6]):
        with pytest.raises(TypeError, match=r"^tolerance must be a number, got "):
            as_tolerance("tolerance", nonsense)


@pytest.mark.parametrize("rows", [(0, 3, 4), [0, 3, 4], np.array([0, 3, 4]), iter([0, 3, 4])])
def test_selections_of_any_kind(rows):
    chosen = as_selection("selection", rows, 5)
    assert chosen == (0, 3, 4)
    assert all(type(row) is int for row in chosen)


@pytest.mark.parametrize("kind", [list, np.array, xr.DataArray, iter])
def test_masks(kind):
    assert as_selection("selection", kind([True, False, False, True, True]), 5) == (0, 3, 4)
    assert as_selection("selection", kind([True] * 5), 5) is None


def test_the_selection_of_everything_is_none():
    assert as_selection("selection", None, 5) is None
    assert as_selection("selection", range(5), 5) is None
    assert as_selection("selection", (0,), 1) is None
    assert as_selection("selection", range(4), 5) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ((), ValueError, r"^selection must keep at least one of the 5 paths, got \(\)$"),
        ((0, 5), ValueError, r"^selection\[1\] must be at most 4, got 5$"),
        ((-1,), ValueError, r"^selection\[0\] must be at least 0, got -1$"),
        ((2, 1), ValueError, "^selection must be increasing, got 1 after 2$"),
        ((1, 1), ValueError, "^selection must be increasing, got 1 after 1$"),
        ((1.0,), TypeError, r"^selection\[0\] must be an integer, got 1.0$"),
        ((False, True), ValueError, "^selection must have one entry for each of the 5 paths .* 2$"),
        ((False, 3), TypeError, r"^selection\[0\] must be an integer, got False$"),
        ((False,) * 5, ValueError, "^selection must keep at least one of the 5 paths"),
        (3, TypeError, "^selection must be a sequence of integers or None, got 3$"),
        ("012", TypeError, "^selection must be a sequence of integers or None, got '012'$"),
    ],
)
def test_what_is_no_selection_is_named(rows, error, message):
    with pytest.raises(error, match=message):
        as_selection("selection", rows, 5)


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ("zero", "zero"),
        (("reflect", "periodic"), ("reflect", "periodic")),
        (["nearest", "zero"], ("nearest", "zero")),
        (("reflect", "reflect"), "reflect"),
    ],
)
def test_boundaries(value, boundary):
    assert as_boundary("boundary", value, 2, BOUNDARIES) == boundary


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mirror", "^boundary must be one of 'reflect', .*, got 'mirror'$"),
        (None, "^boundary must be one of 'reflect', .*, got None$"),
        (("reflect",), "^boundary must be a word or a sequence of 2, one for each core axis, got"),
        (("reflect", "wrap"), r"^boundary\[1\] must be one of 'reflect', .*, got 'wrap'$"),
    ],
)
def test_what_is_no_boundary_is_named(value, message):
    with pytest.raises(ValueError, match=message):
        as_boundary("boundary", value, 2, BOUNDARIES)


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (np.float32(0.5), 0.5), (1e300, 1e300)])
def test_positive_numbers(value, number):
    found = as_positive("sigma_0", value)
    assert found == number
    assert type(found) is float


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "^sigma_0 must be above 0 and finite, got 0$"),
        (-2.5, ValueError, "^sigma_0 must be above 0 and finite, got -2.5$"),
        (float("inf"), ValueError, "^sigma_0 must be above 0 and finite, got inf$"),
        (float("nan"), ValueError, "^sigma_0 must be above 0 and finite, got nan$"),
        ("1", TypeError, "^sigma_0 must be a number, got '1'$"),
        (True, TypeError, "^sigma_0 must be a number, got True$"),
        (1j, TypeError, "^sigma_0 must be a number, got 1j$"),
    ],
)
def test_what_is_no_positive_number_is_named(value, error, message):
    with pytest.raises(error, match=message):
        as_positive("sigma_0", value)


def test_flags():
    assert as_flag("covariant", True) is True
    assert as_flag("covariant", np.False_) is False
    with pytest.raises(TypeError, match=r"^covariant must be True or False, got 1$"):
        as_flag("covariant", 1)


@pytest.mark.parametrize("value", [(0.5, 1, 2), [0.5, 1, 2], np.array([0.5, 1, 2])])
def test_powers(value):
    assert as_powers("powers", value) == (0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ((), ValueError, r"^powers must have at least one power, got \(\)$"),
        ((1, 1.0), ValueError, "^powers must differ from each other, got"),
        ((1, 0), ValueError, r"^powers\[1\] must be above 0 and finite, got 0$"),
        (2, TypeError, "^powers must be a sequence of numbers, got 2$"),
        ("12", TypeError, "^powers must be a sequence of numbers, got '12'$"),
    ],
)
def test_what_are_no_powers_is_named(value, error, message):
    with pytest.raises(error, match=message):
        as_powers("powers", value)
