from __future__ import annotations

import pytest

from tests.archive.conftest import make_job


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "processes"}, 'must be "threads" or "synchronous"'),
        ({"scheduler": "threads", "workers": 2}, "only one of these"),
    ],
)
def test_places_to_run_that_do_not_exist_or_exclude_each_other(archive, options, message):
    with pytest.raises(ValueError, match=message):
        make_job(archive).run(**options)


def test_wrong_arguments(archive):
    with pytest.raises(TypeError, match="transform must be a Transform"):
        make_job(archive, transform="scattering1d")
    with pytest.raises(ValueError, match="missing_chunks"):
        make_job(archive, missing_chunks="ignore")
    with pytest.raises(TypeError, match=r"reduce must be a Reduction.*got '1D'"):
        make_job(archive, reduce="1D")
    job = make_job(archive)
    with pytest.raises(TypeError, match=r"got 4: .* say run\(workers=4\)"):
        job.run(4)
    with pytest.raises(TypeError, match=r"by distributed.Client\('tcp://127.0.0.1:8786'\)"):
        job.plan("tcp://127.0.0.1:8786")
    with pytest.raises(TypeError, match=r"such as \(0, 500\), got '0:1'"):
        job.run(blocks="0:1")
    with pytest.raises(TypeError, match=r"blocks must be a number of blocks.*'all'"):
        job.verify("all")
    for number in (0, -1):
        with pytest.raises(ValueError, match=f"blocks must be at least 1, got {number}"):
            job.verify(number)
