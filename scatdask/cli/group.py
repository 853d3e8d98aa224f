"""The command group ``scatdask``."""

from __future__ import annotations

import click

from scatdask._version import __version__
from scatdask.cli import commands, sharing
from scatdask.cli.demo.command import demo
from scatdask.cli.failures import EXIT_CODES
from scatdask.cli.report import report


@click.group(
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="scatdask")
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
def main(traceback: bool) -> None:
    """Wavelet scattering of Zarr archives of any size.

    The numbers do not depend on how the archive is chunked, nor on the memory and the workers
    of the run.

    \b
    Examples:
      scatdask demo
      scatdask plan   in.zarr out.zarr --dim time -J 10 -Q 8
      scatdask run    in.zarr out.zarr --dim time -J 10 -Q 8 --workers 4
      scatdask status in.zarr out.zarr
      scatdask verify in.zarr out.zarr
      scatdask report out.zarr

    A job that has begun remembers its transform: the same output needs no -J again.
    """  # noqa: D301 - \b keeps click from wrapping


main.add_command(commands.plan)
main.add_command(commands.run)
main.add_command(commands.status)
main.add_command(sharing.init)
main.add_command(sharing.finalise)
main.add_command(commands.verify)
main.add_command(report)
main.add_command(demo)
