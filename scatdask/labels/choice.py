"""Which variables of a Dataset are transformed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def choose(
    ds: xr.Dataset, dims: tuple[Hashable, ...], variable: Hashable | None = None
) -> tuple[dict[Hashable, xr.DataArray], dict[Hashable, str]]:
    """Split the variables along `dims` into those to transform and those to skip, with why.

    A variable that has some of `dims` and lacks others is skipped: it can neither be transformed
    nor stay, because the result has other coordinates along them. Complex variables are chosen:
    they look like signals, so that to pass over them in silence would surprise. They raise where
    samples are checked.

    Parameters
    ----------
    ds : Dataset
    dims : tuple of hashable
        Core dimensions.
    variable : hashable, optional
        The one to transform, whatever it holds; by default all numeric ones but bounds.

    Returns
    -------
    chosen : dict of DataArray
    skipped : dict of str

    Raises
    ------
    KeyError
        If no variable with all of `dims` has the name asked for.
    ValueError
        If there is nothing to transform.
    """
    touched = {name: array for name, array in ds.data_vars.items() if {*dims} & {*array.dims}}
    having = {name: array for name, array in touched.items() if {*dims} <= {*array.dims}}
    named = ("dimension " if len(dims) == 1 else "dimensions ") + ", ".join(map(repr, dims))
    if variable is not None:
        if variable not in having:
            raise KeyError(
                f"variable={variable!r} is not a variable with {named}; those are "
                f"{', '.join(map(repr, having)) or 'none'}"
            )
        others = (name for name in touched if name != variable)
        return {variable: having[variable]}, dict.fromkeys(others, "another one was asked for")
    bounds = {
        name: owner
        for owner, array in ds.variables.items()
        for name in (array.attrs.get("bounds"), array.encoding.get("bounds"))
    }
    chosen: dict[Hashable, xr.DataArray] = {}
    skipped: dict[Hashable, str] = {}
    for name, array in touched.items():
        if name in bounds:
            skipped[name] = f"bounds of {bounds[name]}"
        elif name not in having:
            skipped[name] = f"lacks {', '.join(str(dim) for dim in dims if dim not in array.dims)}"
        elif array.dtype.kind not in "fiuc":
            skipped[name] = f"dtype {array.dtype}"
        else:
            chosen[name] = array
    if not chosen:
        found = "; ".join(f"{name} ({why})" for name, why in skipped.items())
        raise ValueError(
            f"no numeric variable has the {named}, so there is nothing to transform"
            + (f"; passed over {found}" if found else "")
        )
    return chosen, skipped
