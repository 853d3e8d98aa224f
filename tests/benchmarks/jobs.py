"""Job over the sum of its kernel times: what reading, writing and bookkeeping add.

One process for each measurement. With threads, the process is bound to as many cores as there
are workers, because a job without a cluster takes all it may use.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def make_archive(folder: str, shape: tuple[int, ...], chunks: tuple[int, ...], **how: Any) -> str:
    """Write an archive of white noise, piece by piece, unless it is there.

    Parameters
    ----------
    folder : str
        Where archives are kept.
    shape, chunks : tuple of int
        Channels, and samples along one, two or three dimensions.
    **how
        ``dtype``, ``scale_factor`` for packed integers, and ``shards``, with which it is Zarr 3.

    Returns
    -------
    str
        Its path.
    """
    import xarray as xr
    import zarr

    dtype = np.dtype(how.get("dtype", "float32"))
    shards = how.get("shards")
    words = (*shape, *chunks, dtype.name, *(shards or ()))
    path = Path(folder) / ("_".join(map(str, words)) + ".zarr")
    if path.exists():
        return str(path)
    partial = path.with_suffix(".part")
    core = ("time",) if len(shape) == 2 else ("depth", "lat", "lon")[1 - len(shape) :]
    time_axis = xr.DataArray(np.arange(shape[1]) / 100.0, dims="time", attrs={"units": "s"})
    xr.Dataset(coords={"time": time_axis}).to_zarr(
        partial, mode="w", zarr_format=3 if shards else 2, consolidated=False
    )
    array = zarr.open_group(partial, mode="r+").create_array(
        "x",
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        attributes={} if shards else {"_ARRAY_DIMENSIONS": ["channel", *core]},
        **(
            {"shards": shards, "dimension_names": ["channel", *core]}
            if shards
            # Without a fill value, or xarray would take samples of 0 as missing.
            else {"fill_value": None, "chunk_key_encoding": {"name": "v2", "separator": "."}}
        ),
    )
    if "scale_factor" in how:
        array.attrs["scale_factor"] = how["scale_factor"]
    rng = np.random.default_rng(0)
    across, along, *_ = shards or chunks
    step = max(along, 2**20 // math.prod(shape[2:]))
    for low in range(0, shape[0], across):
        for start in range(0, shape[1], step):
            stop = min(start + step, shape[1])
            rows = min(low + across, shape[0]) - low
            values = rng.standard_normal((rows, stop - start, *shape[2:]), dtype=np.float32)
            if dtype.kind == "i":
                values = np.round(values * 1000)
            array[low : low + rows, start:stop] = values.astype(dtype)
    if not shards:
        zarr.consolidate_metadata(str(partial))
    partial.rename(path)
    return str(path)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Run a job several times on a warm pool.

    Returns
    -------
    dict
        ``over_kernels``, the median of wall clock times cores over the sum of the kernel times,
        and the times of the median run.
    """
    workers = case["workers"]
    if case["pool"] == "threads" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    import scatdask
    from scatdask.archive import Job

    transform = scatdask.Scattering1D(J=case["J"], Q=case["Q"])
    client = None
    if case["pool"] == "cluster":
        import distributed

        client = distributed.Client(
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
            )
        )
    runs = []
    for repeat in range(1 + case["repeats"]):
        target = str(Path(case["folder"]) / f"out-{case['pool']}-{os.getpid()}-{repeat}.zarr")
        start = time.perf_counter()
        report = Job(case["source"], target, transform, dim="time").run(client, progress=False)
        runs.append({**report.to_dict(), "wall": time.perf_counter() - start})
        _remove(target)
    if client is not None:
        client.cluster.close()
        client.close()
    for run in runs:
        run["over_kernels"] = run["wall"] * workers / run["compute"]
    warm = sorted(runs[1:], key=lambda run: run["over_kernels"])
    median = warm[len(warm) // 2]
    return {
        **median,
        "over_kernels": statistics.median(run["over_kernels"] for run in warm),
        "least_over_kernels": warm[0]["over_kernels"],
        "first_over_kernels": runs[0]["over_kernels"],
        "samples": math.prod(case["shape"]),
    }


def _remove(target: str) -> None:
    import shutil

    for folder in (target, f"{target}.ledger"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
