"""The kernel over its FFTs alone: what is left to gain where the FFT library is what it is.

The FFTs of one call are recorded, then replayed on warm buffers of the same shapes, strides and
types, in the same order and through the same library.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import scipy.fft

NAMES = ("fft", "ifft", "rfft", "irfft", "fftn", "ifftn", "rfftn", "irfftn")
IN_PLACE = ("fft", "ifft", "fftn", "ifftn")


class Call(NamedTuple):
    """One call of an FFT."""

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]


@contextlib.contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record the calls of `scipy.fft`."""
    calls: list[Call] = []

    def recorder(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def record(x: np.ndarray, *arguments: Any, **keywords: Any) -> Any:
            how = tuple(keywords.items())
            calls.append(Call(name, x.shape, x.strides, x.dtype.str, arguments, how))
            return function(x, *arguments, **keywords)

        return record

    wrapped = {name: recorder(name, getattr(scipy.fft, name)) for name in NAMES}
    with mock.patch.multiple(scipy.fft, **wrapped):
        yield calls


def replay(calls: list[Call]) -> Callable[[], None]:
    """Return a function that does the same FFTs again, on buffers of its own."""
    buffers: dict[tuple[Any, ...], np.ndarray] = {}
    steps = []
    for call in calls:
        place = (call.shape, call.strides, call.dtype)
        if place not in buffers:
            buffers[place] = _buffer(*place)
        keywords = dict(call.keywords)
        if keywords.get("overwrite_x") and call.name in IN_PLACE:
            # In place again and again: all but zero would get denormal, and slow, or overflow.
            buffers[place][...] = 0
        function = getattr(scipy.fft, call.name)
        steps.append(partial(function, buffers[place], *call.arguments, **keywords))

    def run() -> None:
        for step in steps:
            step()

    return run


def _buffer(shape: tuple[int, ...], strides: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return an array laid out as the one that was transformed, on memory of its own."""
    itemsize = np.dtype(dtype).itemsize
    reach = sum((n - 1) * abs(stride) for n, stride in zip(shape, strides, strict=True))
    values = np.random.default_rng(0).standard_normal(reach // itemsize + 1).astype(dtype)
    return np.lib.stride_tricks.as_strided(values, shape, tuple(map(abs, strides)))


def measure(
    transform: str, parameters: dict[str, Any], shape: list[int], rows: int, rounds: int
) -> dict[str, Any]:
    """Time calls of a transform, their kernel, and their FFTs in turn.

    Returns
    -------
    dict
        Medians in seconds per signal, and the medians of the ratios of neighbours.
    """
    import scatdask
    from scatdask.blocks import function

    called = getattr(scatdask, transform)(**parameters)
    x = np.random.default_rng(0).standard_normal((rows, *shape), dtype=np.float32)
    in_kernel: list[float] = []
    kernel = function.transform_rows

    def timed(*arguments: Any) -> Any:
        start = time.process_time()
        result = kernel(*arguments)
        in_kernel.append(time.process_time() - start)
        return result

    with recorded() as calls:
        called(x)
    ffts = replay(calls)
    ffts()
    times: dict[str, list[float]] = {"call": [], "kernel": [], "ffts": []}
    with mock.patch.object(function, "transform_rows", timed):
        for _ in range(rounds):
            in_kernel.clear()
            times["call"].append(_seconds(lambda: called(x)))
            times["kernel"].append(sum(in_kernel))
            times["ffts"].append(_seconds(ffts))
    result: dict[str, Any] = {k: statistics.median(v) / rows for k, v in times.items()}
    for name in ("call", "kernel"):
        pairs = zip(times[name], times["ffts"], strict=True)
        result[f"{name}_over_ffts"] = statistics.median(a / b for a, b in pairs)
    return {**result, "n_ffts": len(calls)}


def _seconds(function: Callable[[], Any]) -> float:
    """Time a call by the clock of this thread's work, which other processes do not advance."""
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    print(json.dumps(measure(*json.loads(sys.argv[1]))))
