from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from scatdask.cli.failures import BAD_INPUT

Scatdask = Callable[..., Result]


def test_report(scatdask: Scatdask, source: str, target: str, tmp_path: Path) -> None:
    assert scatdask("run", source, target, "--dim", "time", "-J", 6).exit_code == 0
    result = scatdask("report", target)
    assert result.exit_code == 0
    assert result.output == f"{target}.report.html\n"
    assert "noise" in Path(result.output.strip()).read_text("utf-8")
    page = tmp_path / "page.html"
    assert scatdask("report", target, "-o", page).output == f"{page}\n"
    page.write_text("my notes")
    result = scatdask("report", target, "-o", page)
    assert result.exit_code == BAD_INPUT
    assert "no report of scatdask" in result.output
    assert page.read_text() == "my notes"


def test_options_of_the_file_system(
    scatdask: Scatdask, source: str, target: str, tmp_path: Path
) -> None:
    assert scatdask("run", source, target, "--dim", "time", "-J", 6).exit_code == 0
    where, page = Path(target), tmp_path / "page.html"
    options = (f"path={where.parent}", "target_protocol=file")
    told = [word for option in options for word in ("--target-option", option)]
    result = scatdask("report", f"dir://{where.name}", *told, "-o", page)
    assert result.output == f"{page}\n"


def test_nothing_to_report(scatdask: Scatdask, target: str) -> None:
    result = scatdask("report", target)
    assert result.exit_code == BAD_INPUT
    assert "no run of this job has begun" in result.output
