import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import TimeFrequencyScattering
from scatdask.arrays import Like
from scatdask.kernels import Keep, transform_rows
from scatdask.kernels.time_frequency import sampled_transform
from tests import reference_jtfs
from tests.reference import worst_path

# One of each kind.
CASES = [
    {"J": 4, "J_fr": 1, "Q": 4},
    {"J": 5, "J_fr": 2, "Q": 8, "format": "joint"},
    {"J": 5, "J_fr": 2, "Q": (6, 2), "T": 64, "F": 2},
    {"J": 6, "J_fr": 3, "Q": 8, "T": 12, "Q_fr": 2, "F": 3, "format": "joint"},
    {"J": 5, "J_fr": 2, "Q": 8, "stride": 4, "F": 9},
    {"J": 5, "J_fr": 2, "Q": 4, "F": 0},
    {"J": 5, "J_fr": 2, "Q": 8, "F": "global"},
    {"J": 4, "J_fr": 2, "Q": 8, "T": 0},
    {"J": 4, "J_fr": 2, "Q": 8, "T": 0, "F": "global", "format": "joint"},
    {"J": 4, "J_fr": 2, "Q": 8, "T": "global"},
    {"J": 4, "J_fr": 1, "Q": 4, "T": "global", "format": "joint"},
]


def transform_of(case: dict, dtype: str = "float64") -> TimeFrequencyScattering:
    return TimeFrequencyScattering(**case, boundary="periodic", dtype=dtype)


def run(transform, xp, x: np.ndarray, keep: Keep | None = None) -> list[np.ndarray]:
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


class _Plain:
    asarray = staticmethod(np.asarray)
    to_numpy = staticmethod(np.asarray)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_equals_the_plain_definition(xp, rng, case):
    transform = transform_of(case)
    x = rng.standard_normal((3, 384))
    expected = reference_jtfs.joint_scattering(transform, x)
    found = run(transform, xp, x)
    if transform.T == "global":
        counts = [384 // rate for rate in transform.rates]
        found = [y[..., 0] / count for y, count in zip(found, counts, strict=True)]
    assert worst_path(found, expected) < 1e-10


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_in_single_precision(rng, case):
    transform = transform_of(case, "float32")
    x = rng.standard_normal((2, 384))
    expected = reference_jtfs.joint_scattering(transform, x)
    found = reference_jtfs.as_paths(transform(x.astype(np.float32)), transform)
    assert all(y.dtype == np.float32 for y in found)
    assert worst_path(found, expected) < 2e-5


@settings(max_examples=20)
@given(
    J=st.integers(1, 6),
    J_fr=st.integers(1, 3),
    Q=st.tuples(st.integers(1, 10), st.integers(1, 2)),
    Q_fr=st.integers(1, 2),
    log2_T=st.integers(0, 7),
    T_extra=st.integers(0, 40),
    coarser=st.integers(0, 3),
    F=st.one_of(st.none(), st.just("global"), st.integers(0, 20)),
    joint=st.booleans(),
    rows=st.integers(1, 5),
    periods=st.integers(1, 4),
)
def test_kernel_equals_the_plain_definition_for_many_parameters(
    J, J_fr, Q, Q_fr, log2_T, T_extra, coarser, F, joint, rows, periods
):
    parameters = {
        "Q": Q,
        "Q_fr": Q_fr,
        "T": 2**log2_T + T_extra,
        "F": F,
        "stride": 2 ** max(log2_T - coarser, 0),
        "format": "joint" if joint else "time",
    }
    try:
        transform = TimeFrequencyScattering(
            J, J_fr=J_fr, boundary="periodic", dtype="float64", **parameters
        )
    except ValueError as error:
        assert "the largest" in str(error) or "F=0" in str(error)
        return
    n = periods * 128
    x = np.random.default_rng(n + rows).standard_normal((rows, n))
    expected = reference_jtfs.joint_scattering(transform, x)
    found = reference_jtfs.as_paths(transform(x), transform)
    # Deep in the stop band of a low-pass wider than the signal there is rounding only.
    assert worst_path(found, expected, floor=1e-6) < 1e-9


def test_input_is_not_written_to(rng):
    x = rng.standard_normal((2, 512))
    before = x.copy()
    run(transform_of(CASES[0]), _Plain, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("case", CASES[:7], ids=str)
def test_keep_cuts_the_outputs_of_the_whole(rng, case):
    transform = transform_of(case)
    n = 2048  # long enough that a part sees a part of each plane only
    x = rng.standard_normal((2, n))
    whole = run(transform, _Plain, x)
    start = 2 * transform.alignment
    for stop in (start + 1, start + transform.alignment, n - 3):
        part = run(transform, _Plain, x, Keep(start, stop))
        first, last = start // transform.stride, -(-stop // transform.stride)
        for a, b in zip(part, whole, strict=True):
            np.testing.assert_allclose(a, b[..., first:last], rtol=0, atol=1e-13)


@pytest.mark.parametrize("format", ["time", "joint"])
def test_keep_cuts_the_outputs_of_each_rate(rng, format):
    transform = transform_of({"J": 4, "J_fr": 2, "T": 0, "format": format})
    x = rng.standard_normal((2, 1024))
    whole, part = run(transform, _Plain, x), run(transform, _Plain, x, Keep(32, 500))
    for a, b, rate in zip(part, whole, transform.rates, strict=True):
        np.testing.assert_allclose(a, b[..., 32 // rate : -(-500 // rate)], atol=1e-14)


def test_many_samples_are_taken_a_few_at_a_time(rng, monkeypatch):
    x = rng.standard_normal((3, 512))
    for case in CASES:
        transform = transform_of(case)
        sampled_transform.cache_clear()
        whole = run(transform, _Plain, x)
        with monkeypatch.context() as patch:
            patch.setattr("scatdask.kernels.quefrency.columns_at_once", lambda m, memory, dtype: 37)
            sampled_transform.cache_clear()
            found = run(transform, _Plain, x)
        sampled_transform.cache_clear()
        for a, b in zip(found, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_offset_goes_back_into_order_zero_only(xp, rng):
    x = rng.standard_normal((2, 256))
    offset = np.array([100.0, -7.0])
    for T, weight in ((None, 1), (0, 1), ("global", 256)):
        transform = transform_of({"J": 4, "J_fr": 1, "Q": 4, "T": T})
        keep = (Keep(0, 256),)
        with_offset = transform_rows(transform, xp.asarray(x), xp.asarray(offset), keep)
        without = transform_rows(transform, xp.asarray(x), xp.asarray(0 * offset), keep)
        for a, b, output in zip(with_offset, without, transform.outputs, strict=True):
            difference = xp.to_numpy(a) - xp.to_numpy(b)
            for row, path in enumerate(output.paths):
                expected = weight * offset[:, None] if path == 0 else 0.0 * offset[:, None]
                np.testing.assert_allclose(difference[:, row], expected + 0 * difference[:, row])


# Selected paths


@settings(max_examples=20)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_selected_paths_are_those_of_the_whole(data, case):
    everything = transform_of(case)
    rows = data.draw(
        st.sets(st.integers(0, everything.n_paths - 1), min_size=1).map(sorted), label="rows"
    )
    some = dataclasses.replace(everything, selection=tuple(rows))
    x = np.random.default_rng(len(rows)).standard_normal((3, 256))
    whole, found = run(everything, _Plain, x), run(some, _Plain, x)
    assert len(found) == some.n_paths == len(rows)
    for row, y in zip(rows, found, strict=True):
        np.testing.assert_allclose(y, whole[row], rtol=0, atol=1e-12 * np.abs(whole[row]).max())


def test_what_no_selected_path_needs_is_not_computed(rng):
    everything = TimeFrequencyScattering(8, J_fr=3, Q=8, format="joint")
    x = rng.standard_normal((1, 2048))

    def work(transform):
        sampled = sampled_transform(transform, 2048, Like(x))
        first = sum(len(octave.filters) for octave in sampled.octaves)
        second = sum(len(octave.children) for octave in sampled.octaves)
        along = sum(len(plane.filters) for plane in sampled.planes)
        averages = sum(octave.smooth is not None for octave in sampled.octaves)
        return first, second, along, averages

    assert work(everything)[0] == 54
    # One second-order wavelet of few parents, and one along frequency.
    one = everything.select(lambda p: (p.n2 == 3) & (p.spin == -1) & (p.xi_fr < -0.3))
    assert one.n_paths == 1
    assert work(one) == (10, 1, 1, 0)
    # The average of the first order needs all wavelets, but nothing after them.
    assert work(everything.select(lambda p: p.order == 1)) == (54, 0, 5, len(everything.octaves))
    # Twins share their products, but for the widest wavelet.
    assert work(everything.select(lambda p: p.n2 == 3)) == (10, 1, 6, 0)
    in_time = TimeFrequencyScattering(8, J_fr=3, Q=8)
    assert work(in_time.select(lambda p: p.order == 0)) == (0, 0, 0, 0)
    # Of one path, one place along frequency.
    single = in_time.select(lambda p: (p.n2 == 4) & (p.n1 == 8) & (p.n_fr == 1))
    (plane,) = sampled_transform(single, 2048, Like(x)).planes
    ((end,),) = (along.ends for along in plane.filters)
    assert end.average.shape[0] == single.n_paths == 1


# Laws


def energy(paths: list[np.ndarray], transform: TimeFrequencyScattering) -> float:
    """Return the energy of all outputs, as if they were the whole image."""
    order = transform.paths().order.values
    steps = [transform.axis.stride if level else 1 for level in order]
    return sum(
        float(np.sum(y.astype(float) ** 2)) * transform.stride * step
        for y, step in zip(paths, steps, strict=True)
    )


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[3]], ids=str)
@pytest.mark.parametrize("noise", ["white", "brown"])
def test_energy_is_not_expanded(rng, case, noise):
    transform = transform_of(case)
    x = rng.standard_normal(1536)
    x = x if noise == "white" else np.cumsum(x)
    total = float(np.sum(x**2))
    kept = energy(reference_jtfs.as_paths(transform(x), transform), transform)
    assert 0 < kept <= total * (1 + 1e-6)


@pytest.mark.parametrize("case", CASES[:9], ids=str)
def test_shift_by_the_stride_shifts_the_outputs(rng, case):
    transform = transform_of(case)
    n, step = 768, transform.alignment
    x = rng.standard_normal(n)
    strides = transform.rates if transform.is_ragged else [transform.stride] * transform.n_paths
    before = reference_jtfs.as_paths(transform(x), transform)
    after = reference_jtfs.as_paths(transform(np.roll(x, 3 * step)), transform)
    shifted = [np.roll(y, 3 * step // s, axis=-1) for y, s in zip(before, strides, strict=True)]
    assert worst_path(after, shifted) < 1e-10


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "nearest"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_constant_gives_itself_in_order_zero_and_nothing_else(case, dtype, boundary):
    transform = TimeFrequencyScattering(**case, boundary=boundary, dtype=dtype)
    paths = reference_jtfs.as_paths(transform(np.full(300, 12.25)), transform)
    if transform.format == "time":
        order0 = paths.pop(0)
        np.testing.assert_allclose(order0, 12.25, rtol=1e-6 if dtype == "float32" else 1e-13)
    assert all(not y.any() for y in paths)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_but_order_zero_is_not_negative(rng, case):
    transform = transform_of(case, "float32")
    paths = reference_jtfs.as_paths(transform(np.cumsum(rng.standard_normal(768))), transform)
    for y in paths[transform.has_order0 :]:
        assert y.min() >= -1e-5 * y.max()
        assert y.max() > 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scattering_is_homogeneous(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal(384)
    paths = reference_jtfs.as_paths(transform(x), transform)
    for factor in (-8.0, 1e-200, 1e200):  # powers of ten too: no hidden epsilon
        expected = [abs(factor) * y for y in paths]
        if transform.has_order0:
            expected[0] = factor * paths[0]
        scaled = reference_jtfs.as_paths(transform(factor * x), transform)
        assert worst_path(scaled, expected, floor=0) < 1e-10


@pytest.mark.parametrize("case", [CASES[1], CASES[3], CASES[8], CASES[10]], ids=str)
def test_time_reversal_swaps_spins(rng, case):
    transform = transform_of(case)
    x = rng.standard_normal(768)
    forward = reference_jtfs.as_paths(transform(x), transform)
    # Sample 0 stays where it is.
    backward = reference_jtfs.as_paths(transform(np.roll(x[::-1], 1)), transform)
    table = transform.paths()
    keys = list(zip(table.n2.values, table.xi_fr.values, strict=True))
    widest = max(abs(xi) for _, xi in keys)
    for (n2, xi), y in zip(keys, forward, strict=True):
        twin = keys.index((n2, -xi)) if n2 >= 0 else keys.index((n2, xi))
        turned = backward[twin]
        if transform.T != "global":
            turned = np.roll(turned[..., ::-1], 1, axis=-1)
        # Kymatio's widest wavelet of negative quefrency lacks an alias.
        allowed = 1e-4 if n2 >= 0 and abs(xi) == widest else 1e-10
        assert np.abs(turned - y).max() <= allowed * np.abs(y).max()


@pytest.mark.parametrize("rises", [True, False])
def test_chirps_have_the_spin_of_their_direction(rises):
    t = np.arange(4096) / 4096
    octaves = 5 * t if rises else 5 * (1 - t)
    x = np.sin(2 * np.pi * np.cumsum(2.0**octaves / 100))
    transform = TimeFrequencyScattering(8, J_fr=3, Q=8, format="joint")
    table = transform.paths()
    power = np.sum(transform(x).astype(float) ** 2, axis=(-2, -1))
    second = table.order.values == 2
    with_, against = (
        power[second & (table.spin.values == s)].sum() for s in ((1, -1) if rises else (-1, 1))
    )
    assert with_ > 3 * against


def test_sampled_filters_are_kept_and_hold_no_signal(rng):
    import gc
    import weakref

    transform = transform_of(CASES[0])
    x = rng.standard_normal((2, 640))
    sampled = sampled_transform(transform, 640, Like(x))
    assert sampled_transform(transform, 640, Like(x[:1])) is sampled
    assert sampled_transform(transform, 320, Like(x)) is not sampled
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None
