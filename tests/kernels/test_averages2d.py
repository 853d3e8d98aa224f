import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask import Scattering2D
from scatdask.kernels import Keep
from scatdask.kernels.averages2d import Average, averages, axis_smoother
from tests.reference2d import low_pass


def average_of(taps, step, shape, keep, like) -> Average:
    along_y, along_x = (
        axis_smoother(taps, step, n, kept, axis, "float64", like=like)
        for n, kept, axis in zip(shape, keep, (-2, -1), strict=True)
    )
    return Average(along_y, along_x)


@given(
    half=st.integers(0, 40),
    step=st.sampled_from([1, 2, 4]),
    counts=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cut=st.floats(0, 1),
    batch=st.integers(1, 3),
)
def test_smoother_is_a_circular_convolution(half, step, counts, cut, batch):
    rng = np.random.default_rng(half)
    taps = rng.standard_normal(2 * half + 1)
    taps += taps[::-1]
    shape = tuple(count * step for count in counts)
    x = rng.standard_normal((batch, *shape))
    keep = [(int(cut * (count - 1)), count) for count in counts]
    average = average_of(taps, step, shape, keep, x)
    expected = x
    for axis, n in zip((-2, -1), shape, strict=True):
        wrapped = np.zeros(n)
        np.add.at(wrapped, np.arange(-half, half + 1) % n, taps)
        matrix = np.stack([np.roll(wrapped, shift) for shift in range(n)])
        expected = np.moveaxis(np.tensordot(expected, matrix, axes=(axis, 1)), -1, axis)
    expected = expected[:, ::step, ::step][:, keep[0][0] :, keep[1][0] :]
    np.testing.assert_allclose(average(x), expected, rtol=0, atol=1e-9)


def test_many_outputs_are_averaged_in_groups(xp, rng):
    x = rng.standard_normal((1, 400, 300))
    taps = np.exp(-(np.linspace(-3, 3, 41) ** 2))
    average = average_of(taps, 2, (400, 300), ((0, 200), (0, 150)), xp.asarray(x))
    assert [len(axis.groups) for axis in (average.along_y, average.along_x)] == [10, 4]
    found = xp.to_numpy(average(xp.asarray(x)))
    rows = np.stack([np.roll(np.pad(taps, (0, 400 - 41)), 2 * k - 20) for k in range(200)])
    columns = np.stack([np.roll(np.pad(taps, (0, 300 - 41)), 2 * k - 20) for k in range(150)])
    np.testing.assert_allclose(found, rows @ x @ columns.T, rtol=0, atol=1e-9)


@pytest.mark.parametrize("sampling", ["space", "frequency"])
@pytest.mark.parametrize(("J", "stride"), [(1, 2), (3, 8), (3, 2)])
def test_averages_are_by_the_low_pass_of_each_rate(rng, J, stride, sampling):
    transform = Scattering2D(
        J, stride=stride, boundary="periodic", sampling=sampling, dtype="float64"
    )
    shape, keep = (64, 96), (Keep(0, 64), Keep(0, 96))
    found = averages(transform, shape, keep, np.empty(0))
    assert set(found) == {1, *transform.rates}
    for rate, average in found.items():
        size = 64 // rate, 96 // rate
        x = rng.standard_normal((2, *size))
        response = low_pass(size, rate, J)
        if sampling == "frequency":
            rows, columns = (np.fft.fftfreq(n, 1 / n).astype(int) for n in size)
            response = low_pass(shape, 1, J)[np.ix_(rows, columns)]
        step = stride // rate
        expected = np.fft.ifft2(np.fft.fft2(x) * response).real[:, ::step, ::step]
        np.testing.assert_allclose(average(x), expected, rtol=0, atol=1e-12)


def test_averages_are_kept():
    transform, keep = Scattering2D(3), (Keep(48, 272), Keep(48, 272))
    found = averages(transform, (320, 320), keep, np.empty(0))
    assert averages(transform, (320, 320), keep, np.empty(0)) is found
    assert averages(transform, (320, 320), (Keep(48, 264), keep[1]), np.empty(0)) is not found
