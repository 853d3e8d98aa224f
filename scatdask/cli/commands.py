"""The commands that plan, run and check a job."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scatdask.cli.failures import FAILED, INTERRUPTED, Failure, GuardedCommand
from scatdask.cli.options import (
    BlockRange,
    asked_dims,
    changed_option,
    check_same,
    job_options,
    locations,
    make_job,
    output_options,
    target_option,
    transform_options,
)
from scatdask.cli.parameters import asked_transform, remembered_transform
from scatdask.errors import WorkersLostError

if TYPE_CHECKING:
    import distributed

    from scatdask.archive import Job


def emit(text: str, record: dict[str, Any], as_json: bool) -> None:
    """Print a result for people, or for machines."""
    click.echo(json.dumps(_finite(record), indent=1) if as_json else text)


def _finite(value: Any) -> Any:
    """Replace infinity and NaN, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@click.command(cls=GuardedCommand)
@job_options
def plan(as_json: bool, **options: Any) -> None:
    """Say what a job will read, write and need; compute nothing.

    \b
    Examples:
      scatdask plan in.zarr out.zarr --transform scattering1d --dim time -J 10 -Q 8
      scatdask plan in.zarr out.zarr --dim time -J 10 -Q 8,2 --memory "1 GiB" --json
      scatdask plan maps.zarr out.zarr --transform scattering2d --dims lat,lon -J 4 -L 6
    """  # noqa: D301 - \b keeps click from wrapping
    result = make_job(options).plan()
    emit(str(result), result.to_dict(), as_json)


@click.command(cls=GuardedCommand)
@job_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start a local cluster of N processes.  [default: threads of this process]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use a running dask cluster: its address, such as tcp://10.0.0.1:8786, or the file that "
    'its scheduler wrote. Or none: "threads" of this process, or "synchronous", one block after '
    "the other for a debugger.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="What computes: GPUs where there are, and CPUs where there are none; or only one kind.",
)
@click.option(
    "--block-range",
    type=BlockRange(),
    help="Compute the blocks from A to before B only, of an output made by `scatdask init`.",
)
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@changed_option
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
def run(
    as_json: bool,
    workers: int | None,
    scheduler: str | None,
    device: str,
    block_range: tuple[int, int] | None,
    overwrite: bool,
    changed: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Compute the blocks that are not done yet.

    An interrupted run loses nothing that was finished: the same command goes on, with or without
    the transform's parameters, and with any number of workers. Where the source got longer, it
    computes what is new.

    \b
    Examples:
      scatdask run in.zarr out.zarr --transform scattering1d --dim time -J 10 -Q 8
      scatdask run in.zarr out.zarr --dim time -J 10 -Q 8 --workers 8 --memory "1 GiB"
      scatdask run in.zarr out.zarr --scheduler tcp://10.0.0.1:8786
      scatdask run in.zarr out.zarr --block-range 1000:2000
      scatdask run s3://bucket/in.zarr s3://bucket/out.zarr --dim time -J 8 -T global
      scatdask run maps.zarr out.zarr --transform scattering2d --dims lat,lon -J 4 \\
        --boundary reflect,periodic
      scatdask run box.zarr out.zarr --transform scattering3d --dims z,y,x -J 2 -L 3
      scatdask run in.zarr out.zarr --transform time_frequency_scattering --dim time -J 10 \\
        --J-fr 3 --format joint
    """  # noqa: D301 - \b keeps click from wrapping
    if workers is not None and scheduler is not None:
        raise click.UsageError("Give --workers or --scheduler, not both.")
    if block_range is not None and overwrite:
        raise click.UsageError("Give --overwrite to `scatdask init`, not to one of its ranges.")
    job = make_job(options)
    here = scheduler if scheduler in ("threads", "synchronous") else None
    try:
        with _client(None if here else scheduler) as client:
            report = job.run(
                client,
                workers=workers,
                scheduler=here,
                device=device,
                blocks=block_range,
                overwrite=overwrite,
                changed=changed,
                progress=False if quiet else None,
            )
    except KeyboardInterrupt as interrupt:
        raise Failure(_what_is_recorded(job), INTERRUPTED) from interrupt
    emit(str(report), report.to_dict(), as_json)


@contextlib.contextmanager
def _client(scheduler: str | None) -> Iterator[distributed.Client | None]:
    """Connect to a cluster, if there is to be one."""
    if scheduler is None:
        yield None
        return
    import distributed

    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = distributed.Client(**where, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(f"no dask scheduler answers at {scheduler!r}: {error}") from error
    with client:
        try:
            yield client
        except WorkersLostError:
            # Closing it, distributed would tell at length that it could not connect again.
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
            raise


def _what_is_recorded(job: Job) -> str:
    try:
        done = str(job.status()).partition("\n")[0]  # failures and hints come after
    except FileNotFoundError:
        return "interrupted before any block was done"
    return f"interrupted: {done} and recorded; give the same command again to do the rest"


@click.command(cls=GuardedCommand)
@locations
@transform_options
@target_option
@output_options
def status(as_json: bool, source: str, target: str, **options: Any) -> None:
    """Say how many blocks are done.

    Reads the ledger beside the output and nothing else, so neither the source nor the
    transform's parameters need be there; IN.zarr, and parameters that are given, must be the job's.

    \b
    Examples:
      scatdask status in.zarr out.zarr
      scatdask status in.zarr out.zarr --json
    """  # noqa: D301 - \b keeps click from wrapping
    from scatdask.archive import read_status
    from scatdask.archive.ledger import Ledger
    from scatdask.archive.locations import Location

    where = Location.of(target, dict(options["target_options"]))
    result = read_status(where)
    record = Ledger(where).read() or {}
    transform = remembered_transform(record)
    dims, over = record["dims"], asked_dims(options)
    check_same(
        target,
        {
            "kind of transform": (transform.name, options["transform"]),
            "transform": (transform, asked_transform(options)),
            "dims": (", ".join(dims), over and ", ".join(over)),
            "source": (record["source"], _named(source, record)),
        },
    )
    emit(
        f"{result}\n{transform} over {', '.join(map(repr, dims))} of {record['source']}",
        {
            **result.to_dict(),
            "transform": record["transform"],
            "source": record["source"],
            "dims": dims,
            "variables": record["variables"],
        },
        as_json,
    )


def _named(source: str, record: dict[str, Any]) -> str:
    """Return what a ledger calls a source that may not be there any more."""
    from scatdask.archive.locations import Location

    # The ledger knows where references are, of which the command line may say nothing.
    is_reference = source == "reference://" and record["source"].startswith(source)
    return str(record["source"]) if is_reference else Location.of(source).url


@click.command(cls=GuardedCommand)
@job_options
@click.option(
    "--blocks",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="How many blocks to compute anew.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of their draw.")
def verify(as_json: bool, blocks: int, seed: int, **options: Any) -> None:
    """Compute some blocks anew, cut in another way, and compare with what is stored.

    Blocks are drawn from those that are done. A chunk of the output that is missing or cannot be
    read is a problem too. Blocks that cannot be computed anew, such as where the source does not
    answer, are named, and stay done; the exit code is 1 then too.

    \b
    Examples:
      scatdask verify in.zarr out.zarr
      scatdask verify in.zarr out.zarr --blocks 100 --seed 7 --json
    """  # noqa: D301 - \b keeps click from wrapping
    result = make_job(options).verify(blocks, seed=seed)
    emit(str(result), result.to_dict(), as_json)
    if not result.is_good:
        reason = (
            "the output is not what the source gives"
            if result.problems
            else "blocks could not be compared: nothing was found wrong with the output"
        )
        raise Failure(reason, FAILED, is_told=True)
