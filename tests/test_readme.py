"""The examples of the README run as they stand."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import distributed
import pytest
import xarray as xr
from click.testing import CliRunner

from scatdask.cli import main

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.M | re.S)


ACCESSOR, OTHERS, CLUSTER = blocks("python")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder in which the accessor example has run; the file "printed" is its output."""
    folder = tmp_path_factory.mktemp("readme")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        names: dict = {}
        exec(compile(ACCESSOR, "README.md", "exec"), names)
        (folder / "printed").write_text(printed.getvalue())
        exec(compile(OTHERS, "README.md", "exec"), names)
    (folder / "others").write_text(printed.getvalue()[(folder / "printed").stat().st_size :])
    return folder


def test_accessor_example(folder):
    printed = (folder / "printed").read_text()
    assert "(station: 3, path: 374, time: 352)" in printed
    assert printed.rstrip().endswith("Hz")


def test_other_transforms(folder):
    maps, box, joint = (folder / "others").read_text().splitlines()
    assert maps.startswith("{'level': 3, 'path': 217, 'lat': 23, 'lon': 45} [")
    assert box == "Frozen({'path': 57})"
    assert "'station': 3" in joint
    assert "'time': 352" in joint


def test_command_line_examples(folder, monkeypatch):
    monkeypatch.chdir(folder)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("scatdask ")]
    assert [shlex.split(line)[1] for line in commands] == [
        "plan",
        "run",
        "status",
        "verify",
        "report",
    ]
    for line in commands:
        result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, (line, result.output)
    s = xr.open_zarr("scattering.zarr", chunks=None)
    assert dict(s.sizes) == {"station": 3, "path": 374, "time": 352}
    assert s.velocity.notnull().all()


class Stand(distributed.LocalCluster):
    """A local cluster that is called as `dask_jobqueue.SLURMCluster` is."""

    asked = SimpleNamespace()

    def __init__(self, **arguments):
        Stand.asked.arguments = arguments
        super().__init__(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")

    def scale(self, n=0, *, jobs=None):
        if jobs is not None:
            Stand.asked.jobs = jobs
            n = 1
        return super().scale(n)


def test_cluster_example(folder, monkeypatch, tmp_path):
    (tmp_path / "waveforms.zarr").symlink_to(folder / "waveforms.zarr")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=Stand))
    names = {}
    exec(compile(CLUSTER, "README.md", "exec"), names)
    names["cluster"].close()
    assert names["job"].status().is_complete
    assert Stand.asked.jobs == 10


def test_slurm_takes_the_arguments_of_the_cluster_example(tmp_path, monkeypatch):
    jobqueue = pytest.importorskip("dask_jobqueue")
    monkeypatch.chdir(tmp_path)
    call = re.search(r"^cluster = (SLURMCluster\(.*?^\))", CLUSTER, re.M | re.S)[1]
    names = {"SLURMCluster": jobqueue.SLURMCluster}
    local = 'scheduler_options={"dashboard_address": ":0", "host": "127.0.0.1"})'
    cluster = eval(call.removesuffix(")") + local, names)
    try:
        script = cluster.job_script()
    finally:
        cluster.close()
    for line in ("-p compute", "-A my-account", "--cpus-per-task=32", "--mem=90G", "-t 04:00:00"):
        assert f"#SBATCH {line}\n" in script
    assert "--nworkers 32" in script and "--nthreads 1" in script
