"""Transforms of CuPy arrays on a CUDA device, against Kymatio's torch frontend on the same card.

The rival is timed where torch (with CUDA) and Kymatio can be imported beside CuPy. How good the
time is without a rival is told by the bytes that must move over what the card moves in that time:
what each FFT reads and writes, as recorded on NumPy, the input and the outputs.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import ffts
import numpy as np

# Kymatio's own benchmark sizes. Rows of a shape such as (128, 3) are one batch.
CASES: list[dict[str, Any]] = [
    *(
        {
            "transform": "Scattering1D",
            "parameters": {"J": J, "Q": 8},
            "batch": (64,),
            "shape": (2**16,),
        }
        for J in range(8, 14)
    ),
    {
        "transform": "Scattering2D",
        "parameters": {"J": 3, "L": 8},
        "batch": (128, 3),
        "shape": (256, 256),
    },
    {
        "transform": "HarmonicScattering3D",
        "parameters": {"J": 2, "L": 2},
        "batch": (8,),
        "shape": (128, 128, 128),
    },
]


def why_not() -> str | None:
    """Say what keeps this part from being measured here, if anything does."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install scatdask[gpu]"
    import cupy

    return None if cupy.cuda.is_available() else "there is no CUDA device"


def measure(case: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Time calls in turn, after one of each that counts for nothing.

    Returns
    -------
    dict
        Medians in seconds for the whole batch; without a rival its entries are absent.
    """
    import cupy

    import scatdask

    transform = getattr(scatdask, case["transform"])(**case["parameters"])
    x = np.random.default_rng(0).standard_normal((*case["batch"], *case["shape"]), np.float32)
    device = cupy.asarray(x)
    outputs = transform(device)
    n_bytes = x.nbytes + outputs.nbytes + fft_bytes(transform, x)
    del outputs
    sides: dict[str, Callable[[], Any]] = {"scatdask": lambda: transform(device)}
    result: dict[str, Any] = {"device": device_name(), "bytes": n_bytes, "paths": transform.n_paths}
    rival, result["rival"] = _rival(case, x)
    if rival:
        sides["kymatio"] = rival
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, call in sides.items():
            times[side].append(_seconds(call))
    bandwidth = _copy_bandwidth()
    result |= {f"{side}_s": statistics.median(seconds) for side, seconds in times.items()}
    result["bandwidth"] = bandwidth
    result["share_of_bandwidth"] = n_bytes / (result["scatdask_s"] * bandwidth)
    if rival:
        pairs = zip(times["kymatio"], times["scatdask"], strict=True)
        result["speedup"] = statistics.median(a / b for a, b in pairs)
    return result


def _rival(case: dict[str, Any], x: np.ndarray) -> tuple[Callable[[], Any] | None, str]:
    """Prepare Kymatio on the same card; say what came of it."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "kymatio")):
        return None, "torch or Kymatio is not installed"
    import torch

    if not torch.cuda.is_available():
        return None, "torch has no CUDA"
    import kymatio.torch

    shape = case["shape"][0] if len(case["shape"]) == 1 else tuple(case["shape"])
    transform = getattr(kymatio.torch, case["transform"])(**case["parameters"], shape=shape)
    transform = transform.cuda()
    tensor = torch.as_tensor(x, device="cuda")

    def call() -> None:
        with torch.no_grad():
            transform(tensor)
        torch.cuda.synchronize()

    try:
        call()
    except torch.cuda.OutOfMemoryError:
        return None, "Kymatio ran out of memory"
    return call, "measured"


def fft_bytes(transform: Any, x: np.ndarray) -> int:
    """Return the bytes that the FFTs of a call read and write, from those of a few rows."""
    flat = x.reshape(-1, *x.shape[x.ndim - transform.ndim :])
    few = flat[:4]
    with ffts.recorded() as calls:
        transform(few)
    total = 0
    for call in calls:
        read = int(np.prod(call.shape)) * np.dtype(call.dtype).itemsize
        last = call.shape[-1]
        if call.name.startswith("rfft"):
            written = 2 * read * (last // 2 + 1) // last
        elif call.name.startswith("irfft"):
            given = (*call.arguments, *(v for k, v in call.keywords if k in ("n", "s")))[0]
            n = given if isinstance(given, int) else given[-1]
            written = read * n // (2 * last)
        else:
            written = read
        total += read + written
    return total * len(flat) // len(few)


def _seconds(call: Callable[[], Any]) -> float:
    import cupy

    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    call()
    cupy.cuda.Device().synchronize()
    return time.perf_counter() - start


def _copy_bandwidth() -> float:
    """Return the bytes a second that a copy within the device's memory reads and writes."""
    import cupy

    a = cupy.zeros(2**28, np.float32)
    b = cupy.empty_like(a)
    cupy.copyto(b, a)
    seconds = min(_seconds(lambda: cupy.copyto(b, a)) for _ in range(10))
    return 2 * a.nbytes / seconds


def device_name() -> str:
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


if __name__ == "__main__":
    print(json.dumps(measure(*json.loads(sys.argv[1]))))
