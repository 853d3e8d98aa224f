"""Options that commands share, each defined once, and the job that they describe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scatdask.transforms import Scattering1D, Transform
from scatdask.transforms.base import BOUNDARIES, DTYPES

if TYPE_CHECKING:
    from scatdask.archive import Job

Command = TypeVar("Command", bound=Callable[..., Any])

TRANSFORMS: dict[str, type[Transform]] = {Scattering1D.name: Scattering1D}


class WaveletsPerOctave(click.ParamType):
    """An integer, or two with a comma between them."""

    name = "Q1[,Q2]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | tuple[int, ...]:
        """Return an int or a pair."""
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 2):
            self.fail(f"{value!r} is neither an integer nor a pair such as 8,2", param, ctx)
        return numbers if len(numbers) == 2 else numbers[0]


class AveragingScale(click.ParamType):
    """A number of samples, or "global"."""

    name = "samples|global"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return an int or "global"."""
        if value == "global":
            return "global"
        try:
            return int(value)
        except ValueError:
            return self.fail(f'{value!r} is neither an integer nor "global"', param, ctx)


def _together(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Apply options so that help lists them in the order in which they are written."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


locations = _together(
    click.argument("source", metavar="IN.zarr"),
    click.argument("target", metavar="OUT.zarr"),
)

transform_options = _together(
    click.option(
        "--transform",
        type=click.Choice(list(TRANSFORMS)),
        help=f"Which transform.  [default: {Scattering1D.name}]",
    ),
    click.option("--dim", metavar="NAME", help="Dimension to transform over, such as time."),
    click.option("-J", "J", type=int, metavar="J", help="Largest scale: 2**J samples."),
    click.option(
        "-Q",
        "Q",
        type=WaveletsPerOctave(),
        help="Wavelets per octave of order 1, and of order 2 after a comma.  [default: 1,1]",
    ),
    click.option(
        "-T",
        "T",
        type=AveragingScale(),
        help='Averaging scale; 0 for none, "global" for the mean of each signal.  [default: 2**J]',
    ),
    click.option(
        "--stride",
        type=int,
        metavar="SAMPLES",
        help="Input samples per output, a power of two.  [default: the largest up to T]",
    ),
    click.option(
        "--max-order", type=int, metavar="1|2", help="Highest scattering order.  [default: 2]"
    ),
    click.option(
        "--boundary",
        type=click.Choice(BOUNDARIES),
        help="How a signal goes on past its ends.  [default: reflect]",
    ),
    click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="Precision of work and result.  [default: float32]",
    ),
    click.option(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="Error that cutting into blocks may cause, of each path's largest coefficient. "
        " [default: 1e-6]",
    ),
)

source_options = _together(
    click.option(
        "--variable",
        metavar="NAME",
        help="Variable to transform.  [default: all numeric ones that have the dimension]",
    ),
    click.option(
        "--memory",
        default="2 GiB",
        show_default=True,
        metavar="BYTES",
        help="Memory of a worker process of one thread; decides the size of blocks.",
    ),
    click.option(
        "--missing-chunks",
        type=click.Choice(["error", "fill"]),
        default="error",
        show_default=True,
        help="Whether a chunk that the source lacks is an error, or holds the fill value.",
    ),
)

output_options = _together(
    click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else."
    ),
)


def job_options(command: Command) -> Command:
    """Add all that a job is made of, and how its result is printed."""
    return _together(locations, transform_options, source_options, output_options)(command)


def make_job(options: dict[str, Any]) -> Job:
    """Make the job that options describe, or that the ledger of the output remembers.

    The transform is taken from the ledger where the command line has none of its parameters:
    a mixture of both would leave open which transform was meant.

    Raises
    ------
    click.UsageError
        If neither says what the transform is.
    """
    from scatdask.archive import Job
    from scatdask.archive.ledger import Ledger

    target, dim, variable = options["target"], options["dim"], options["variable"]
    transform = asked_transform(options)
    if transform is None:
        record = Ledger(target).read()
        if record is None:
            raise click.UsageError(
                f"Missing option '-J', such as -J 10. (No job has begun at {target!r} that "
                "would say it.)"
            )
        transform = remembered_transform(record)
        dim = dim or record["dims"][0]
        if variable is None and len(record["variables"]) == 1:
            variable = record["variables"][0]
    if dim is None:
        raise click.UsageError("Missing option '--dim', such as --dim time.")
    return Job(
        options["source"],
        target,
        transform,
        dim=dim,
        variable=variable,
        memory=options["memory"],
        missing_chunks=options["missing_chunks"],
    )


def asked_transform(options: dict[str, Any]) -> Transform | None:
    """Return the transform that the command line describes, or None if it describes none."""
    kind = TRANSFORMS[options["transform"] or Scattering1D.name]
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    given = {name: options[name] for name in names if options[name] is not None}
    if not given:
        return None
    if "J" not in given:
        raise click.UsageError("Missing option '-J', such as -J 10.")
    return kind(**given)


def remembered_transform(record: dict[str, Any]) -> Transform:
    """Return the transform that the record of a ledger describes."""
    parameters = dict(record["transform"])
    name = parameters.pop("name")
    if name not in TRANSFORMS:
        raise ValueError(f"the ledger names a transform that this version lacks: {name!r}")
    return TRANSFORMS[name](**parameters)
