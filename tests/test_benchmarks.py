"""The helpers of the benchmarks measure what they say."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

import scatdask

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def ffts():
    spec = importlib.util.spec_from_file_location("benchmark_ffts", FOLDER / "ffts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_replay_does_the_ffts_that_were_recorded(ffts, rng):
    x = rng.standard_normal((3, 4096), dtype=np.float32)
    S = scatdask.Scattering1D(J=5, Q=4, max_order=1)
    with ffts.recorded() as calls:
        S(x)
    assert [call.name for call in calls].count("ifft") >= len(S.branches)
    with ffts.recorded() as again:
        ffts.replay(calls)()

    def shapes(these):
        return [(call.name, call.shape, call.strides, call.dtype) for call in these]

    assert shapes(again) == shapes(calls)


def test_recording_ends(ffts):
    before = scipy.fft.rfft
    with ffts.recorded() as calls:
        scipy.fft.rfft(np.zeros(8))
    assert scipy.fft.rfft is before
    assert [(call.name, call.shape) for call in calls] == [("rfft", (8,))]


def test_replay_in_place_keeps_its_numbers_normal(ffts):
    with ffts.recorded() as calls:
        scipy.fft.ifft(np.ones((2, 64), np.complex64), overwrite_x=True)
    run = ffts.replay(calls)
    for _ in range(100):
        run()
    (step,) = run.__closure__[0].cell_contents
    assert np.linalg.norm(step.args[0]) == pytest.approx(np.sqrt(2 * 64), rel=0.3)
