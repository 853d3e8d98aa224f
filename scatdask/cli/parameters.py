"""The parameters of all transforms as options, from one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from scatdask.filters import SAMPLINGS
from scatdask.transforms import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    Transform,
)
from scatdask.transforms.base import BOUNDARIES, DTYPES
from scatdask.transforms.harmonic_scattering3d import METHODS
from scatdask.transforms.time_frequency import FORMATS

TRANSFORMS: dict[str, type[Transform]] = {
    kind.name: kind
    for kind in (Scattering1D, Scattering2D, HarmonicScattering3D, TimeFrequencyScattering)
}
DEFAULT = Scattering1D.name


class Listed(click.ParamType):
    """Values with commas between them.

    Parameters
    ----------
    name : str
        How help writes them.
    convert_one : callable
        From the text of one value; raises ValueError.
    example : str
        For the message of an error.
    most : int, optional
        How many there may be.
    always : bool, default False
        Return a tuple even of one value.
    """

    def __init__(
        self,
        name: str,
        convert_one: Callable[[str], Any],
        example: str,
        *,
        most: int | None = None,
        always: bool = False,
    ) -> None:
        self.name, self._convert_one, self._example = name, convert_one, example
        self._most, self._always = most, always

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a value, or a tuple of several."""
        try:
            values = tuple(self._convert_one(part.strip()) for part in str(value).split(","))
        except ValueError:
            values = ()
        if not values or len(values) > (self._most or len(values)):
            self.fail(f"{value!r} is not of the form {self._example}", param, ctx)
        return values[0] if len(values) == 1 and not self._always else values


class NumberOrGlobal(click.ParamType):
    """A number of samples or wavelets, or "global"."""

    def __init__(self, name: str) -> None:
        self.name = name

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


def _boundary(text: str) -> str:
    if text not in BOUNDARIES:
        raise ValueError(text)
    return text


@dataclass(frozen=True)
class Parameter:
    """A parameter as an option.

    Attributes
    ----------
    flags : str
        As click takes them.
    help : str
        Defaults that are numbers and words, and the transforms that have it, are added to it.
    type : click.ParamType or type
    metavar : str, optional
    """

    flags: str
    help: str
    type: Any = int
    metavar: str | None = None


# By name of the field.
PARAMETERS: dict[str, Parameter] = {
    "J": Parameter("-J", "Largest scale: 2**J samples.", metavar="J"),
    "Q": Parameter(
        "-Q",
        "Wavelets per octave of order 1, and of order 2 after a comma (1, if left out).",
        Listed("Q1[,Q2]", int, "8 or 8,2", most=2),
    ),
    "L": Parameter("-L", "Number of directions, or highest degree of harmonics.", metavar="L"),
    "J_fr": Parameter(
        "--J-fr", "Largest scale along frequency: 2**J_fr first-order wavelets.", metavar="J_FR"
    ),
    "Q_fr": Parameter("--Q-fr", "Wavelets per octave along frequency.", metavar="Q_FR"),
    "T": Parameter(
        "-T",
        'Averaging scale; 0 for none, "global" for the mean of each signal.  [default: 2**J]',
        NumberOrGlobal("samples|global"),
    ),
    "F": Parameter(
        "-F",
        "Averaging scale along frequency; as -T.  [default: 2**J_fr]",
        NumberOrGlobal("wavelets|global"),
    ),
    "stride": Parameter(
        "--stride",
        "Input samples per output along each dimension.  [default: the largest that loses nothing]",
        metavar="SAMPLES",
    ),
    "max_order": Parameter("--max-order", "Highest scattering order.", metavar="ORDER"),
    "sigma_0": Parameter("--sigma-0", "Width of the narrowest wavelet.", float, metavar="SAMPLES"),
    "rotation_covariant": Parameter(
        "--rotation-covariant/--no-rotation-covariant",
        "Whether moduli are over all orders m of a harmonic.",
        bool,
    ),
    "integral_powers": Parameter(
        "--integral-powers",
        "Powers of moduli.",
        Listed("q,q,...", float, "0.5,1,2", always=True),
    ),
    "method": Parameter("--method", "Sums over each volume, or maps.", click.Choice(METHODS)),
    "format": Parameter(
        "--format", "A path for each place along frequency, or an axis.", click.Choice(FORMATS)
    ),
    "sampling": Parameter(
        "--sampling",
        "Where wavelets are sampled: in space they are short, and data can be cut into blocks.",
        click.Choice(SAMPLINGS),
    ),
    "boundary": Parameter(
        "--boundary",
        f"How data go on past their ends, for each dimension if need be: {', '.join(BOUNDARIES)}.",
        Listed("word[,word...]", _boundary, "reflect or reflect,periodic"),
    ),
    "dtype": Parameter("--dtype", "Precision of work and result.", click.Choice(DTYPES)),
    "tolerance": Parameter(
        "--tolerance",
        "Error that cutting into blocks may cause, of each path's largest coefficient.",
        float,
        metavar="SHARE",
    ),
}


def fields_of(kind: type[Transform]) -> dict[str, dataclasses.Field[Any]]:
    """Return the parameters of a transform that are options, by name."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    return {field.name: field for field in fields if field.name in PARAMETERS}


def parameter_options() -> list[Callable[[Any], Any]]:
    """Return one option for each parameter; all are None where they are not given."""
    return [
        click.option(
            one.flags, name, type=one.type, metavar=one.metavar, default=None, help=_help(name)
        )
        for name, one in PARAMETERS.items()
    ]


def _help(name: str) -> str:
    """Describe a parameter, with its defaults and the transforms that have it."""
    having = {kind.name: fields_of(kind)[name] for kind in _having(name)}
    defaults: dict[str, list[str]] = {}
    for kind, field in having.items():
        if field.default not in (None, dataclasses.MISSING):
            defaults.setdefault(_written(field.default), []).append(kind)
    notes = []
    if len(defaults) == 1:
        notes.append(f"default: {next(iter(defaults))}")
    elif defaults:
        pairs = (f"{value} for {' and '.join(kinds)}" for value, kinds in defaults.items())
        notes.append(f"default: {', '.join(pairs)}")
    if len(having) < len(TRANSFORMS):
        notes.append(f"of {', '.join(having)}")
    return "  ".join([PARAMETERS[name].help, *(f"[{note}]" for note in notes)])


def _having(name: str) -> list[type[Transform]]:
    return [kind for kind in TRANSFORMS.values() if name in fields_of(kind)]


def _written(value: Any) -> str:
    """Return a default as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def asked_transform(options: dict[str, Any]) -> Transform | None:
    """Return the transform that the command line describes, or None if it describes none.

    Raises
    ------
    click.UsageError
        If the transform lacks a parameter that was given, or needs one that was not.
    """
    given = {name: options[name] for name in PARAMETERS if options[name] is not None}
    if not given:
        return None
    kind = TRANSFORMS[options["transform"] or DEFAULT]
    fields = fields_of(kind)
    for name in given:
        if name not in fields:
            others = ", ".join(other.name for other in _having(name))
            raise click.UsageError(
                f"{kind.name} has no option '{_flag(name)}', which is one of {others}."
            )
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in given:
            raise click.UsageError(f"Missing option '{_flag(name)}' of {kind.name}.")
    return kind(**given)


def remembered_transform(record: dict[str, Any]) -> Transform:
    """Return the transform that the record of a ledger describes."""
    parameters = dict(record["transform"])
    name = parameters.pop("name")
    if name not in TRANSFORMS:
        raise ValueError(f"the ledger names a transform that this version lacks: {name!r}")
    return TRANSFORMS[name](**parameters)


def _flag(name: str) -> str:
    return PARAMETERS[name].flags.partition("/")[0]
