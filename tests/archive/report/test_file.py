from __future__ import annotations

from pathlib import Path

import pytest

from scatdask import Job
from scatdask.archive import write_report
from tests.archive.conftest import make_job


@pytest.fixture
def job(archive: Path) -> Job:
    made = make_job(archive)
    made.run()
    return made


def test_beside_the_output(job: Job, archive: Path) -> None:
    page = write_report(archive.parent / "out.zarr")
    assert page == archive.parent / "out.zarr.report.html"
    text = page.read_text("utf-8")
    assert "Complete" in text
    assert "velocity" in text
    assert not list(archive.parent.glob("*.partial"))


def test_a_report_is_replaced_and_nothing_else(job: Job, archive: Path) -> None:
    target, page = archive.parent / "out.zarr", archive.parent / "page.html"
    write_report(target, page)
    before = page.stat().st_ino
    write_report(target, page)
    assert page.stat().st_ino != before
    page.write_text("<html>my notes</html>")
    with pytest.raises(FileExistsError, match="no report of scatdask"):
        write_report(target, page)
    assert page.read_text() == "<html>my notes</html>"
    with pytest.raises(FileExistsError, match="no report of scatdask"):
        write_report(target, archive.parent)


def test_no_folder(job: Job, archive: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_report(archive.parent / "out.zarr", archive.parent / "nowhere" / "page.html")


def test_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run of this job has begun"):
        write_report(tmp_path / "out.zarr")
    assert not list(tmp_path.iterdir())


def test_an_output_elsewhere_has_its_page_here(
    job: Job, archive: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    page = write_report(f"simplecache::file://{archive.parent}/out.zarr")
    assert page == Path("out.zarr.report.html")
    assert page.is_file()
