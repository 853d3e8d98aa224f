"""The synthetic day as a Zarr archive, written chunk by chunk in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.fft
import xarray as xr
import zarr

from scatdask.archive.store import young_parts_of_zarr
from scatdask.cli.demo.day import RATE, START, Day, activity

VARIABLE = "seismogram"
CHUNK = 3600 * RATE
# Noise is filtered with so many more samples on either side, and so has no seams.
_MARGIN = 200 * RATE
_SEA, _PEOPLE = 250.0, 8.0  # counts, root mean square


def write_day(day: Day, path: Path, threads: int = 2) -> None:
    """Write the records of all stations, one chunk of one station at a time.

    Parameters
    ----------
    day : Day
    path : Path
        Archive to write; replaced if it exists.
    threads : int, default 2
        Stations that are written at the same time.
    """
    samples = _create(day, path)
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda station: _write_station(day, samples, station), day.indices):
            pass
    with young_parts_of_zarr():
        zarr.consolidate_metadata(path)


def copy_station(source: Path, target: Path, station: int, chunk: int) -> None:
    """Copy one station to an archive of other chunks."""
    with xr.open_zarr(source, chunks=None, decode_times=False) as dataset, young_parts_of_zarr():
        one = dataset.isel(station=[station]).drop_encoding()
        one[VARIABLE].encoding["chunks"] = (1, min(chunk, one.sizes["time"]))
        one.to_zarr(target, mode="w", zarr_format=3)


def _create(day: Day, path: Path) -> zarr.Array:
    """Write all but the samples."""
    stations = xr.Dataset(
        coords={
            "station": np.array(day.names, dtype=object),
            "easting": ("station", day.positions[:, 0], {"units": "km"}),
            "northing": ("station", day.positions[:, 1], {"units": "km"}),
        },
        attrs={"title": "a synthetic seismic day"},
    )
    n = day.n_samples
    chunk = day.chunk
    with young_parts_of_zarr():
        stations.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="r+")
    time = group.create_array(
        "time",
        shape=(n,),
        chunks=(chunk,),
        dtype="int64",
        dimension_names=("time",),
        attributes={"units": f"milliseconds since {START}", "calendar": "proleptic_gregorian"},
    )
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        time[start:stop] = np.arange(start, stop) * (1000 // RATE)
    return group.create_array(
        VARIABLE,
        shape=(day.n_stations, n),
        chunks=(1, chunk),
        dtype="int32",
        fill_value=-(2**31),
        dimension_names=("station", "time"),
        attributes={
            "units": "counts",
            "long_name": "vertical ground velocity",
            "coordinates": "easting northing",
        },
    )


def _write_station(day: Day, samples: zarr.Array, station: int) -> None:
    n = day.n_samples
    packets = list(_packets(day, station))
    for start, noise in _noise(day, station):
        for first, packet in packets:
            low, high = max(first, start), min(first + len(packet), start + len(noise))
            if low < high:
                noise[low - start : high - start] += packet[low - first : high - first]
        stop = min(start + len(noise), n)
        samples[station, start:stop] = np.rint(noise[: stop - start]).astype(np.int32)


def _packets(day: Day, station: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield what happens at a station: first sample, and samples."""
    found = [day.packet(number, station) for number in range(len(day.events))]
    found += [
        day.disturbance_packet(number)
        for number, disturbance in enumerate(day.disturbances)
        if disturbance.station == station
    ]
    for seconds, packet in found:
        yield round(seconds * RATE), packet


def _noise(day: Day, station: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the background noise of a station chunk by chunk: first sample, and samples.

    White noise is coloured by FFTs of one chunk and a margin. The white noise of a chunk depends
    on its number only, so neighbours agree on what lies in their margins.
    """

    def white(number: int) -> np.ndarray:
        rng = np.random.default_rng([day.seed, 6, station, number + 1])
        return rng.standard_normal(CHUNK, dtype=np.float32)

    length = CHUNK + 2 * _MARGIN
    sea_response, people_response = _responses(length)
    before, now = white(-1), white(0)
    for number in range(-(-day.n_samples // CHUNK)):
        after = white(number + 1)
        padded = np.concatenate([before[-_MARGIN:], now, after[:_MARGIN]])
        spectrum = scipy.fft.rfft(padded)
        # Both change slowly: a value for each second is as good as one for each sample.
        seconds = np.arange(number * CHUNK, (number + 1) * CHUNK, RATE) / RATE
        sea, people = (np.repeat(level, RATE) for level in activity(seconds))
        inner = slice(_MARGIN, _MARGIN + CHUNK)
        noise = sea * scipy.fft.irfft(spectrum * sea_response, length)[inner]
        noise += people * scipy.fft.irfft(spectrum * people_response, length)[inner]
        yield number * CHUNK, noise
        before, now = now, after


def _responses(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return filters that turn white noise into microseisms and into the noise of people.

    Microseisms have peaks near 14 s and, by far the larger, near 6 s (Peterson, "Observations
    and modeling of seismic background noise", USGS Open-File Report 93-322, 1993), on a
    background of 1/f in power. The instrument is deaf below 10 mHz and above 40 Hz.
    """
    frequency = scipy.fft.rfftfreq(length, 1 / RATE)
    safe = np.maximum(frequency, 1e-4)

    def peak(centre: float, width: float) -> np.ndarray:
        bump: np.ndarray = np.exp(-0.5 * (np.log(safe / centre) / width) ** 2)
        return bump

    instrument = safe**2 / (safe**2 + 0.01**2) / np.sqrt(1 + (safe / 40) ** 16)
    sea = (peak(0.17, 0.3) + 0.1 * peak(0.07, 0.2) + 0.01 * safe**-0.5) * instrument
    people = peak(7.0, 0.7) * instrument
    return _scaled(_SEA, sea), _scaled(_PEOPLE, people)


def _scaled(rms: float, response: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rms * response / np.sqrt(np.mean(response**2))
    return scaled.astype(np.float32)
