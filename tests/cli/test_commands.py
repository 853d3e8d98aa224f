"""Plan, run, status and verify, as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner, Result

import scatdask as package
from scatdask.archive import Job, read_status
from scatdask.archive import work as archive_work
from scatdask.cli import main
from scatdask.errors import NonFiniteWarning

Call = Callable[..., Result]
TRANSFORM = ("--transform", "scattering1d", "--dim", "time", "-J", "6", "-Q", "4")


def document(result: Result) -> Any:
    """Return the one JSON document that standard output holds."""
    return json.loads(result.stdout)


def test_job_from_plan_to_verification(scatdask: Call, source: str, target: str) -> None:
    planned = scatdask("plan", source, target, *TRANSFORM)
    assert planned.exit_code == 0
    assert "halo" in planned.stdout
    assert not Path(target).exists()

    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    status = scatdask("status", source, target)
    assert status.exit_code == 0
    assert "1 of 1 blocks done" in status.stdout.replace("2 of 2", "1 of 1")
    verified = scatdask("verify", source, target, "--blocks", 1, "--seed", 3)
    assert verified.exit_code == 0
    assert "computed anew" in verified.stdout

    transform = package.Scattering1D(J=6, Q=4)
    with xr.open_zarr(source) as given, xr.open_zarr(target) as found:
        expected = transform(given["noise"].values)
        error = np.abs(found["noise"].values - expected).max(axis=-1)
        assert (error <= 5e-5 * np.abs(expected).max(axis=-1)).all()


def test_statistics_in_place_of_coefficients(scatdask: Call, source: str, target: str) -> None:
    asked = ("--reduce-window", "1min", "--statistics", "mean,quantiles", "--quantiles", "0.5,0.9")
    assert scatdask("run", source, target, *TRANSFORM, *asked).exit_code == 0
    with xr.open_zarr(target) as found:
        assert found.noise_quantiles.shape[:2] == (2, 2)
        assert found.sizes["time"] == 4
        assert "noise" not in found
    assert "0 blocks in" in scatdask("run", source, target).stdout  # the ledger knows
    assert scatdask("verify", source, target).exit_code == 0
    other = scatdask("run", source, target, *TRANSFORM, "--reduce-window", "2min")
    assert other.exit_code == 3
    lost = scatdask("run", source, target, *TRANSFORM, "--statistics", "mean")
    assert lost.exit_code == 2
    assert "--statistics needs --reduce-window" in lost.stderr
    unknown = scatdask("plan", source, target, *TRANSFORM, "--reduce-window", "1M")
    assert unknown.exit_code == 2


def test_commands_without_parameters_mean_the_job_as_it_was_begun(
    scatdask: Call, source: str, target: str
) -> None:
    assert scatdask("run", source, target, "--dim", "time", "-J", 4).exit_code == 0
    with xr.open_zarr(source) as given:
        more = given.load().isel(station=[0]).drop_vars("time").drop_encoding()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        more.to_zarr(source, append_dim="station")
        assert scatdask("run", source, target).exit_code == 0
        with xr.open_zarr(target) as found:
            assert found["name"].values.tolist() == [1, 2, 1]
            assert found.noise.sizes["station"] == 3
        more[["noise"]].rename(noise="more", station="other").to_zarr(source, mode="a")
    other = scatdask("run", source, target)
    assert other.exit_code == 3
    assert "['noise', 'more'] here, unless with --variable 'noise'" in other.stderr
    assert scatdask("run", source, target, "--variable", "noise").exit_code == 0
    assert scatdask("run", source, target, "--overwrite").exit_code == 0
    with xr.open_zarr(target) as found:
        assert {*found.data_vars} == {"noise", "more", "name"}


def test_json_of_every_command(scatdask: Call, source: str, target: str) -> None:
    plan = document(scatdask("plan", source, target, *TRANSFORM, "--json"))
    assert plan["transform"]["J"] == 6
    assert plan["outputs"]["noise"]["shape"][0] == 2
    run = document(scatdask("run", source, target, *TRANSFORM, "--json"))
    assert run["computed"] == run["blocks"] == plan["blocks"]
    status = document(scatdask("status", source, target, "--json"))
    assert status["is_complete"]
    assert status["transform"] == plan["transform"]
    verification = document(scatdask("verify", source, target, "--json"))
    assert verification["is_good"]
    assert verification["checked"] == min(run["blocks"], 8)


@pytest.mark.parametrize("command", ["plan", "run", "status", "verify", "init", "finalise", "demo"])
def test_help_has_examples(scatdask: Call, command: str) -> None:
    result = scatdask(command, "--help")
    assert result.exit_code == 0
    examples = result.stdout.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    assert all(line.startswith((f"    scatdask {command}", "      --")) for line in examples)


def test_help_of_the_group_tells_exit_codes(scatdask: Call) -> None:
    text = scatdask("--help").stdout
    assert "scatdask run" in text
    for code in ("0", "1", "2", "3", "130"):
        assert f"\n    {code} " in text.split("Exit codes:")[1]


def test_version(scatdask: Call) -> None:
    assert package.__version__ in scatdask("--version").stdout


def test_options_reach_the_transform(scatdask: Call, source: str, target: str) -> None:
    plan = document(
        scatdask(
            *("plan", source, target, "--dim", "time", "--json", "-J", 5, "-Q", "3,2", "-T", 48),
            *("--stride", 16, "--max-order", 1, "--boundary", "periodic", "--dtype", "float64"),
            *("--tolerance", 1e-4),
        )
    )
    assert plan["transform"] == {
        "name": "scattering1d",
        **package.Scattering1D(
            5,
            Q=(3, 2),
            T=48,
            stride=16,
            max_order=1,
            boundary="periodic",
            dtype="float64",
            tolerance=1e-4,
        ).parameters(),
    }


@pytest.mark.parametrize(("given", "meant"), [("global", "global"), ("0", 0), ("32", 32)])
def test_averaging_scales(
    scatdask: Call, source: str, target: str, given: str, meant: int | str
) -> None:
    plan = document(
        scatdask("plan", source, target, "--dim", "time", "-J", 6, "-T", given, "--json")
    )
    assert plan["transform"]["T"] == meant


def test_smaller_memory_means_smaller_blocks(scatdask: Call, source: str, target: str) -> None:
    plan = ("plan", source, target, *TRANSFORM, "--json", "--memory")
    assert (
        document(scatdask(*plan, "156 MiB"))["block_samples"][0]
        < document(scatdask(*plan, "1 GiB"))["block_samples"][0]
    )


# Bad input: exit code 2, one clear line, no traceback


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dim", "nowhere", "-J", 6), "no dimension 'nowhere'"),
        (("--dim", "time", "-J", 15), "the largest J that fits is 14"),
        (("--dim", "time", "-J", 6, "-T", 30_000), "the largest T that fits is 20000"),
        (("--dim", "time", "-J", 0), "J must be at least 1"),
        (("--dim", "time", "-J", 6, "-Q", 0), "Q must be at least 1"),
        (("--dim", "time", "-J", 6, "--stride", 3), "stride must be a power of two"),
        (("--dim", "time", "-J", 6, "--stride", 128), "the largest stride is 64"),
        (("--dim", "time", "-J", 6, "--max-order", 4), "max_order must be at most 3"),
        (("--dim", "time", "-J", 6, "--tolerance", 7), "tolerance must lie between"),
        (("--dim", "time", "-J", 6, "--variable", "name"), "variable='name' is not a variable"),
        (("--dim", "time", "-J", 6, "--memory", "lots"), "lots"),
        (("--dim", "time", "-J", 6, "--memory", "1 MB"), "allow more memory"),
        (("--dim", "time", "-J", "six"), "-J"),
        (("--dim", "time", "-J", 6, "-Q", "8,1,1"), "not of the form 8 or 8,2"),
        (("--dim", "time", "-J", 6, "-T", "all"), '"global"'),
        (("--dim", "time", "-J", 6, "--boundary", "mirror"), "--boundary"),
        (("--dim", "time"), "Missing option '-J'"),
        (("--dim", "time", "-Q", 8), "Missing option '-J'"),
        (("-J", 6), "Missing option '--dim'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_bad_input(
    scatdask: Call,
    source: str,
    target: str,
    command: str,
    words: tuple[object, ...],
    said: str,
) -> None:
    result = scatdask(command, source, target, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    # Wrong usage also shows the command's usage line and where help is.
    assert len(result.stderr.splitlines()) <= 4
    assert not Path(target).exists()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_folder_of_the_output_does_not_exist(
    scatdask: Call, source: str, tmp_path: Path, command: str
) -> None:
    result = scatdask(command, source, tmp_path / "no" / "out.zarr", *TRANSFORM)
    assert result.exit_code == 2
    assert "does not exist: make it first" in result.stderr


def test_quantiles_without_their_statistic(scatdask: Call, source: str, target: str) -> None:
    asked = ("--reduce-window", "10s", "--quantiles", "0.5")
    result = scatdask("plan", source, target, *TRANSFORM, *asked)
    assert result.exit_code == 2
    assert "--statistics mean,variance,quantiles" in result.stderr


def test_missing_source(scatdask: Call, tmp_path: Path, target: str) -> None:
    result = scatdask("run", tmp_path / "none.zarr", target, *TRANSFORM)
    assert result.exit_code == 2
    assert result.stderr.startswith("scatdask: no Zarr group at")
    assert len(result.stderr.splitlines()) == 1


def test_output_inside_the_source(scatdask: Call, source: str) -> None:
    result = scatdask("run", source, f"{source}/out", *TRANSFORM)
    assert result.exit_code == 2
    assert "lies inside the source" in result.stderr


def test_missing_chunk(scatdask: Call, source: str, target: str) -> None:
    (Path(source) / "noise" / "c" / "1" / "2").unlink()
    result = scatdask("run", source, target, *TRANSFORM)
    assert result.exit_code == 2
    assert "1 of 8 chunks" in result.stderr
    with pytest.warns(NonFiniteWarning):  # the fill value is NaN
        result = scatdask("run", source, target, *TRANSFORM, "--missing-chunks", "fill")
    assert result.exit_code == 0
    for command in ("run", "verify", "finalise"):  # the ledger remembers
        assert scatdask(command, source, target).exit_code == 0
    strict = scatdask("run", source, target, "--missing-chunks", "error")
    assert strict.exit_code == 2
    assert "1 of 8 chunks" in strict.stderr


def test_no_scheduler_there(scatdask: Call, source: str, target: str) -> None:
    result = scatdask("run", source, target, *TRANSFORM, "--scheduler", "nonsense://nowhere")
    assert result.exit_code == 2
    assert "no dask scheduler answers at 'nonsense://nowhere'" in result.stderr


def test_workers_and_scheduler(scatdask: Call, source: str, target: str) -> None:
    words = ("--workers", 2, "--scheduler", "tcp://127.0.0.1:1")
    result = scatdask("run", source, target, *TRANSFORM, *words)
    assert result.exit_code == 2
    assert "not both" in result.stderr


@pytest.mark.parametrize("command", ["status", "verify"])
def test_nothing_has_begun(scatdask: Call, source: str, target: str, command: str) -> None:
    words = () if command == "status" else TRANSFORM
    result = scatdask(command, source, target, *words)
    assert result.exit_code == 2
    assert "no run of this job has begun" in result.stderr


def test_errors_as_json(scatdask: Call, source: str, target: str) -> None:
    result = scatdask("plan", source, target, "--dim", "nowhere", "-J", 6, "--json")
    assert result.exit_code == 2
    assert document(result)["exit_code"] == 2
    assert "nowhere" in document(result)["error"]


def test_traceback_on_demand(source: str, target: str) -> None:
    words = ["--traceback", "plan", source, target, "--dim", "nowhere", "-J", "6"]
    assert isinstance(CliRunner().invoke(main, words).exception, KeyError)


# Outputs of other jobs: exit code 3


def test_output_of_another_job(scatdask: Call, source: str, target: str) -> None:
    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    other = ("--dim", "time", "-J", "5", "-Q", "4")
    for command in ("run", "verify", "status"):
        result = scatdask(command, source, target, *other)
        assert result.exit_code == 3, command
        assert "J" in result.stderr
    assert scatdask("run", source, target, *other, "--overwrite").exit_code == 0
    assert document(scatdask("status", source, target, "--json"))["transform"]["J"] == 5


def test_status_of_another_job(scatdask: Call, source: str, target: str) -> None:
    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    for words, said in (
        ((source, target, "--dim", "tme"), "dims: time there, tme here"),
        ((source, target, "-J", 5, "-Q", 4), "transform: Scattering1D(J=6"),
        ((f"{source}2", target), f"{source}2 here"),
    ):
        result = scatdask("status", *words)
        assert result.exit_code == 3, words
        assert said in result.stderr


def test_status_with_relative_paths(
    scatdask: Call, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    monkeypatch.chdir(Path(source).parent)
    assert scatdask("status", "in.zarr/", "out.zarr", "--dim", "time").exit_code == 0


def test_output_that_no_job_wrote(scatdask: Call, source: str, target: str) -> None:
    Path(target).mkdir()
    (Path(target) / "diary.txt").write_text("dear diary")
    for words in ((), ("--overwrite",)):
        result = scatdask("run", source, target, *TRANSFORM, *words)
        assert result.exit_code == 3
        assert (Path(target) / "diary.txt").exists()
    assert "diary.txt" in result.stderr


# Work that fails: exit code 1


def test_damaged_output(scatdask: Call, source: str, target: str) -> None:
    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    chunk = next(path for path in (Path(target) / "noise" / "c").rglob("*") if path.is_file())
    chunk.unlink()
    result = scatdask("verify", source, target, "--json")
    assert result.exit_code == 1
    assert not document(result)["is_good"]
    assert "not what the source gives" in result.stderr


def test_torn_source(scatdask: Call, source: str, target: str) -> None:
    run = document(scatdask("run", source, target, *TRANSFORM, "--json"))
    for chunk in (Path(source) / "noise" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"torn")
    result = scatdask("verify", source, target, "--json")
    assert result.exit_code == 1
    found = document(result)
    assert (found["checked"], found["problems"]) == (0, [])
    assert "cannot be decoded" in found["not_compared"][0]
    assert "could not be compared" in result.stderr
    assert document(scatdask("status", source, target, "--json"))["done"] == run["blocks"]


def test_block_that_fails_then_a_run_that_goes_on(
    scatdask: Call, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("--memory", "154 MiB")
    compute = archive_work.compute_block
    n_blocks = document(scatdask("plan", source, target, *TRANSFORM, *small, "--json"))["blocks"]
    assert n_blocks > 1

    def fail_on_first(source: Any, transform: Any, layout: Any, block: int, *others: Any) -> Any:
        if block == 0:
            raise OSError("the disk is on fire")
        return compute(source, transform, layout, block, *others)

    monkeypatch.setattr(archive_work, "compute_block", fail_on_first)
    result = scatdask("run", source, target, *TRANSFORM, *small)
    assert result.exit_code == 1
    assert "the disk is on fire" in result.stderr
    assert document(scatdask("status", source, target, "--json"))["done"] == n_blocks - 1
    assert document(scatdask("verify", source, target, "--json"))["is_good"]

    monkeypatch.setattr(archive_work, "compute_block", compute)
    # The ledger remembers the transform.
    resumed = document(scatdask("run", source, target, "--json"))
    assert (resumed["found_done"], resumed["computed"]) == (n_blocks - 1, 1)
    again = document(scatdask("run", source, target, *TRANSFORM, "--json"))
    assert again["computed"] == 0


def test_interrupt_says_what_is_recorded(
    scatdask: Call, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Job, *args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Job, "run", interrupted)
        early = scatdask("run", source, target, *TRANSFORM)
    assert early.exit_code == 130
    assert "before any block" in early.stderr

    assert scatdask("run", source, target, *TRANSFORM).exit_code == 0
    monkeypatch.setattr(Job, "run", interrupted)
    late = scatdask("run", source, target, *TRANSFORM)
    assert late.exit_code == 130
    assert "blocks done (100.0%)" in late.stderr
    assert "the same command again" in late.stderr


# Real processes


def command_line(*words: object) -> list[str]:
    return [sys.executable, "-m", "scatdask", *map(str, words)]


def test_entry_point_with_workers(source: str, target: str) -> None:
    words = command_line("run", source, target, *TRANSFORM, "--workers", 1, "--json")
    finished = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["computed"] > 0
    # Dask says so where a busy machine takes its time to end a worker.
    said = [line for line in finished.stderr.splitlines() if "process still alive" not in line]
    assert said == []


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal")
@pytest.mark.parametrize("workers", [(), ("--workers", 1)])
def test_ctrl_c(tmp_path: Path, target: str, workers: tuple[object, ...]) -> None:
    source = tmp_path / "long.zarr"
    samples = np.random.default_rng(0).standard_normal((64, 100_000)).astype("f4")
    array = xr.DataArray(samples, dims=("station", "time"), name="noise")
    chunks = {"noise": {"chunks": (1, samples.shape[1])}}
    array.to_dataset().to_zarr(source, zarr_format=2, encoding=chunks)
    words = command_line("run", source, target, "--dim", "time", "-J", 10, "-Q", 8, *workers)
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    receipts = Path(f"{target}.ledger") / "receipts"
    deadline = time.monotonic() + 200
    while not any(receipts.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    # A terminal sends the signal to the workers as well.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    assert line.startswith("scatdask: interrupted: ")
    assert "give the same command again" in line
    done = read_status(target).done
    assert 0 < done < 64
    assert f"{done} of 64 blocks done" in line


def test_help_is_light() -> None:
    program = (
        "import sys; from scatdask.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(any(name in sys.modules for name in ('distributed', 'zarr', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
