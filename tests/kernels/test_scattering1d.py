import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.filters import sample_morlet
from scatdask.kernels import Keep, transform_rows
from scatdask.kernels.operations import filtered_modulus
from scatdask.kernels.scattering1d import sampled_cascade
from tests import reference

# One of each kind: J, Q, T, stride, max_order, selection.
CASES = [
    {"J": 3},
    {"J": 5, "Q": 8},
    {"J": 5, "Q": (4, 2), "T": 64},
    {"J": 6, "Q": 4, "T": 8},
    {"J": 6, "Q": 2, "T": 24, "stride": 4},
    {"J": 5, "Q": 8, "stride": 1},
    {"J": 6, "Q": 4, "max_order": 1},
    {"J": 5, "Q": 2, "T": 0},
    {"J": 5, "Q": 2, "T": "global"},
    {"J": 1, "T": 1},
    {"J": 6, "Q": 2, "max_order": 3},
    {"J": 5, "Q": (3, 2), "max_order": 3, "T": 8},
    {"J": 6, "max_order": 3, "T": 0},
    {"J": 6, "max_order": 3, "T": "global"},
    {"J": 5, "Q": (1, 2), "max_order": 3, "stride": 1},
    {"J": 5, "Q": 2, "selection": (0, 3, 4, 5, 16, 18, 29)},
    {"J": 5, "Q": 2, "max_order": 3, "T": 0, "selection": (0, 9, 20, 40)},
]


def transform_of(case: dict, dtype: str = "float64") -> Scattering1D:
    return Scattering1D(**case, boundary="periodic", dtype=dtype)


def run(transform: Scattering1D, xp, x: np.ndarray, keep: Keep | None = None) -> list[np.ndarray]:
    """Call the kernel and return one array a path."""
    offset = np.zeros(len(x), dtype=x.dtype)
    keep = keep or Keep(0, x.shape[1])
    arrays = transform_rows(transform, xp.asarray(x), xp.asarray(offset), (keep,))
    places = {
        path: xp.to_numpy(array)[:, row]
        for array, output in zip(arrays, transform.outputs, strict=True)
        for row, path in enumerate(output.paths)
    }
    return [places[path] for path in range(transform.n_paths)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_equals_the_plain_definition(xp, rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((3, 768))
    expected = reference.scattering1d(transform, x)
    found = run(transform, xp, x)
    if transform.T == "global":
        counts = [768 // rate for rate in transform.rates]
        found = [y[:, 0] / count for y, count in zip(found, counts, strict=True)]
    assert reference.worst_path(found, expected) < 1e-10


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_in_single_precision(rng, case):
    transform = transform_of(case, "float32")
    x = rng.standard_normal((2, 768))
    expected = reference.scattering1d(transform, x)
    found = reference.as_paths(transform(x.astype(np.float32)), transform)
    assert all(y.dtype == np.float32 for y in found)
    assert reference.worst_path(found, expected) < 5e-6


@settings(max_examples=40)
@given(
    J=st.integers(1, 6),
    Q=st.tuples(st.integers(1, 10), st.integers(1, 3)),
    log2_T=st.integers(0, 7),
    T_extra=st.integers(0, 40),
    coarser=st.integers(0, 3),
    max_order=st.sampled_from([1, 2, 2, 3]),
    rows=st.integers(1, 6),
    periods=st.integers(1, 5),
)
def test_kernel_equals_the_plain_definition_for_many_parameters(
    J, Q, log2_T, T_extra, coarser, max_order, rows, periods
):
    T = 2**log2_T + T_extra
    stride = 2 ** max(log2_T - coarser, 0)
    transform = Scattering1D(
        J, Q=Q, T=T, stride=stride, max_order=max_order, boundary="periodic", dtype="float64"
    )
    n = periods * 128
    x = np.random.default_rng(n + rows).standard_normal((rows, n))
    expected = reference.scattering1d(transform, x)
    found = reference.as_paths(transform(x), transform)
    # Deep in the stop band of a low-pass wider than the signal there is rounding only.
    assert reference.worst_path(found, expected, floor=1e-6) < 1e-9


# Selected paths


@settings(max_examples=40)
@given(data=st.data(), T=st.sampled_from([None, 8, 0, "global"]), max_order=st.integers(1, 3))
def test_selected_paths_are_those_of_the_whole(data, T, max_order):
    everything = Scattering1D(
        5, Q=(2, 2), T=T, max_order=max_order, boundary="periodic", dtype="float64"
    )
    rows = data.draw(
        st.sets(st.integers(0, everything.n_paths - 1), min_size=1).map(sorted), label="rows"
    )
    some = dataclasses.replace(everything, selection=tuple(rows))
    x = np.random.default_rng(len(rows)).standard_normal((3, 256))
    whole, found = run(everything, _Plain, x), run(some, _Plain, x)
    assert len(found) == some.n_paths == len(rows)
    for row, y in zip(rows, found, strict=True):
        np.testing.assert_allclose(y, whole[row], rtol=0, atol=1e-13 * np.abs(whole[row]).max())


@pytest.fixture
def counted(monkeypatch):
    """Return the wavelets that are sampled, and the samples of all that is transformed."""
    sampled, inverse = [], []

    def sample(xi, sigma, n, **options):
        sampled.append((xi, sigma, n))
        return sample_morlet(xi, sigma, n, **options)

    def modulus(spectrum, filters, *arguments):
        inverse.append((len(filters), spectrum.shape[0], filters[0].n_out))
        return filtered_modulus(spectrum, filters, *arguments)

    # The module, which its function of the same name hides.
    names = sys.modules["scatdask.kernels.scattering1d"]
    monkeypatch.setattr("scatdask.kernels.sampling.sample_morlet", sample)
    monkeypatch.setattr(names, "filtered_modulus", modulus)
    forget = names._sampled_cascade.cache_clear
    forget()
    yield sampled, inverse
    forget()


def test_what_no_selected_path_needs_is_not_computed(counted, rng):
    sampled, inverse = counted
    everything = transform_of({"J": 7, "Q": (4, 2), "max_order": 3})
    x = rng.standard_normal((1, 512))
    rows = {path: row for row, path in enumerate(everything.all_path_indices)}
    first, second, _ = everything.wavelets
    n1, n2, n3 = path = everything.all_path_indices[-1]
    cost = everything.flops(x.shape), everything.filter_memory((512,))

    for selected, n_filters in (((), 0), ((n1,), 1), ((n1, n2), 2), (path, 3)):
        transform = dataclasses.replace(everything, selection=(rows[selected],))
        run(transform, _Plain, x)
        expected = [first[n1], second[n2], second[n3]][:n_filters]
        assert [(xi, sigma) for xi, sigma, _ in sampled] == [(w.xi, w.sigma) for w in expected]
        assert sum(filters * signals for filters, signals, _ in inverse) == n_filters
        assert transform.flops(x.shape) < cost[0] / 3
        assert transform.filter_memory((512,)) < cost[1] / 3
        sampled.clear()
        inverse.clear()


def test_work_follows_the_tree_of_what_is_selected(counted, rng):
    _, inverse = counted
    everything = transform_of({"J": 7, "Q": (4, 2), "max_order": 3})
    x = rng.standard_normal((1, 512))
    for some in (
        everything,
        everything.select(lambda path: path.order < 3),
        everything.select(lambda path: path.order == 3),
        everything.select(lambda path: path.xi1 > 0.1),
        everything.select(lambda path: (path.xi2 < path.xi1 / 4) & (path.order == 2)),
    ):
        run(some, _Plain, x)
        # One inverse FFT for each path that is selected, or begins one that is.
        needed = {path[:order] for path in some.path_indices for order in range(1, len(path) + 1)}
        assert sum(filters * signals for filters, signals, _ in inverse) == len(needed)
        inverse.clear()


def test_without_order_zero_and_its_average_nothing_is_kept_of_the_mean(rng):
    transform = transform_of({"J": 4, "selection": (1, 2)})
    x = rng.standard_normal((2, 256))
    keep = (Keep(0, 256),)
    with_offset = transform_rows(transform, x, np.array([100.0, -7.0]), keep)
    without = transform_rows(transform, x, np.zeros(2), keep)
    np.testing.assert_array_equal(with_offset[0], without[0])


def test_input_is_not_written_to(rng):
    x = rng.standard_normal((2, 512))
    before = x.copy()
    run(transform_of({"J": 4, "Q": 4}), _Plain, x)
    np.testing.assert_array_equal(x, before)


class _Plain:
    asarray = staticmethod(np.asarray)
    to_numpy = staticmethod(np.asarray)


@pytest.mark.parametrize("case", CASES[:7], ids=str)
def test_keep_cuts_the_outputs_of_the_whole(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((2, 1024))
    whole = run(transform, _Plain, x)
    start = 2 * transform.alignment
    for stop in (start + 1, start + transform.alignment, 1024 - 3):
        part = run(transform, _Plain, x, Keep(start, stop))
        first, last = start // transform.stride, -(-stop // transform.stride)
        for a, b in zip(part, whole, strict=True):
            np.testing.assert_allclose(a, b[:, first:last], rtol=0, atol=1e-14)


def test_offset_goes_back_into_order_zero_only(xp, rng):
    x = rng.standard_normal((2, 256))
    offset = np.array([100.0, -7.0])
    for T, weight in ((None, 1), (0, 1), ("global", 256)):
        transform = transform_of({"J": 4, "T": T})
        keep = (Keep(0, 256),)
        with_offset = transform_rows(transform, xp.asarray(x), xp.asarray(offset), keep)
        without = transform_rows(transform, xp.asarray(x), xp.asarray(0 * offset), keep)
        for a, b, output in zip(with_offset, without, transform.outputs, strict=True):
            difference = xp.to_numpy(a) - xp.to_numpy(b)
            for row, path in enumerate(output.paths):
                expected = weight * offset[:, None] if path == 0 else 0.0 * offset[:, None]
                np.testing.assert_allclose(difference[:, row], expected + 0 * difference[:, row])


# Laws


def energy(paths: list[np.ndarray], transform: Scattering1D) -> float:
    strides = transform.rates if transform.is_ragged else [transform.stride] * transform.n_paths
    return sum(float(np.sum(y.astype(float) ** 2)) * s for y, s in zip(paths, strides, strict=True))


@pytest.mark.parametrize(
    "case",
    [
        {"J": 4},
        {"J": 5, "Q": 8},
        {"J": 6, "Q": (8, 2), "stride": 8},
        {"J": 6, "Q": (4, 2), "stride": 8, "max_order": 3},
    ],
)
@pytest.mark.parametrize("noise", ["white", "brown"])
def test_energy_is_not_expanded(rng, case, noise):
    transform = transform_of(case)
    x = rng.standard_normal(2048)
    x = x if noise == "white" else np.cumsum(x)
    total = float(np.sum(x**2))
    kept = energy(reference.as_paths(transform(x), transform), transform)
    assert 0.1 * total < kept <= total * (1 + 1e-6)


@pytest.mark.parametrize("case", CASES[:8], ids=str)
def test_shift_by_the_stride_shifts_the_outputs(rng, case):
    transform = transform_of(case)
    n, step = 1024, transform.alignment
    x = rng.standard_normal(n)
    strides = transform.rates if transform.is_ragged else [transform.stride] * transform.n_paths
    before = reference.as_paths(transform(x), transform)
    after = reference.as_paths(transform(np.roll(x, 3 * step)), transform)
    shifted = [np.roll(y, 3 * step // s) for y, s in zip(before, strides, strict=True)]
    assert reference.worst_path(after, shifted) < 1e-10


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "nearest"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_constant_gives_itself_in_order_zero_and_nothing_else(case, dtype, boundary):
    transform = Scattering1D(**case, boundary=boundary, dtype=dtype)
    order0, *others = reference.as_paths(transform(np.full(300, 12.25)), transform)
    np.testing.assert_allclose(order0, 12.25, rtol=1e-6 if dtype == "float32" else 1e-13)
    assert all(not y.any() for y in others)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_orders_above_zero_are_not_negative(rng, case):
    transform = transform_of(case, "float32")
    _, *others = reference.as_paths(transform(np.cumsum(rng.standard_normal(1024))), transform)
    for y in others:
        assert y.min() >= -1e-5 * y.max()
        assert y.max() > 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scattering_is_homogeneous(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal(512)
    order0, *others = reference.as_paths(transform(x), transform)
    for factor in (-8.0, 1e-200, 1e200):  # powers of ten too: no hidden epsilon
        scaled = reference.as_paths(transform(factor * x), transform)
        expected = [factor * order0, *(abs(factor) * y for y in others)]
        assert reference.worst_path(scaled, expected, floor=0) < 1e-10


def test_sampled_filters_are_kept_and_hold_no_signal(rng):
    import gc
    import weakref

    transform = transform_of({"J": 3, "Q": 3})
    x = rng.standard_normal((2, 640))
    cascade = sampled_cascade(transform, 640, x)
    assert sampled_cascade(transform, 640, x[:1]) is cascade
    assert sampled_cascade(transform, 320, x) is not cascade
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_filters_for_one_library_are_not_given_to_another(rng):
    strict = pytest.importorskip("array_api_strict")
    transform = transform_of({"J": 3, "Q": 3})
    x = rng.standard_normal((2, 384))
    ours = sampled_cascade(transform, 384, x)
    assert sampled_cascade(transform, 384, strict.asarray(x)) is not ours


def test_a_transform_without_a_kernel_is_named():
    with pytest.raises(TypeError, match="no kernel for str"):
        transform_rows("a transform", np.zeros((1, 8)), np.zeros(1), (Keep(0, 8),))  # type: ignore[arg-type]


def test_keep_counts_outputs():
    assert Keep(64, 200).outputs(32) == (2, 7)
    assert Keep(64, 200).n_out(32) == 5
    assert Keep(64, 200).n_out(None) == 1
