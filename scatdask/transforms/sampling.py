"""Where filters are sampled, in space or in frequency, and what that asks of a signal."""

from __future__ import annotations

from typing import Any

from scatdask.filters import SAMPLINGS
from scatdask.transforms.base import EVERYWHERE, Transform
from scatdask.transforms.validation import as_member


def as_sampling(
    value: Any,
    boundary: str | tuple[str, ...],
    *,
    default: str,
    signal: str,
    are_short: bool = False,
) -> str:
    """Return where filters are sampled, if the signal goes on as that asks for.

    Parameters
    ----------
    value : str or None
    boundary : str or tuple of str
        How the signal goes on past its ends.
    default : str
        What None means.
    signal : str
        What a signal is called.
    are_short : bool, default False
        Whether filters are short even if they are sampled in frequency.

    Raises
    ------
    ValueError
        If `value` is no way to sample, or would make filters as long as a signal that is not
        periodic.
    """
    if value is None:
        return default
    sampling = as_member("sampling", value, SAMPLINGS)
    if sampling == "frequency" and boundary != "periodic" and not are_short:
        raise ValueError(
            f'sampling="frequency" makes filters as long as the {signal}, which must then be '
            f'periodic, but boundary is {boundary!r}: take sampling="space"'
        )
    return sampling


def check_sides(transform: Transform, shape: tuple[int, ...], signal: str) -> None:
    """Raise ValueError where filters see all of a signal and outputs do not go around evenly.

    Parameters
    ----------
    transform : Transform
    shape : tuple of int
        Of the signal, along its core axes.
    signal : str
        What a signal is called.
    """
    if transform.halo != EVERYWHERE:
        return
    for axis, n in enumerate(shape):
        if n % transform.alignment:
            raise ValueError(
                f'with sampling="frequency" the sides of the {signal} must be multiples of '
                f"stride={transform.alignment}, but core axis {axis} has {n} samples: take a "
                'smaller stride, or sampling="space"'
            )
