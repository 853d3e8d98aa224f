import dask
import pytest
from click.testing import CliRunner

from tests.examples import load

pytest.importorskip("dask_jobqueue")


@pytest.fixture(scope="module")
def example():
    return load("slurm")


def test_job_script_asks_for_what_the_job_needs(example):
    any_port = {"jobqueue.slurm.scheduler-options": {"dashboard_address": ":0"}}
    with (
        dask.config.set(any_port),
        example.make_cluster("compute", "wavelets", 32, "04:00:00") as cluster,
    ):
        script = cluster.job_script()
    assert "#SBATCH -p compute" in script
    assert "#SBATCH -A wavelets" in script
    assert "#SBATCH --cpus-per-task=32" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert "--nthreads 1 " in script
    assert "--nworkers 32 " in script


def test_faults_show_before_anything_is_queued(example, tmp_path):
    result = CliRunner().invoke(example.main, [str(tmp_path / "none.zarr"), str(tmp_path / "out")])
    assert isinstance(result.exception, FileNotFoundError)
