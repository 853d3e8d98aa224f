"""The demonstration on a short day, and its parts."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import Result

from scatdask.cli.demo import story
from scatdask.cli.demo.archive import CHUNK, VARIABLE, copy_station, write_day
from scatdask.cli.demo.day import RATE, Day
from scatdask.cli.demo.story import MARK, Demo
from scatdask.cli.parameters import TRANSFORMS

SHORT = Day(hours=0.5, n_stations=3)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A short day's demonstration: its folder, figures and story."""
    folder = tmp_path_factory.mktemp("demo")
    lines: list[str] = []
    figures = Demo(folder, lines.append, SHORT, workers=1).run()
    return folder, figures, "\n".join(lines)


def test_all_is_as_promised(told: tuple[Path, dict[str, Any], str]) -> None:
    _, figures, text = told
    assert figures["problems"] == []
    assert figures["found"] == figures["events"] == len(SHORT.events)
    assert figures["worst_difference"] <= figures["promised_difference"]
    assert figures["verification"]["is_good"]
    assert set(figures["others"]) == set(TRANSFORMS) - {"scattering1d"}
    assert 0 < max(figures["others"].values()) <= figures["promised_difference"]
    assert 0 < figures["measured_memory"]
    assert "All as promised" in text
    assert json.loads(json.dumps(figures)) == figures


def test_picture(told: tuple[Path, dict[str, Any], str]) -> None:
    picture = told[0] / "demo.png"
    assert str(picture) == told[1]["picture"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_archive_opens_with_labels(told: tuple[Path, dict[str, Any], str]) -> None:
    with xr.open_zarr(told[0] / "day.zarr", chunks=None) as dataset:
        assert dict(dataset.sizes) == {"station": 3, "time": SHORT.n_samples}
        assert list(dataset["station"].values) == list(SHORT.names)
        steps = np.diff(dataset["time"].values[:3])
        assert (steps == np.timedelta64(1000 // RATE, "ms")).all()
        assert dataset[VARIABLE].dtype == np.int32


def test_without_matplotlib_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_ = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name == "scatdask.cli.demo.picture":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return import_(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    lines: list[str] = []
    demo = Demo(tmp_path, lines.append, SHORT)
    demo.draw(None, None)  # type: ignore[arg-type]
    assert demo.figures["picture"] is None
    assert 'pip install "scatdask[plot]"' in "\n".join(lines)


def test_folder_of_somebody_else_is_left_alone(
    scatdask: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("chapter one")
    result = scatdask("demo", "--folder", tmp_path)
    assert result.exit_code == 2
    assert "is not empty" in result.stderr
    assert (tmp_path / "thesis.tex").exists()


def test_folder_of_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo", lambda text: None, SHORT)
    demo.prepare()
    (tmp_path / "demo" / "old.png").write_text("")
    demo.prepare()
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARK]


def test_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="of disk left"):
        Demo(tmp_path, lambda text: None, Day(hours=1e9)).prepare()


@pytest.mark.parametrize("problems", [[], ["other chunks gave other numbers"]])
def test_command(
    scatdask: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problems: list[str],
) -> None:
    def run(self: Demo) -> dict[str, Any]:
        self.say("once upon a time")
        return {"problems": problems, "worst": float("nan")}

    monkeypatch.setattr(story.Demo, "run", run)
    plain = scatdask("demo", "--folder", tmp_path)
    assert "once upon a time" in plain.stdout
    machine = scatdask("demo", "--folder", tmp_path, "--json")
    assert json.loads(machine.stdout) == {"problems": problems, "worst": None}
    assert plain.exit_code == machine.exit_code == bool(problems)


def test_the_full_day_is_larger_than_the_memory_of_a_worker() -> None:
    assert Day().n_bytes > 300e6
    assert len(Day().events) == 30


def test_events_are_apart() -> None:
    seconds = np.array([event.seconds for event in Day().events])
    assert (np.diff(seconds) > 150).all()


def test_chunks_of_noise_have_no_seams(tmp_path: Path) -> None:
    day = Day(hours=2, n_stations=1)
    write_day(day, tmp_path / "day.zarr")
    with xr.open_zarr(tmp_path / "day.zarr", chunks=None, decode_times=False) as dataset:
        samples = dataset[VARIABLE].values[0].astype(float)
    jumps = np.abs(np.diff(samples[CHUNK - 2000 : CHUNK + 2000]))
    assert jumps[1999] <= np.quantile(jumps, 0.999)


def test_copy_of_a_station_has_its_samples(tmp_path: Path) -> None:
    write_day(SHORT, tmp_path / "day.zarr")
    copy_station(tmp_path / "day.zarr", tmp_path / "copy.zarr", 1, 7_777)
    with (
        xr.open_zarr(tmp_path / "day.zarr", chunks=None) as day,
        xr.open_zarr(tmp_path / "copy.zarr", chunks=None) as copy,
    ):
        xr.testing.assert_identical(copy.load(), day.isel(station=[1]).load())
        assert copy[VARIABLE].encoding["chunks"] == (1, 7_777)
