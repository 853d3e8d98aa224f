"""The commands around runs that share the blocks of a job, without a scheduler."""

from __future__ import annotations

from typing import Any

import click

from scatdask.cli.commands import emit
from scatdask.cli.failures import FAILED, Failure, GuardedCommand
from scatdask.cli.options import changed_option, job_options, make_job


@click.command(cls=GuardedCommand)
@job_options
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@changed_option
def init(as_json: bool, overwrite: bool, changed: str, **options: Any) -> None:
    """Make the output, for runs that share its blocks.

    Afterwards any number of `scatdask run IN.zarr OUT.zarr --block-range A:B`, in any order and
    at the same time, and `scatdask finalise` at the end: what a job array of a batch system can
    do where there is no dask cluster. Give --memory: it cannot know what a thread has where those
    runs are.

    \b
    Examples:
      scatdask init in.zarr out.zarr --transform scattering1d --dim time -J 10 -Q 8 --memory 2GiB
    """  # noqa: D301 - \b keeps click from wrapping
    plan = make_job(options).init(overwrite=overwrite, changed=changed)
    emit(f"{plan}\nblocks 0:{plan.blocks} are to be computed", plan.to_dict(), as_json)


@click.command(cls=GuardedCommand)
@job_options
def finalise(as_json: bool, **options: Any) -> None:
    """Put the records of shared runs together, and say whether every block is done.

    \b
    Examples:
      scatdask finalise in.zarr out.zarr
    """  # noqa: D301 - \b keeps click from wrapping
    status = make_job(options).finalise()
    emit(str(status), status.to_dict(), as_json)
    if not status.is_complete:
        raise Failure("blocks are missing: run them, and finalise again", FAILED, is_told=True)
