"""The command that writes the page of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scatdask.cli.failures import GuardedCommand
from scatdask.cli.options import target_option


@click.command(cls=GuardedCommand)
@click.argument("target", metavar="OUT.zarr")
@click.option(
    "-o",
    "--output",
    "page",
    metavar="PAGE.html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; a report that is there is replaced.  [default: OUT.zarr.report.html]",
)
@target_option
def report(target: str, page: Path | None, target_options: list[tuple[str, Any]]) -> None:
    """Write a page that shows what a job did and how far it is.

    One HTML file that needs no other: state and time left, failures, a map of the blocks,
    throughput, the plan against what was measured, versions and runs. It is made from the ledger
    alone, also while a run is at work.

    \b
    Examples:
      scatdask report out.zarr
      scatdask report out.zarr -o /var/www/out.html
      scatdask report s3://bucket/out.zarr --target-option profile=archive
    """  # noqa: D301 - \b keeps click from wrapping
    from scatdask.archive import write_report

    click.echo(write_report(target, page, dict(target_options)))
