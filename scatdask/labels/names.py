"""The names that a result will have, and whether the source has any of them already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from scatdask.labels.axis import Sampling
from scatdask.labels.spacing import common_spacing
from scatdask.transforms import Output, Transform

if TYPE_CHECKING:
    import xarray as xr

PATH = "path"
# The dimension of quantiles, where statistics have any.
QUANTILE = "quantile"

# A name of the result, what it is of, and whose name of the source it comes from, if any.
_Made = tuple[str, str, Hashable | None]


def suffix(transform: Transform, output: Output) -> str:
    """Return what tells the names of one output from those of another; "" if there is one."""
    return f"_stride{output.stride}" if transform.is_ragged else ""


def output_names(variable: Hashable | None, transform: Transform) -> tuple[str, ...]:
    """Return the names of the arrays that come of a variable, one for each output.

    Examples
    --------
    >>> from scatdask import Scattering1D
    >>> output_names("u", Scattering1D(J=3)), output_names("u", Scattering1D(J=3, T=0))
    (('u',), ('u_stride1', 'u_stride2'))
    """
    name = "scattering" if variable is None else variable
    return tuple(f"{name}{suffix(transform, output)}" for output in transform.outputs)


def statistic_name(array: str, statistic: str) -> str:
    """Return the name of a statistic of an array of coefficients."""
    return f"{array}_{statistic}"


def taken_names(
    source: xr.DataArray | xr.Dataset,
    transform: Transform,
    dims: tuple[Hashable, ...],
    samplings: tuple[Sampling, ...],
    variables: Iterable[Hashable],
    statistics: Iterable[str] = (),
) -> dict[Hashable, str]:
    """Return the names of the source that the result needs for something else.

    Parameters
    ----------
    source : DataArray or Dataset
    transform : Transform
    dims : tuple of hashable
        Core dimensions.
    samplings : tuple of Sampling
        Of each core dimension.
    variables : iterable of hashable
        Those of a Dataset that are transformed; the name of a DataArray.
    statistics : iterable of str, optional
        Those that take the place of coefficients.

    Returns
    -------
    dict of str
        For each of these names of the source what else it would name.
    """
    variables = tuple(variables)
    kept = {*source.dims, *source.coords, *(() if transform.is_ragged else variables)}
    for name, variable in getattr(source, "data_vars", {}).items():
        if not {*dims} & {*variable.dims}:
            kept.add(name)
    made = [
        *_labels(transform, samplings),
        *_along(source, transform, dims),
        *_arrays(transform, variables, tuple(statistics)),
    ]
    times = Counter(name for name, *_ in made)
    taken: dict[Hashable, str] = {}
    for name, what, origin in made:
        if name in kept:
            taken[name] = f"names {what}"
        elif times[name] > 1 and origin is not None:
            taken[origin] = f"would be {name!r}, the name of something else in the result"
    return taken


def check_names(
    source: xr.DataArray | xr.Dataset,
    transform: Transform,
    dims: tuple[Hashable, ...],
    samplings: tuple[Sampling, ...],
    variables: Iterable[Hashable],
) -> None:
    """Raise ValueError where two things in the result would have one name, see `taken_names`."""
    import xarray as xr

    taken = taken_names(source, transform, dims, samplings, variables)
    if not taken:
        return
    labels, renamed = taken, "obj"
    if isinstance(source, xr.DataArray) and source.name in taken:
        own = _new_name(source.name)
        renamed += f".rename({own!r})"
        labels = taken_names(source.rename(own), transform, dims, samplings, [own])
    if labels:
        new_names = {name: _new_name(name) for name in labels}
        renamed += f".rename({new_names!r})"
    raise ValueError(f"{describe_taken(taken)}: rename it first, as in {renamed}")


def _new_name(name: Hashable) -> str:
    """Return another name: with an end that outputs come before, so that no two meet again."""
    return f"{name}_input"


def describe_taken(taken: Mapping[Hashable, str]) -> str:
    """Return `taken_names` as the beginning of a message.

    Examples
    --------
    >>> describe_taken({"order": "names a label of the result"})
    "the input already has 'order', which names a label of the result"
    """
    each = (f"{name!r}, which {what}" for name, what in sorted(taken.items(), key=str))
    return f"the input already has {'; '.join(each)}"


def _labels(transform: Transform, samplings: tuple[Sampling, ...]) -> Iterator[_Made]:
    """Yield the labels of paths and inner axes: with the end that tells outputs, and without."""
    steps = common_spacing(samplings).steps
    inner = transform.inner_coords(None if isinstance(steps, tuple) else steps)
    names = {*inner, *(dim for output in transform.outputs for dim, _ in output.inner)}
    ends = {"", *(suffix(transform, output) for output in transform.outputs)}
    for label in (PATH, *transform.paths(steps).coords):
        names |= {f"{label}{end}" for end in ends}
    yield from ((name, "a label of the result", None) for name in names)


def _along(
    source: xr.DataArray | xr.Dataset, transform: Transform, dims: tuple[Hashable, ...]
) -> Iterator[_Made]:
    """Yield what becomes of the core dimensions and their coordinates, if they are renamed."""
    along = {name for name, coord in source.coords.items() if {*dims} & {*coord.dims}}
    for output in transform.outputs if transform.is_ragged else ():
        for name in along | {*dims}:
            what = f"{name!r} of stride {output.stride}"
            yield f"{name}{suffix(transform, output)}", what, name


def _arrays(
    transform: Transform, variables: tuple[Hashable, ...], statistics: tuple[str, ...]
) -> Iterator[_Made]:
    """Yield the arrays that come of variables, but for those that have their names."""
    for variable in variables:
        for name in output_names(variable, transform):
            if name != variable:
                yield name, f"coefficients of {variable!r}", variable
            for statistic in statistics:
                what = f"a statistic of {name!r}"
                yield statistic_name(name, statistic), what, variable
    if "quantiles" in statistics:
        yield QUANTILE, "a label of quantiles", None
