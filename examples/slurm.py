"""An archive on a Slurm cluster: Zarr to Zarr on as many nodes as there are.

    python examples/slurm.py waveforms.zarr scattering.zarr --queue compute --nodes 10

Needs ``pip install "scatdask[slurm]"``. Run it where jobs can be submitted and where both paths
mean what they mean on the nodes. Should the walltime end first, run it again: what is done is
recorded beside the output.
"""

from __future__ import annotations

import click
from dask.distributed import Client
from dask_jobqueue import SLURMCluster

import scatdask

# What one worker, a process of one thread, may take; the job cuts its blocks to fit.
WORKER_MEMORY_GB = 2


def make_cluster(queue: str | None, account: str | None, cores: int, walltime: str) -> SLURMCluster:
    """Describe the Slurm jobs that workers run in: one process for each core of a node."""
    return SLURMCluster(
        queue=queue,
        account=account,
        cores=cores,
        processes=cores,
        # Room for what comes and goes beside the blocks: dask pauses a worker at 80 %.
        memory=f"{1.5 * WORKER_MEMORY_GB * cores:.0f} GB",
        walltime=walltime,
        # Blocks are what runs in parallel, so a process needs one thread only.
        job_script_prologue=["export OMP_NUM_THREADS=1", "export OPENBLAS_NUM_THREADS=1"],
    )


@click.command(help=__doc__)
@click.argument("source")
@click.argument("target")
@click.option("--dim", default="time", show_default=True, help="Core dimension.")
@click.option("--queue", help="Partition.")
@click.option("--account", help="Whom to charge.")
@click.option("--cores", default=32, show_default=True, help="Cores of a node.")
@click.option("--nodes", default=1, show_default=True)
@click.option("--walltime", default="04:00:00", show_default=True)
def main(
    source: str,
    target: str,
    dim: str,
    queue: str | None,
    account: str | None,
    cores: int,
    nodes: int,
    walltime: str,
) -> None:
    """Plan, wait for the first worker, run, and check some blocks."""
    transform = scatdask.Scattering1D(J=10, Q=8)
    job = scatdask.Job(source, target, transform, dim=dim, memory=f"{WORKER_MEMORY_GB} GB")
    click.echo(str(job.plan()))  # wrong names and parameters show before anything is queued
    with make_cluster(queue, account, cores, walltime) as cluster, Client(cluster) as client:
        cluster.scale(jobs=nodes)
        client.wait_for_workers(1)
        click.echo(str(job.run(client)))
    click.echo(str(job.verify()))


if __name__ == "__main__":
    main()
