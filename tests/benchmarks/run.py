"""Measure scatdask against its rival, its own FFTs, its kernels and its memory plans.

    python tests/benchmarks/run.py

prints tables, as Markdown, and writes all figures with machine, versions and date to a JSON file.
The rival is Kymatio 0.3.0, in an environment that `kymatio_env.py` makes (a network is needed
once). Sides of a comparison run in turn, in processes of their own, one thread each. Run it on a
machine that does nothing else; ``--trial`` is for seeing that it works.

Kernels are timed on SciPy's FFTs, and on those of mkl_fft (with mkl-service) and pyfftw where they
are installed; ``--fft`` names some. The part "gpu" needs a CUDA device, and Kymatio and torch
beside CuPy for a rival; without a device it is skipped.
"""

from __future__ import annotations

import datetime
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import backends
import click
import gpu
import jobs
import kymatio_env
import storage
from compare import Side, in_process, in_turn, ratios
from sides import machine, versions
from tables import PARTS, tables

N = 2**16
BATCH, LANES = 16, 4
WORKERS = 2

# For each part the transform, the shape, how many at once, and parameters for both sides. Kymatio
# pads an image by less than scatdask's halo: given the image as Kymatio pads it, as one period,
# scatdask computes the very same numbers ("as Kymatio pads").
KERNELS: dict[str, list[dict[str, Any]]] = {
    "kernel": [
        {
            "transform": "Scattering1D",
            "parameters": parameters,
            "shape": (N,),
            "rows": rows,
        }
        for parameters in ({"J": 8, "Q": 8}, {"J": 10, "Q": 8}, {"J": 6, "Q": 1})
        for rows in (1, BATCH)
    ],
    "images": [
        {"transform": "Scattering2D", "rows": rows, **case}
        for case in (
            {
                "parameters": {"J": 3, "L": 8},
                "shape": (224, 224),
                "our_shape": (240, 240),
                "ours": {"boundary": "periodic"},
                "note": "as Kymatio pads",
            },
            {"parameters": {"J": 3, "L": 8}, "shape": (224, 224)},
            {"parameters": {"J": 2, "L": 8}, "shape": (32, 32)},
        )
        for rows in (1, LANES)
    ],
    "volumes": [
        {
            "transform": "HarmonicScattering3D",
            "parameters": {"J": 2, "L": 2},
            "shape": (128,) * 3,
            "rows": 1,
        }
    ],
}

MEMORY = {
    "one long channel, J=10": {
        "shape": (1, 2**22),
        "chunks": (1, 2**18),
        "transform": {"J": 10, "Q": 8},
    },
    "many channels, J=8": {
        "shape": (128, 2**16),
        "chunks": (64, 2**14),
        "transform": {"J": 8, "Q": 8},
    },
    "J=12": {"shape": (1, 2**22), "chunks": (1, 2**20), "transform": {"J": 12, "Q": 8}},
    "small source chunks": {
        "shape": (4, 2**20),
        "chunks": (1, 2**12),
        "transform": {"J": 8, "Q": 1},
    },
    "large source chunks": {
        "shape": (2, 2**23),
        "chunks": (1, 2**22),
        "transform": {"J": 8, "Q": 1},
    },
    "chunks ten times the block": {
        "shape": (2, 2**24),
        "chunks": (1, 2**23),
        "transform": {"J": 6, "Q": 1},
        "memory": "400 MiB",
    },
    "sharded source": {
        "shape": (8, 2**20),
        "chunks": (1, 2**15),
        "shards": (4, 2**18),
        "transform": {"J": 8, "Q": 4},
    },
    "three orders": {
        "shape": (2, 2**19),
        "chunks": (1, 2**17),
        "transform": {"J": 8, "Q": [4, 1], "max_order": 3},
    },
    "without average": {
        "shape": (4, 2**19),
        "chunks": (2, 2**17),
        "transform": {"J": 6, "Q": 8, "T": 0},
    },
    "packed integers": {
        "shape": (8, 2**20),
        "chunks": (8, 2**17),
        "dtype": "int16",
        "scale_factor": 0.5,
        "transform": {"J": 8, "Q": 1},
    },
    "float64": {
        "shape": (2, 2**20),
        "chunks": (1, 2**18),
        "transform": {"J": 8, "Q": 8, "dtype": "float64"},
    },
    "little memory": {
        "shape": (16, 2**19),
        "chunks": (16, 2**16),
        "transform": {"J": 8, "Q": 8},
        "memory": "320 MiB",
    },
    "mean of whole signals": {
        "shape": (4, 2**20),
        "chunks": (4, 2**17),
        "transform": {"J": 8, "Q": 4, "T": "global"},
    },
    "images": {
        "kind": "Scattering2D",
        "shape": (1, 2048, 2048),
        "chunks": (1, 512, 512),
        "transform": {"J": 3, "L": 8, "boundary": ["reflect", "periodic"]},
        "memory": "512 MiB",
    },
    "images, float64": {
        "kind": "Scattering2D",
        "shape": (4, 512, 512),
        "chunks": (1, 256, 256),
        "transform": {"J": 3, "L": 4, "dtype": "float64"},
    },
    "many small images": {
        "kind": "Scattering2D",
        "shape": (256, 128, 128),
        "chunks": (64, 128, 128),
        "transform": {"J": 3, "L": 8},
    },
    "a whole image": {
        "kind": "Scattering2D",
        "shape": (1, 1024, 1024),
        "chunks": (1, 512, 512),
        "transform": {"J": 4, "L": 8, "boundary": "periodic"},
    },
    "maps of volumes": {
        "kind": "HarmonicScattering3D",
        "shape": (1, 160, 160, 160),
        "chunks": (1, 64, 64, 64),
        "transform": {"J": 1, "L": 2, "method": "local"},
        "memory": "512 MiB",
    },
    "integrals part by part": {
        "kind": "HarmonicScattering3D",
        "shape": (1, 160, 160, 160),
        "chunks": (1, 64, 64, 64),
        "transform": {"J": 1, "L": 2, "boundary": "reflect"},
        "memory": "512 MiB",
    },
    "a whole volume": {
        "kind": "HarmonicScattering3D",
        "shape": (2, 128, 128, 128),
        "chunks": (1, 128, 128, 128),
        "transform": {"J": 2, "L": 2},
    },
    "a whole volume, float64": {
        "kind": "HarmonicScattering3D",
        "shape": (2, 96, 96, 96),
        "chunks": (1, 48, 48, 48),
        "transform": {"J": 2, "L": 2, "dtype": "float64"},
    },
    "time and frequency": {
        "kind": "TimeFrequencyScattering",
        "shape": (2, 2**19),
        "chunks": (1, 2**17),
        "transform": {"J": 10, "J_fr": 3, "Q": 8},
    },
    "joint time and frequency": {
        "kind": "TimeFrequencyScattering",
        "shape": (2, 2**18),
        "chunks": (1, 2**17),
        "transform": {"J": 10, "J_fr": 3, "Q": 8, "format": "joint"},
        "memory": "1 GiB",
    },
    "joint, means, float64": {
        "kind": "TimeFrequencyScattering",
        "shape": (2, 2**18),
        "chunks": (1, 2**17),
        "transform": {
            "J": 8,
            "J_fr": 2,
            "Q": 8,
            "format": "joint",
            "T": "global",
            "dtype": "float64",
        },
    },
}

# Threads of the caller's process keep its allocator, which holds more than that of a worker.
ALSO_IN_THREADS = ("one long channel, J=10", "J=12", "large source chunks")
# In a worker of so many threads, too.
THREADS = {
    "one long channel, J=10": 4,
    "small source chunks": 4,
    "sharded source": 2,
    "little memory": 2,
    "images": 2,
    "time and frequency": 2,
}


def kernel_rows(
    part: str, rival: Path, names: tuple[str, ...], trial: bool
) -> list[dict[str, Any]]:
    """Time a transform of arrays in memory against Kymatio, one thread each."""
    found = []
    for one in KERNELS[part]:
        case = {"ours": {}, "our_shape": one["shape"], "note": "", **one}
        if trial:
            case["rows"] = min(case["rows"], LANES)
        rows = case["rows"]
        sides = [Side("kernel_kymatio", case, rival)]
        sides += [Side("kernel_scatdask", {**case, "fft": name}) for name in names]
        try:
            in_turn(sides, 2 if trial else (11 if rows == 1 and part != "volumes" else 5))
        finally:
            for side in sides:
                side.__exit__(None, None, None)
        theirs = sides[0]
        for name, ours in zip(names, sides[1:], strict=True):
            found.append(
                {
                    **case,
                    "fft": name,
                    "kymatio_ms": 1e3 * statistics.median(theirs.wall) / rows,
                    "scatdask_ms": 1e3 * statistics.median(ours.wall) / rows,
                    "speedup": ratios(theirs.wall, ours.wall),
                    "speedup_cpu": ratios(theirs.cpu, ours.cpu),
                    "kymatio": theirs.info,
                    "scatdask": ours.info,
                }
            )
            _say(found[-1])
    return found


def fft_rows(trial: bool) -> list[dict[str, Any]]:
    """Time the kernel against its FFTs alone."""
    found = []
    for one in (case for cases in KERNELS.values() for case in cases):
        rounds = 3 if trial else (31 if one["rows"] == 1 and len(one["shape"]) == 1 else 9)
        arguments = [
            one["transform"],
            one["parameters"] | one.get("ours", {}),
            one.get("our_shape", one["shape"]),
            one["rows"],
            3 if len(one["shape"]) == 3 else rounds,
        ]
        found.append({**one, **in_process("ffts.py", arguments)})
        _say(found[-1])
    return found


def job_rows(folder: str, trial: bool) -> list[dict[str, Any]]:
    """Time jobs against the sum of their kernel times."""
    found = []
    long = (8, 2**19) if trial else (8, 2**21)
    for shape, chunks in (((64, N), (8, N)), (long, (1, 2**18))):
        source = jobs.make_archive(folder, shape, chunks)
        for pool in ("threads", "cluster"):
            case = {
                "J": 8,
                "Q": 8,
                "shape": shape,
                "chunks": chunks,
                "source": source,
                "folder": folder,
                "pool": pool,
                "workers": WORKERS,
                "repeats": 1 if trial else (5 if shape[1] == N else 2),
            }
            found.append({**case, **in_process("jobs.py", case)})
            _say(found[-1])
    return found


def archive_rows(rival: Path, folder: str, trial: bool) -> list[dict[str, Any]]:
    """Time Zarr to Zarr against Kymatio through `xarray.apply_ufunc`, two processes each."""
    shape, chunks = (64, N), (8, N)
    source = jobs.make_archive(folder, shape, chunks)
    case = {"J": 8, "Q": 8, "source": source, "workers": WORKERS}
    theirs_case = {**case, "target": f"{folder}/kymatio.zarr"}
    ours_case = {**case, "target": f"{folder}/scatdask.zarr"}
    with (
        Side("archive_kymatio", theirs_case, rival) as theirs,
        Side("archive_scatdask", ours_case) as ours,
    ):
        in_turn([theirs, ours], 1 if trial else 3)
    found = {
        **case,
        "shape": shape,
        "kymatio_s": statistics.median(theirs.wall),
        "scatdask_s": statistics.median(ours.wall),
        "kymatio_cpu_s": statistics.median(theirs.cpu),
        "scatdask_cpu_s": statistics.median(ours.cpu),
        "speedup": ratios(theirs.wall, ours.wall),
        "speedup_cpu": ratios(theirs.cpu, ours.cpu),
    }
    _say(found)
    return [found]


def scale_rows(trial: bool) -> list[dict[str, Any]]:
    """Measure what the engine costs for very many blocks."""
    blocks = 10_000 if trial else 1_000_000
    return [in_process("scale.py", blocks, per_task) for per_task in (1000, 100)]


def memory_rows(folder: str, trial: bool) -> list[dict[str, Any]]:
    """Measure the peak memory of jobs against their plans."""
    found = []
    tiny = jobs.make_archive(folder, (1, 4096), (1, 4096))
    for name, what in MEMORY.items():
        how = {k: what[k] for k in ("dtype", "scale_factor", "shards") if k in what}
        source = jobs.make_archive(folder, what["shape"], what["chunks"], **how)
        places = [("cluster", 1)]
        if not trial:
            places += [("threads", 1)] * (name in ALSO_IN_THREADS)
            places += [("cluster", THREADS[name])] if name in THREADS else []
        for pool, threads in places:
            case = {
                "memory": "2 GiB",
                **what,
                "pool": pool,
                "threads": threads,
                "source": source,
                "tiny": tiny,
                "target": f"{folder}/memory.zarr",
            }
            found.append({"name": name, **case, **in_process("memory.py", case)})
            _say(found[-1])
    return found


def storage_rows(part: str, arguments: list[Any]) -> list[dict[str, Any]]:
    """Measure codecs, or the reading of parts, on recordings, or say that there are none."""
    if not storage.folder().exists():
        click.echo(f"  skipped: no recordings at {storage.folder()}", err=True)
        return []
    rows: list[dict[str, Any]] = in_process("storage.py", [part, *arguments])
    for row in rows:
        _say(row)
    return rows


def gpu_rows(trial: bool) -> list[dict[str, Any]]:
    """Time transforms of arrays on a CUDA device, or say why not."""
    if reason := gpu.why_not():
        click.echo(f"  skipped: {reason}", err=True)
        return []
    found = []
    for case in gpu.CASES[:: len(gpu.CASES) if trial else 1]:
        found.append({**case, **in_process("gpu.py", [case, 2 if trial else 11])})
        _say(found[-1])
    return found


def _say(row: dict[str, Any]) -> None:
    """Show that something happens."""
    brief = {k: v for k, v in row.items() if isinstance(v, str | int | float)}
    click.echo(f"  {brief}", err=True)


@click.command(help=__doc__)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(list(PARTS)),
    help="Only this part; may be given several times.",
)
@click.option(
    "--fft",
    "libraries",
    multiple=True,
    type=click.Choice(list(backends.NEEDS)),
    help="Time kernels on this FFT library only; may be given several times.",
)
@click.option("--trial", is_flag=True, help="Few repetitions and small archives.")
@click.option(
    "--kymatio-env",
    type=click.Path(path_type=Path),
    default=kymatio_env.default_folder,
    help="Folder of the rival's environment, made where there is none.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    default=Path("benchmarks.json"),
    show_default=True,
    help="Where to write the figures.",
)
def main(
    parts: tuple[str, ...],
    libraries: tuple[str, ...],
    trial: bool,
    kymatio_env: Path,
    json_path: Path,
) -> None:
    """Run the chosen parts, print the tables, write the figures."""
    chosen = parts or tuple(PARTS)
    names = backends.installed(libraries or tuple(backends.NEEDS))
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "trial": trial,
    }
    rival = _ensure(kymatio_env) if {*KERNELS, "archive"} & set(chosen) else Path()
    with tempfile.TemporaryDirectory() as folder:
        measures = {
            **{part: partial(kernel_rows, part, rival, names, trial) for part in KERNELS},
            "ffts": lambda: fft_rows(trial),
            "jobs": lambda: job_rows(folder, trial),
            "archive": lambda: archive_rows(rival, folder, trial),
            "memory": lambda: memory_rows(folder, trial),
            "scale": lambda: scale_rows(trial),
            "codecs": lambda: storage_rows("codecs", [1 if trial else 5]),
            "reading": lambda: storage_rows("reading", [folder, 1 if trial else 5]),
            "gpu": lambda: gpu_rows(trial),
        }
        for part in PARTS:
            if part in chosen:
                click.echo(part, err=True)
                results[part] = measures[part]()
    json_path.write_text(json.dumps(results, indent=1) + "\n")
    described = ", ".join(f"{name} {v}" for name, v in results["versions"].items())
    click.echo(f"{results['date']}, {results['machine']['cpu']}, {described}")
    click.echo(tables(results))


def _ensure(folder: Path) -> Path:
    return kymatio_env.ensure(folder)


if __name__ == "__main__":
    main()
