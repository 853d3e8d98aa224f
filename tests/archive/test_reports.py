from __future__ import annotations

import dataclasses
import json

import pytest

from scatdask.archive.reports import Report, Status, read_status
from tests.archive.conftest import make_job


def test_status_in_words():
    assert str(Status(8, 2)) == "2 of 8 blocks done (25.0%)"
    assert not Status(8, 2).is_complete
    assert Status(8, 8).is_complete
    assert str(Status(0, 0)) == "0 of 0 blocks done (100.0%)"


def test_status_says_what_the_output_lacks_though_all_blocks_are_done():
    assert "not published yet: run, or finalise" in str(Status(8, 8, is_published=False))
    unmerged = Status(8, 8, is_merged=False)
    assert str(unmerged) == (
        "8 of 8 blocks done (100.0%)\n"
        "not merged into the output yet: run, or finalise, the job once more"
    )
    assert not unmerged.to_dict()["is_merged"]
    assert Status(8, 7, is_merged=False).hint == ""


def test_report_in_words_and_for_machines():
    report = Report(10, 4, 6, 2.0, 1.0, 3.0, 0.5, 2**30, 2**20)
    assert "6 blocks in 2.0 s, 4 were done before; read 1.00 GiB (512.00 MiB/s)" in str(report)
    assert "NaN" not in str(report)
    assert str(dataclasses.replace(report, nan_outputs=0.25)).endswith("25.00% of outputs are NaN")
    assert json.loads(json.dumps(report.to_dict()))["bytes_read"] == 2**30


def test_status_needs_nothing_but_the_output(archive):
    make_job(archive).run()
    assert read_status(str(archive.parent / "out.zarr")).is_complete
    with pytest.raises(FileNotFoundError, match="no ledger"):
        read_status(str(archive.parent / "other.zarr"))
