"""Options that commands share, each defined once, and the job that they describe."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scatdask.cli.parameters import (
    DEFAULT,
    TRANSFORMS,
    Listed,
    asked_transform,
    parameter_options,
    remembered_transform,
)
from scatdask.errors import OutputExistsError

if TYPE_CHECKING:
    from scatdask.archive import Job, Reduction

Command = TypeVar("Command", bound=Callable[..., Any])


class Option(click.ParamType):
    """What a file system is told: a name and a value, which is JSON, or else text."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        key, separator, text = value.partition("=")
        if not key or not separator:
            self.fail(f"{value!r} is not KEY=VALUE, such as anon=true.", param, ctx)
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


def _together(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Apply options so that help lists them in the order in which they are written."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


class BlockRange(click.ParamType):
    """A range of blocks, such as 0:500."""

    name = "A:B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return both ends."""
        if isinstance(value, tuple):
            return value
        try:
            first, stop = map(int, value.split(":"))
        except ValueError:
            self.fail(f"{value!r} is no range of blocks such as 0:500", param, ctx)
        return first, stop


locations = _together(
    click.argument("source", metavar="IN.zarr"),
    click.argument("target", metavar="OUT.zarr"),
)

transform_options = _together(
    click.option(
        "--transform",
        type=click.Choice(list(TRANSFORMS)),
        help=f"Which transform.  [default: {DEFAULT}]",
    ),
    click.option("--dim", metavar="NAME", help="Dimension to transform over, such as time."),
    click.option(
        "--dims",
        type=Listed("NAME,NAME[,NAME]", str, "lat,lon", always=True),
        help="Dimensions of a transform over several, in its order, such as lat,lon.",
    ),
    *parameter_options(),
)

source_options = _together(
    click.option(
        "--variable",
        metavar="NAME",
        help="Variable to transform.  [default: all numeric ones that have the dimension]",
    ),
    click.option(
        "--memory",
        metavar="BYTES",
        help="Memory of a worker process of one thread, such as 4GB; decides the size of blocks. "
        "For `init`, where the tasks run.  [default: from the workers, or a share of this "
        "machine's]",
    ),
    click.option(
        "--missing-chunks",
        type=click.Choice(["error", "fill"]),
        help="Whether a chunk that the source lacks is an error, or holds the fill value.  "
        "[default: error]",
    ),
    click.option(
        "--engine",
        metavar="NAME",
        help="Of xarray, for a source that is not Zarr.  [default: what xarray finds]",
    ),
    click.option(
        "--source-option",
        "source_options",
        type=Option(),
        multiple=True,
        help="For the file system of a source that is a URL, such as endpoint_url=https://..., or "
        "for xarray to open files that are not Zarr, such as decode_timedelta=false; repeat it for "
        "several.",
    ),
)

# Also of commands that read the ledger alone, which is beside the output.
target_option = click.option(
    "--target-option",
    "target_options",
    type=Option(),
    multiple=True,
    help="For the file system of the output; repeat it for several.",
)

changed_option = click.option(
    "--changed",
    type=click.Choice(["error", "recompute"]),
    default="error",
    show_default=True,
    help="Where chunks of the source were written anew since the job began: say so, or compute "
    "the blocks again that read from them.",
)

reduction_options = _together(
    click.option(
        "--reduce-window",
        metavar="WINDOW",
        help="Write statistics over windows in place of the coefficients: a length of time such as "
        "1D or 6h, or a number in the units of the dimension.",
    ),
    click.option(
        "--statistics",
        type=Listed("NAME[,NAME...]", str, "mean,maximum", always=True),
        help="Of mean, variance, maximum, quantiles.  [default: mean,variance]",
    ),
    click.option(
        "--quantiles",
        type=Listed("SHARE[,SHARE...]", float, "0.5,0.99", always=True),
        help="Which quantiles, between 0 and 1.  [default: 0.5]",
    ),
)

output_options = _together(
    click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else."
    ),
)


def job_options(command: Command) -> Command:
    """Add all that a job is made of, and how its result is printed."""
    return _together(
        locations,
        transform_options,
        source_options,
        target_option,
        reduction_options,
        output_options,
    )(command)


def make_job(options: dict[str, Any]) -> Job:
    """Make the job that options describe, or that the ledger of the output remembers.

    The transform is taken from the ledger where the command line has none of its parameters:
    a mixture of both would leave open which transform was meant.

    Raises
    ------
    click.UsageError
        If neither says what the transform is.
    OutputExistsError
        If the ledger remembers another kind of transform than the command line names.
    """
    from scatdask.archive import Job, Reduction
    from scatdask.archive.ledger import Ledger
    from scatdask.archive.locations import Location

    target, dims, variable = options["target"], asked_dims(options), options["variable"]
    transform, reduction = asked_transform(options), asked_reduction(options)
    missing_chunks = options["missing_chunks"]
    if transform is None:
        record = Ledger(Location.of(target, dict(options["target_options"]))).read()
        if record is None:
            raise click.UsageError(
                f"Missing option '-J', such as -J 10. (No job has begun at {target!r} that "
                "would say it.)"
            )
        transform = remembered_transform(record)
        check_same(target, {"kind of transform": (transform.name, options["transform"])})
        dims = dims or tuple(record["dims"])
        if reduction is None and "reduction" in record:
            reduction = Reduction.from_dict(record["reduction"])
        if variable is None:
            variable = _remembered_variable(record)
        missing_chunks = missing_chunks or record.get("missing_chunks")
    if dims is None:
        wanted = "'--dim', such as --dim time"
        if transform.ndim > 1:
            wanted = "'--dims', such as --dims " + ",".join(("z", "y", "x")[-transform.ndim :])
        raise click.UsageError(f"Missing option {wanted}.")
    return Job(
        options["source"],
        target,
        transform,
        dims=dims,
        variable=variable,
        memory=options["memory"],
        missing_chunks=missing_chunks or "error",
        reduce=reduction,
        engine=options["engine"],
        source_options=dict(options["source_options"]),
        target_options=dict(options["target_options"]),
    )


def _remembered_variable(record: dict[str, Any]) -> str | None:
    """Return the variable that a job was begun with, None for all that can be transformed."""
    if "variable" in record:
        asked: str | None = record["variable"]
        return asked
    # Ledgers of before do not say it.
    return record["variables"][0] if len(record["variables"]) == 1 else None


def asked_reduction(options: dict[str, Any]) -> Reduction | None:
    """Return the reduction that the command line asks for, if any.

    Raises
    ------
    click.UsageError
        If it asks for statistics without a window, or quantiles that no statistic asks for.
    """
    from scatdask.archive import Reduction

    window = options["reduce_window"]
    chosen = {k: options[k] for k in ("statistics", "quantiles") if options[k] is not None}
    if window is None:
        if chosen:
            raise click.UsageError(
                f"--{next(iter(chosen))} needs --reduce-window, such as --reduce-window 1D."
            )
        return None
    statistics = chosen.get("statistics", Reduction.statistics)
    if "quantiles" in chosen and "quantiles" not in statistics:
        wanted = ",".join((*statistics, "quantiles"))
        raise click.UsageError(
            f"--quantiles needs quantiles among the statistics: --statistics {wanted}."
        )
    with contextlib.suppress(ValueError):  # a length of time
        window = float(window)
    return Reduction(window, **chosen)


def asked_dims(options: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the core dimensions that the command line names, or None if it names none.

    Raises
    ------
    click.UsageError
        If it names them twice.
    """
    dim, dims = options["dim"], options["dims"]
    if dim is not None and dims is not None:
        raise click.UsageError("Give --dim or --dims, not both.")
    return dims if dim is None else (dim,)


def check_same(target: str, pairs: dict[str, tuple[Any, Any]]) -> None:
    """Raise OutputExistsError where what is asked for is not what the ledger has.

    Parameters
    ----------
    target : str
    pairs : dict of (object, object)
        By name what the ledger has, and what is asked for, None if nothing is.
    """
    for name, (theirs, asked) in pairs.items():
        if asked is not None and asked != theirs:
            raise OutputExistsError(
                f"{target!r} is the output of another job ({name}: {theirs} there, {asked} here)"
            )
