"""One spacing and one unit for the table of paths, from the samplings of the core dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from scatdask.labels.axis import Sampling

# Share by which spacings may differ because coordinates are rounded, and still be the same.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Spacing:
    """What the frequencies and lengths in a table of paths are stated in.

    Attributes
    ----------
    steps : float, tuple of float or None
        Sampling step of each core dimension, a number if there is one dimension; None where
        frequencies are per sample.
    unit : str
        Unit of lengths along the axes.
    inverse : str
        Unit of frequencies.
    note : str
        Why lengths are in samples or what else is particular about them; "" if nothing is.
    """

    steps: float | tuple[float, ...] | None
    unit: str
    inverse: str
    note: str = ""


def common_spacing(samplings: tuple[Sampling, ...]) -> Spacing:
    """Find one unit for all axes, or fall back to samples.

    Degrees north and degrees east count as the same unit, and so do coordinates without units.
    Lengths in directions between axes of different units mean nothing: they are in samples then.

    Parameters
    ----------
    samplings : tuple of Sampling
        Of each core dimension.

    Examples
    --------
    >>> north = Sampling(0.5, "1/(degrees_north)", "degrees_north", "lat", decreasing=True)
    >>> east = Sampling(0.75, "1/(degrees_east)", "degrees_east", "lon")
    >>> found = common_spacing((north, east))
    >>> found.steps, found.unit, found.inverse
    ((0.5, 0.75), 'degrees', '1/degrees')
    >>> common_spacing((north, Sampling(2.0, "Hz", "s", "time"))).unit
    'samples'
    """
    steps = tuple(one.step for one in samplings if one.step is not None)
    if len(samplings) == 1:
        [one] = samplings
        note = "" if steps else "frequencies are in cycles per sample"
        return Spacing(one.step, one.step_unit, one.unit, note)
    if len(steps) < len(samplings):
        return _samples("the spacing of an axis is unknown")
    units = [_common_name(one.step_unit) for one in samplings]
    if len(set(units)) > 1:
        return _samples(f"the axes have different units ({', '.join(units)})")
    notes = []
    if max(steps) <= (1 + _ROUNDING) * min(steps):
        steps = (sum(steps) / len(steps),) * len(steps)
    else:
        notes.append("spacings differ between axes: wavelets have their shape in samples")
    # Only wavelets over two axes have directions.
    if len(samplings) == 2 and any(one.decreasing for one in samplings):
        notes.append("directions follow the order of samples, against decreasing coordinates")
    return Spacing(steps, units[0], _inverse(units[0], samplings), "; ".join(notes))


def _samples(why: str) -> Spacing:
    return Spacing(None, "samples", "cycles per sample", f"lengths are in samples: {why}")


def _common_name(unit: str) -> str:
    if unit.lower().startswith(("degree_", "degrees_")) or unit.lower() in ("degree", "degrees"):
        return "degrees"
    return "units of the axes" if unit.startswith("units of ") else unit


def _inverse(unit: str, samplings: tuple[Sampling, ...]) -> str:
    if unit == "units of the axes":
        return "cycles per unit of the axes"
    return "1/degrees" if unit == "degrees" else samplings[0].unit
