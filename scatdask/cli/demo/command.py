"""The command ``scatdask demo``."""

from __future__ import annotations

from pathlib import Path

import click

from scatdask.cli.commands import emit
from scatdask.cli.failures import FAILED, Failure, GuardedCommand
from scatdask.cli.options import output_options


@click.command(cls=GuardedCommand)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("scatdask-demo"),
    show_default=True,
    help="Where archives and picture go: a new or empty folder, or that of an earlier demo.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Processes of the local cluster.",
)
@output_options
def demo(folder: Path, workers: int, as_json: bool) -> None:
    """Show what scatdask does on a day of seismic records, made up here.

    Writes a Zarr archive that is larger than the memory that a worker may take, scatters it on a
    local cluster, checks that other chunks and another block size give the same numbers, finds
    the earthquakes, and saves a picture; then does the same check with the other transforms on
    maps, volumes and chirps. Takes a minute or two, no network, and 1 GB of disk.

    \b
    Examples:
      scatdask demo
      scatdask demo --folder /tmp/demo --workers 8
    """  # noqa: D301 - \b keeps click from wrapping
    from scatdask.cli.demo.story import Demo

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    figures = Demo(folder, say, workers=workers).run()
    if as_json:
        emit("", figures, as_json)
    if figures["problems"]:
        raise Failure("; ".join(figures["problems"]), FAILED, is_told=True)
