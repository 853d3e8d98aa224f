"""Where a target is, and what it is called."""

from __future__ import annotations

import pickle

import pytest

from scatdask.archive.locations import Location, target_of
from scatdask.errors import OutputExistsError
from tests.archive.conftest import make_job

icechunk = pytest.importorskip("icechunk")


@pytest.mark.parametrize("url", ["icechunk+gs://bucket/out", "icechunk+/data/out", "icechunk+out"])
def test_url_of_another_kind(url):
    with pytest.raises(ValueError, match=r"icechunk\+s3://bucket/prefix"):
        Location.of(url)


def test_repository_wants_a_ledger_of_a_known_name(archive, tmp_path):
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    with pytest.raises(TypeError, match="no place beside it for the ledger"):
        make_job(archive, target=repository)
    session = repository.writable_session("main")
    for part in (session, session.store):
        with pytest.raises(TypeError, match=r"give the icechunk\.Repository itself"):
            make_job(archive, target=part, ledger=tmp_path / "records.ledger")
    with pytest.raises(ValueError, match=r"ends in '\.ledger'"):
        target_of(repository, tmp_path / "records")
    with pytest.raises(TypeError, match=r"is for an icechunk\.Repository"):
        target_of(tmp_path / "out.zarr", tmp_path / "records.ledger")


def test_targets_are_called_as_they_were_given(archive, tmp_path, capfd):
    url = f"icechunk+file://{tmp_path / 'a'}"
    assert str(target_of(url)) == pickle.loads(pickle.dumps(target_of(url))).name == url
    assert str(target_of(archive)) == target_of(archive).name == str(archive)
    path, ledger = tmp_path / "b", tmp_path / "records.ledger"
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    make_job(archive, target=repository, ledger=ledger).init()
    (ledger / "job.json").unlink()
    with pytest.raises(OutputExistsError, match=rf"^'icechunk\.Repository\(.*{path}.*\)' exists"):
        make_job(archive, target=repository, ledger=ledger).run()
    capfd.readouterr()  # Icechunk tells of disks what is true of them
