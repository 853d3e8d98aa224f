from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scatdask import Job
from tests.archive.conftest import make_job
from tests.archive.report.test_elements import HOSTILE, Parsed


@pytest.fixture
def job(archive: Path) -> Job:
    return make_job(archive)


def texts(html: str) -> str:
    return " | ".join(Parsed(html).texts)


def test_a_plan(job: Job) -> None:
    plan = job.plan()
    said = texts(plan._repr_html_())
    assert "Scattering1D(J=6" in said
    assert f"blocks | {plan.blocks}, " in said
    assert "peak memory" in said
    assert "velocity" in said


def test_a_job_before_and_after_its_run(job: Job) -> None:
    assert "not begun" in texts(job._repr_html_())
    job.run()
    said = texts(job._repr_html_())
    assert "blocks done (100 %)" in said
    assert "last run | finished" in said
    assert "peak memory" in said


def test_reads_the_ledger_only(job: Job, archive: Path) -> None:
    job.run()
    before = job._repr_html_()
    shutil.rmtree(archive)
    shutil.rmtree(archive.parent / "out.zarr")
    assert job._repr_html_() == before


def test_never_raises(job: Job, archive: Path) -> None:
    job.run()
    (archive.parent / "out.zarr.ledger" / "job.json").write_text("{")
    assert "the ledger cannot be read: ValueError" in texts(job._repr_html_())


def test_names_are_no_markup(archive: Path) -> None:
    html = make_job(archive, target=archive.parent / HOSTILE.replace("/", ""))._repr_html_()
    assert "script" not in Parsed(html).tags
