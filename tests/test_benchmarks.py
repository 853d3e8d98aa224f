"""The helpers of the benchmarks measure what they say."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

import scatdask

FOLDER = Path(__file__).parent / "benchmarks"


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ffts():
    return module_of("ffts")


@pytest.fixture
def gpu(ffts, monkeypatch):
    monkeypatch.setitem(sys.modules, "ffts", ffts)  # which it imports as its neighbour
    return module_of("gpu")


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


def test_replay_in_place_keeps_its_numbers_and_its_norm(ffts):
    with ffts.recorded() as calls:
        scipy.fft.ifft(np.ones((2, 64), np.complex64), norm="forward", overwrite_x=True)
    run = ffts.replay(calls)
    for _ in range(100):
        run()
    (step,) = run.__closure__[0].cell_contents
    assert step.keywords["norm"] == "forward"
    assert not step.args[0].any()


def test_bytes_that_ffts_must_move(gpu):
    class Transform:
        ndim = 1

        def __call__(self, x):
            half = scipy.fft.rfft(x)
            scipy.fft.irfft(half, 8, workers=1)
            scipy.fft.ifft(half)
            wide = scipy.fft.rfftn(np.zeros((2, 4, 6), np.float32), axes=(-2, -1))
            scipy.fft.irfftn(wide, (4, 6), axes=(-2, -1))

    x = np.zeros((6, 2, 8), np.float32)  # four rows of twelve are looked at
    real, half, wide = 4 * 8 * 4, 4 * 5 * 8, (2 * 4 * 6 * 4, 2 * 4 * 4 * 8)
    assert gpu.fft_bytes(Transform(), x) == 3 * (2 * (real + half) + 2 * half + 2 * sum(wide))


def test_the_gpu_part_says_why_it_is_skipped(gpu):
    reason = gpu.why_not()
    assert reason is None or "CUDA" in reason or "CuPy" in reason


def test_table_of_the_gpu_part(gpu):
    row = {
        **gpu.CASES[0],
        "device": "a card",
        "paths": 234,
        "bytes": 2**33,
        "scatdask_s": 0.01,
        "bandwidth": 2e12,
        "share_of_bandwidth": 0.43,
        "rival": "torch or Kymatio is not installed",
    }
    table = module_of("tables").tables({"gpu": [row, {**row, "kymatio_s": 0.1, "speedup": 10.0}]})
    assert "a card" in table
    assert "64 x 65536, J=8, Q=8 (234 paths) | torch or Kymatio is not installed" in table
    assert "100.0 ms" in table
    assert "43 %" in table
