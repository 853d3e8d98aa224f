"""The invariant, on the lazy road: no number depends on chunks, for any transform."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import HarmonicScattering3D, Scattering1D, Scattering2D, TimeFrequencyScattering
from scatdask.lazy import scattering
from tests.lazy.common import TOLERANCE, chunkings, compute, noise, whole, worst

BOUNDARIES = ["reflect", "periodic", "zero", "nearest"]


@st.composite
def some_paths(draw, transform):
    """Draw a transform with all of its paths, or a few."""
    if draw(st.booleans()):
        return transform
    wanted = draw(st.sets(st.integers(0, transform.n_paths - 1), min_size=1, max_size=5))
    return transform.select(lambda table: np.isin(np.arange(table.sizes["path"]), list(wanted)))


@st.composite
def signals(draw):
    transform = Scattering1D(
        draw(st.integers(1, 3)),
        Q=draw(st.sampled_from([1, (3, 2)])),
        T=draw(st.sampled_from([None, 0, "global"])),
        max_order=3,
        boundary=draw(st.sampled_from(BOUNDARIES)),
        dtype="float64",
    )
    return draw(some_paths(transform)), (draw(st.sampled_from([31, 509, 1024])),)


@st.composite
def images(draw):
    J = draw(st.integers(1, 3))
    transform = Scattering2D(
        J,
        L=draw(st.integers(1, 4)),
        max_order=draw(st.integers(1, 2)),
        stride=draw(st.sampled_from([None, 1, 2])),
        boundary=tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(2)),
        dtype="float64",
        sampling="space",
    )
    shape = tuple(draw(st.sampled_from([9, 32, 61, 90])) for _ in range(2))
    return draw(some_paths(transform)), shape


@st.composite
def volumes(draw):
    transform = HarmonicScattering3D(
        draw(st.integers(0, 1)),
        L=1,
        method=draw(st.sampled_from(["integral", "local"])),
        integral_powers=draw(st.sampled_from([(1.0,), (0.5, 2.0)])),
        rotation_covariant=draw(st.booleans()),
        boundary=tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(3)),
        dtype="float64",
        sampling="space",
    )
    shape = tuple(draw(st.sampled_from([7, 16, 19])) for _ in range(3))
    return draw(some_paths(transform)), shape


@st.composite
def joint(draw):
    transform = TimeFrequencyScattering(
        draw(st.integers(3, 4)),
        J_fr=draw(st.integers(1, 2)),
        Q=draw(st.sampled_from([2, (4, 2)])),
        T=draw(st.sampled_from([None, 0, "global"])),
        F=draw(st.sampled_from([None, 1, "global"])),
        format=draw(st.sampled_from(["time", "joint"])),
        boundary=draw(st.sampled_from(BOUNDARIES)),
        dtype="float64",
    )
    return draw(some_paths(transform)), (draw(st.sampled_from([97, 777])),)


def check(case, data, most_chunks, most_blocks):
    transform, core = case
    shape = (*data.draw(st.sampled_from([(), (2,), (1, 3)])), *core)
    chunks = (
        *((1,) * size for size in shape[: len(shape) - len(core)]),
        *(data.draw(chunkings(n, most=most_chunks)) for n in core),
    )
    unit = transform.alignment
    lengths = tuple(
        unit * data.draw(st.integers(-(-n // (unit * most_blocks)), n // unit + 1)) for n in core
    )
    x = noise(shape, data.draw(st.sampled_from(["white", "brown"])))
    lazy = scattering(da.from_array(x, chunks=chunks), transform, lengths=lengths)
    got = compute(lazy)
    assert [a.shape for a in lazy] == [a.shape for a in got]
    assert worst(transform, got, whole(transform, x), x) <= TOLERANCE["float64"]


# For each kind what draws it, how many cases, chunks along an axis, and blocks along an axis.
KINDS = {
    "signals": (signals, 25, 50, 8),
    "images": (images, 15, 8, 3),
    "volumes": (volumes, 10, 4, 2),
    "joint": (joint, 15, 30, 5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_chunking_equals_one_array(kind):
    cases, n_cases, most_chunks, most_blocks = KINDS[kind]

    @settings(max_examples=n_cases, deadline=None, derandomize=True)
    @given(cases(), st.data())
    def some(case, data):
        check(case, data, most_chunks, most_blocks)

    some()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_any_chunking_equals_one_array_in_many_new_cases(kind):
    cases, n_cases, most_chunks, most_blocks = KINDS[kind]

    @settings(max_examples=10 * n_cases, deadline=None, derandomize=False)
    @given(cases(), st.data())
    def many(case, data):
        check(case, data, most_chunks, most_blocks)

    many()


EXAMPLES = {
    "signals": (Scattering1D(J=3), (500,)),
    "images": (Scattering2D(J=2, L=2), (60, 50)),
    "a whole image": (Scattering2D(J=2, L=2, boundary="periodic"), (64, 48)),
    "volumes": (HarmonicScattering3D(J=0, L=1, method="local", stride=1), (12, 14, 16)),
    "integrals": (HarmonicScattering3D(J=0, L=1, boundary="reflect"), (12, 14, 16)),
    "a whole volume": (HarmonicScattering3D(J=0, L=1), (12, 14, 16)),
    "joint": (TimeFrequencyScattering(J=4, J_fr=2, Q=4, format="joint"), (500,)),
}


@pytest.fixture(params=EXAMPLES)
def example(request):
    return EXAMPLES[request.param]


def test_blocks_of_the_default_size_give_the_same_numbers(example):
    transform, shape = example
    x = noise((2, *shape))
    lazy = scattering(da.from_array(x, chunks=(1, *(7,) * len(shape))), transform)
    assert worst(transform, compute(lazy), whole(transform, x), x) <= TOLERANCE["float32"]


def test_nothing_is_computed_and_names_are_the_same_each_time(example):
    def fail(block):
        raise AssertionError("computed")

    transform, shape = example
    x = da.zeros((2, *shape), chunks=(1, *(7,) * len(shape)))
    x = x.map_blocks(fail, meta=np.empty((0,) * x.ndim), name="refused")
    first, again = scattering(x, transform), scattering(x, transform)
    for a, b in zip(first, again, strict=True):
        assert a.name == b.name
        assert set(a.dask) == set(b.dask)


def test_threads_give_the_same_bits(example):
    transform, shape = example
    x = da.from_array(noise((2, *shape)), chunks=(1, *(n // 2 + 1 for n in shape)))
    for lazy in scattering(x, transform):
        np.testing.assert_array_equal(
            lazy.compute(scheduler="sync"), lazy.compute(scheduler="threads", num_workers=3)
        )


def test_a_whole_image_that_does_not_fit_says_so():
    x = da.zeros((5000, 256, 256), chunks=(5000, 256, 1), dtype="f4")
    with pytest.raises(MemoryError, match=r"whole of 256 x 256 samples.* sampling='space'"):
        scattering(x, Scattering2D(J=3, boundary="periodic"))
