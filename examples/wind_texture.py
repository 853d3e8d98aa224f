"""Texture of the wind at three levels of the atmosphere, by scale and direction.

    python examples/wind_texture.py --data eraint_uvz.nc --picture wind_texture.png

reads monthly means of the wind (ERA-Interim, as xarray's tutorial ships it: u and v on levels,
latitudes and longitudes), takes the speed, and transforms all maps at once, lazily, with
`.scat.scattering2d`. Longitude goes around the globe, so it is periodic; latitude is reflected at
the poles. The picture shows for each level the speed, the strength of its texture at a scale, and
the direction in which it varies most.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import xarray as xr

import scatdask  # noqa: F401 - adds .scat

J, L = 4, 8


def read(data: Path | None) -> xr.DataArray:
    """Return the wind speed, (month, level, latitude, longitude), lazily."""
    if data is None:
        ds = xr.tutorial.open_dataset("eraint_uvz", chunks={"level": 1, "longitude": 100})
    else:
        ds = xr.open_dataset(data, engine="scipy", chunks={"level": 1, "longitude": 100})
    speed = np.hypot(ds.u, ds.v).rename("speed")
    return speed.assign_attrs(units="m/s", long_name="wind speed")


def texture(speed: xr.DataArray) -> xr.DataArray:
    """Return the first-order scattering of all maps, (..., path, latitude, longitude)."""
    s = speed.scat.scattering2d(
        J,
        L=L,
        dims=("latitude", "longitude"),
        boundary=("reflect", "periodic"),
        max_order=1,
        stride=4,
    )
    return s.isel(path=s.order == 1)


def by_direction(first: xr.DataArray, j: int) -> xr.DataArray:
    """Return the paths of one scale with their directions as a dimension."""
    chosen = first.isel(path=first.j1 == j)
    return chosen.swap_dims(path="theta1").reset_coords(drop=True)


def main_direction(first: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the direction of the strongest variation in degrees, and how much it stands out.

    Directions are axes, so that 0 and 180 degrees are the same: they are added up as unit vectors
    at twice their angle. The length of the sum, over the sum of lengths, is 0 where all
    directions are alike, and 1 where there is only one.
    """
    turn = np.exp(2j * np.deg2rad(first.theta1))
    total = (first * turn).sum("theta1") / first.sum("theta1")
    angle = np.rad2deg(np.arctan2(total.imag, total.real) / 2)
    return angle, abs(total)


def picture(speed: xr.DataArray, first: xr.DataArray, j: int, file: Path) -> None:
    """Draw speed, strength of texture, and direction for each level."""
    import matplotlib.pyplot as plt

    directions = by_direction(first, j)
    strength = directions.sum("theta1")
    angle, contrast = main_direction(directions)
    n_levels = speed.sizes["level"]
    fig, axes = plt.subplots(
        n_levels, 3, figsize=(13, 2.3 * n_levels), sharex=True, sharey=True, layout="constrained"
    )
    for level, row in zip(speed.level.values, axes, strict=True):
        here = {"level": level}
        a = row[0].pcolormesh(
            speed.longitude, speed.latitude, speed.sel(here), cmap="viridis", rasterized=True
        )
        b = row[1].pcolormesh(
            first.longitude, first.latitude, strength.sel(here), cmap="magma", rasterized=True
        )
        c = row[2].pcolormesh(
            first.longitude,
            first.latitude,
            angle.sel(here),
            alpha=np.clip(2 * contrast.sel(here).values, 0, 1),
            cmap="hsv",
            vmin=-90,
            vmax=90,
            rasterized=True,
        )
        row[0].set_ylabel(f"{level} hPa\nlatitude")
        fig.colorbar(a, ax=row[0], label="m/s")
        fig.colorbar(b, ax=row[1], label="m/s")
        fig.colorbar(c, ax=row[2], label="degrees")
    wavelength = float(first.wavelength1.isel(path=first.j1 == j)[0])
    axes[0, 0].set_title(f"wind speed, month {int(speed.month)}")
    axes[0, 1].set_title(f"texture at wavelengths near {wavelength:.0f}°")
    axes[0, 2].set_title("direction of variation (faint: none)")
    for ax in axes[-1]:
        ax.set_xlabel("longitude")
    fig.savefig(file, dpi=110)
    plt.close(fig)


@click.command(help=__doc__)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="The file; by default xarray fetches it.",
)
@click.option(
    "--picture",
    "file",
    type=click.Path(path_type=Path),
    default=Path("wind_texture.png"),
    show_default=True,
    help="Where to draw.",
)
@click.option("--month", type=click.Choice(["1", "7"]), default="1", show_default=True)
@click.option("--scale", type=click.IntRange(0, J - 1), default=2, show_default=True, help="j.")
def main(data: Path | None, file: Path, month: str, scale: int) -> None:
    """Run the example."""
    speed = read(data)
    first = texture(speed)
    click.echo(f"{dict(speed.sizes)} -> {dict(first.sizes)}")
    speed, first = speed.sel(month=int(month)).load(), first.sel(month=int(month)).load()
    weight = np.cos(np.deg2rad(first.latitude))
    for level in speed.level.values:
        by_scale = first.sel(level=level).weighted(weight).mean(("latitude", "longitude"))
        spectrum = by_scale.groupby("j1").sum().values
        told = ", ".join(f"{value:.2f}" for value in spectrum)
        click.echo(f"{level} hPa: texture by scale, fine to coarse, {told} m/s")
    picture(speed, first, scale, file)
    click.echo(f"drawn in {file}")


if __name__ == "__main__":
    main()
