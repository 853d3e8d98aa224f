"""Coordinates of a result: slices of the source's, and the table of paths."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from scatdask.labels.axis import Sampling
from scatdask.labels.names import PATH, suffix
from scatdask.labels.spacing import Spacing, common_spacing
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import xarray as xr


def output_coords(
    source: xr.DataArray | xr.Dataset,
    transform: Transform,
    dims: tuple[Hashable, ...],
    samplings: tuple[Sampling, ...],
    chunks: Sequence[tuple[Any, ...]] | None = None,
) -> xr.Dataset:
    """Return all coordinates of the result.

    Coordinates along core dimensions, of any number of dimensions, are every stride-th of the
    source's along each; those without any are the source's. Nothing is computed or loaded.
    Encodings are not inherited.

    Parameters
    ----------
    source : DataArray or Dataset
    transform : Transform
    dims : tuple of hashable
        Core dimensions.
    samplings : tuple of Sampling
        Of each core dimension.
    chunks : sequence of tuple, optional
        For each of ``transform.outputs`` the chunks of the result along each core dimension. Lazy
        coordinates get the same, because slices of theirs would be irregular; by default one.

    Returns
    -------
    Dataset
        Without data variables. Where the transform yields several arrays (``T=0``), the names of
        core dimensions, of ``path``, and of what lies along them end in ``_stride<stride>``.
    """
    import xarray as xr

    coords = source.coords.to_dataset().drop_encoding()
    along = [name for name, coord in coords.coords.items() if {*dims} & {*coord.dims}]
    spacing = common_spacing(samplings)
    paths = _with_units(transform.paths(spacing.steps), spacing)
    step = None if isinstance(spacing.steps, tuple) else spacing.steps
    inner = _with_units(xr.Dataset(coords=transform.inner_coords(step)), spacing)
    apart = coords.drop_vars([name for name in coords.coords if name not in along])
    result = coords.drop_vars(along)
    lazy = [name for name in along if coords[name].chunks is not None]
    whole = repeat((-1,) * len(dims))
    for output, along_dims in zip(transform.outputs, chunks or whole):  # noqa: B905 - endless
        end = suffix(transform, output)
        sizes = dict(zip(dims, along_dims, strict=True))
        if output.stride is not None and along:
            every = slice(None, None, output.stride)
            part = apart.isel({dim: every for dim in dims if dim in apart.dims})
            for name in along:
                # Cells of the source's length no longer fit, unless they were sliced as well.
                if part[name].attrs.get("bounds") not in (None, *part.coords):
                    del part[name].attrs["bounds"]
            names = {name: f"{name}{end}" for name in {*along, *dims}} if end else {}
            held = part.drop_vars(lazy)
            result = result.assign_coords(_renamed(held, names).coords)
            if lazy:
                others = [name for name in along if name not in lazy]
                part = part.drop_vars(others)
                part = part.chunk({dim: s for dim, s in sizes.items() if dim in part.dims})
                result = result.assign_coords(_renamed(part, names).coords)
        rows = paths.isel({PATH: list(output.paths)}) if end else paths
        names = {name: f"{name}{end}" for name in (*paths.coords, PATH)} if end else {}
        result = result.assign_coords(rows.rename(names).coords)
    return result.assign_coords(inner.coords)


def _renamed(coords: xr.Dataset, names: Mapping[Hashable, str]) -> xr.Dataset:
    present = {*coords.variables, *coords.dims}
    return coords.rename({old: new for old, new in names.items() if old in present})


def _with_units(table: xr.Dataset, spacing: Spacing) -> xr.Dataset:
    """Fill in the units that follow from the axes."""
    for name, coord in table.coords.items():
        if str(name).startswith(("frequency", "bandwidth")):
            coord.attrs.setdefault("units", spacing.inverse)
        elif str(name).startswith(("wavelength", "scale")):
            coord.attrs.setdefault("units", spacing.unit)
    return table
