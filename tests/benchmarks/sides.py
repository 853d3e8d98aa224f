"""One side of a comparison, in a process of its own that works on request.

The two sides of a comparison run in turn, A B A B, so that whatever else the machine does meets
both. A side may live in another environment than scatdask, so this file imports little.

Requests are lines of JSON on standard input, answers are lines of JSON on standard output:
``{"do": "prepare", "side": ..., "case": {...}}`` and ``{"do": "time", "calls": 3}``.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

# What to time, the clock of its processor time, and what else there is to know.
Side = tuple[Callable[[], Any], Callable[[], float], dict[str, Any]]


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Return the same white noise in every process."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


# One array in memory, one thread


def kernel_scatdask(case: dict[str, Any]) -> Side:
    """Prepare a transform of scatdask on a batch of signals."""
    import backends

    import scatdask

    backends.use(case["fft"])
    kind, parameters = getattr(scatdask, case["transform"]), case["parameters"] | case["ours"]
    transform = kind(**parameters)
    x = noise((case["rows"], *case["our_shape"]))
    exact = kind(**parameters, dtype="float64")(x[:1])[0]
    got = transform(x[:1])[0]
    error, size = _norms(got - exact), _norms(exact)
    info = {
        "dtype": str(got.dtype),
        "paths": transform.n_paths,
        "error_of_worst_path": float((error / size).max()),
        "error": float(np.linalg.norm(error) / np.linalg.norm(size)),
    }
    return lambda: transform(x), time.process_time, info


def _norms(y: np.ndarray) -> np.ndarray:
    """Return the L2 norm of each path."""
    return np.linalg.norm(y.reshape(len(y), -1), axis=1)


def kernel_kymatio(case: dict[str, Any]) -> Side:
    """Prepare Kymatio's NumPy frontend on a batch of signals."""
    import kymatio.numpy

    shape = case["shape"][0] if len(case["shape"]) == 1 else tuple(case["shape"])
    start = time.perf_counter()
    transform = getattr(kymatio.numpy, case["transform"])(**case["parameters"], shape=shape)
    info = {"seconds_of_filters": time.perf_counter() - start}
    x = noise((case["rows"], *case["shape"]))
    info["dtype"] = str(transform(x[:1]).dtype)
    return lambda: transform(x), time.process_time, info


# Zarr to Zarr, a local cluster of processes with one thread each


def archive_scatdask(case: dict[str, Any]) -> Side:
    """Prepare a `scatdask.Job` on a cluster that is warm."""
    import scatdask
    from scatdask.archive import Job

    client = _cluster(case["workers"])
    transform = scatdask.Scattering1D(J=case["J"], Q=case["Q"])

    def run() -> Any:
        target = _fresh(case["target"])
        return Job(case["source"], target, transform, dim="time").run(client, progress=False)

    return run, _clock_of(client), {}


def archive_kymatio(case: dict[str, Any]) -> Side:
    """Prepare Kymatio through `xarray.apply_ufunc` on a cluster that is warm."""
    import xarray as xr
    from kymatio.numpy import Scattering1D

    client = _cluster(case["workers"])
    n = xr.open_zarr(case["source"]).sizes["time"]
    transform = Scattering1D(J=case["J"], shape=n, Q=case["Q"])
    n_paths = transform.output_size()
    n_out = -(-n // 2 ** case["J"])

    def run() -> None:
        target = _fresh(case["target"])
        x = xr.open_zarr(case["source"])["x"]
        result = xr.apply_ufunc(
            transform,
            x,
            input_core_dims=[["time"]],
            output_core_dims=[["path", "frame"]],
            dask="parallelized",
            output_dtypes=[np.float32],
            dask_gufunc_kwargs={"output_sizes": {"path": n_paths, "frame": n_out}},
        )
        with client.as_current():
            result.to_dataset(name="x").to_zarr(target, mode="w")

    return run, _clock_of(client), {}


def _cluster(workers: int) -> Any:
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    )
    return distributed.Client(cluster)


def _clock_of(client: Any) -> Callable[[], float]:
    """Return a clock of the processor time of all workers."""
    return lambda: sum(client.run(time.process_time).values())


def _fresh(target: str) -> str:
    """Remove what an earlier run wrote."""
    for folder in (target, f"{target}.ledger"):
        shutil.rmtree(folder, ignore_errors=True)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    return target


SIDES = {
    "kernel_scatdask": kernel_scatdask,
    "kernel_kymatio": kernel_kymatio,
    "archive_scatdask": archive_scatdask,
    "archive_kymatio": archive_kymatio,
}


def machine() -> dict[str, Any]:
    """Describe the machine."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            s.split(":")[1].strip() for s in info.read_text().splitlines() if "model name" in s
        ]
        model = names[0] if names else model
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system(), "load": load}


def versions() -> dict[str, str]:
    """Return the versions of whatever matters for speed and is installed here."""
    found = {"python": platform.python_version()}
    names = ("scatdask", "kymatio", "numpy", "scipy", "mkl_fft", "pyfftw", "xarray", "dask", "zarr")
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Answer requests until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no answer
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "prepare":
            run, clock, answer = SIDES[request["side"]](request["case"])
            start = time.perf_counter()
            run()
            answer["first_seconds"] = time.perf_counter() - start
            answer["versions"] = versions()
        else:
            wall, cpu = [], []
            for _ in range(request["calls"]):
                before, start = clock(), time.perf_counter()
                run()
                wall.append(time.perf_counter() - start)
                cpu.append(clock() - before)
            answer = {"wall": wall, "cpu": cpu}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
