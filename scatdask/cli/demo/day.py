"""A synthetic seismic day: what happens at which station, and when.

The numbers are those of a small regional network: stations and earthquakes within 100 km, body
waves at crustal velocities, microseisms between 5 and 20 s, traffic that grows by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

RATE = 100  # samples per second
START = "2024-03-11T00:00:00"

P_VELOCITY, S_VELOCITY = 6.0, 3.46  # km/s
_REGION = 100.0  # km
_QUIET = 200.0  # seconds between events, so that hits and misses can be told apart
_EDGE = 150.0  # seconds without events at both ends
_DAY = 86400.0
# Counts of a magnitude 0 event at 1 km, as if it fell with distance to the power of 1.5.
_LOUDNESS = 10**3.4
PACKET_SECONDS = 150.0


@dataclass(frozen=True)
class Event:
    """An earthquake.

    Attributes
    ----------
    seconds : float
        Origin time after the start of the day.
    magnitude : float
    x, y, depth : float
        Position in km.
    """

    seconds: float
    magnitude: float
    x: float
    y: float
    depth: float


@dataclass(frozen=True)
class Disturbance:
    """A burst of noise that a single station records, such as a car that passes by."""

    seconds: float
    station: int
    amplitude: float


@dataclass(frozen=True)
class Day:
    """Stations, and what they record.

    Attributes
    ----------
    hours : float
        Length; a day has 24.
    n_stations : int
    seed : int
        Seed of all that is random.
    """

    hours: float = 24.0
    n_stations: int = 10
    seed: int = 0

    @property
    def n_samples(self) -> int:
        """Samples of each station."""
        return round(self.hours * 3600 * RATE)

    @property
    def n_bytes(self) -> int:
        """Size of all samples, as 32-bit counts."""
        return 4 * self.n_stations * self.n_samples

    @property
    def chunk(self) -> int:
        """Samples of a chunk of the archive: an hour."""
        return min(3600 * RATE, self.n_samples)

    @property
    def indices(self) -> range:
        """Numbers of the stations."""
        return range(self.n_stations)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stations."""
        return tuple(f"SD{number:02d}" for number in range(1, self.n_stations + 1))

    @cached_property
    def positions(self) -> np.ndarray:
        """East and north of the stations in km, shape (station, 2)."""
        rng = np.random.default_rng([self.seed, 1])
        angle = 2 * np.pi * (np.arange(self.n_stations) + rng.uniform(0, 0.6, self.n_stations))
        radius = _REGION / 2 * np.sqrt(rng.uniform(0.05, 1, self.n_stations))
        angle /= self.n_stations
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The earthquakes in order of time: a main shock, its aftershocks, and others."""
        rng = np.random.default_rng([self.seed, 2])
        length = self.hours * 3600
        main = 0.6 * length
        count = max(round(1.25 * self.hours), 2)
        others = rng.uniform(_EDGE, length - _EDGE, 20 * count)
        # Omori: their rate falls with the inverse of the time since the main shock.
        after = main + 600 * (np.exp(rng.uniform(0, 3, 20 * count)) - 1)
        times = [main]
        for early, late in zip(others, after, strict=True):
            for seconds in (early, late):
                apart = min(abs(seconds - other) for other in times)
                if len(times) < count and apart > _QUIET and seconds < length - _EDGE:
                    times.append(seconds)
        events = []
        for seconds in sorted(times):
            # Gutenberg and Richter, with b = 1, from 1.2 on.
            magnitude = min(1.2 + rng.exponential(1 / np.log(10)), 2.8)
            x, y = rng.uniform(-_REGION / 2, _REGION / 2, 2)
            depth = rng.uniform(4, 15)
            magnitude = 3.4 if seconds == main else magnitude
            events.append(
                Event(float(seconds), round(float(magnitude), 1), float(x), float(y), float(depth))
            )
        return tuple(events)

    @cached_property
    def disturbances(self) -> tuple[Disturbance, ...]:
        """What looks like an event at one station and is none."""
        rng = np.random.default_rng([self.seed, 3])
        count = max(round(self.hours * self.n_stations / 12), 1)
        return tuple(
            Disturbance(
                float(rng.uniform(_EDGE, self.hours * 3600 - _EDGE)),
                int(rng.integers(self.n_stations)),
                float(10 ** rng.uniform(2, 3.3)),
            )
            for _ in range(count)
        )

    def distances(self, event: Event) -> np.ndarray:
        """Return the distance of an event from each station in km."""
        offset = self.positions - np.array([event.x, event.y])
        return np.sqrt((offset**2).sum(axis=1) + event.depth**2)

    def arrivals(self, event: Event) -> tuple[np.ndarray, np.ndarray]:
        """Return when P and S waves arrive at each station, in seconds of the day."""
        distances = self.distances(event)
        return (
            event.seconds + distances / P_VELOCITY,
            event.seconds + distances / S_VELOCITY,
        )

    def packet(self, number: int, station: int) -> tuple[float, np.ndarray]:
        """Return what a station records of an event: time of its first sample, and samples."""
        event = self.events[number]
        distance = float(self.distances(event)[station])
        begin = event.seconds + distance / P_VELOCITY
        lag = distance / S_VELOCITY - distance / P_VELOCITY
        rng = np.random.default_rng([self.seed, 4, number, station])
        amplitude = _LOUDNESS * 10**event.magnitude / distance**1.5
        # Small events are higher pitched, and high pitches die out on the way.
        corner = 12 * 10 ** (-0.35 * (event.magnitude - 1))
        delay = distance / P_VELOCITY / 500
        p = 0.35 * _burst(rng, corner * 1.4, delay, 0.0, 2 + distance / 40)
        s = _burst(rng, corner, delay, lag, 5 + distance / 20)
        return begin, amplitude * (p + s)

    def disturbance_packet(self, number: int) -> tuple[float, np.ndarray]:
        """Return what its station records of a disturbance."""
        disturbance = self.disturbances[number]
        rng = np.random.default_rng([self.seed, 5, number])
        return disturbance.seconds, disturbance.amplitude * _burst(rng, 9.0, 0.0, 0.0, 8.0)


def _burst(
    rng: np.random.Generator, corner: float, delay: float, onset: float, decay: float
) -> np.ndarray:
    """Return noise of a given spectrum that sets in at once and dies out, with rms near 1."""
    n = round(PACKET_SECONDS * RATE)
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = frequency / (1 + (frequency / corner) ** 2) * np.exp(-np.pi * frequency * delay)
    spectrum *= np.sqrt(n / 2 / (spectrum**2).sum())
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * spectrum, n)
    time = np.arange(n) / RATE - onset
    envelope = np.where(time > 0, -np.expm1(-np.abs(time) / 0.2) * np.exp(-np.abs(time) / decay), 0)
    return noise * envelope


def activity(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how loud the sea and people are over the day, each 1 on a quiet one."""
    phase = 2 * np.pi * seconds / _DAY
    sea = 1 + 0.6 * np.sin(phase / 2) ** 2
    people = 1 + 1.2 * np.clip(np.sin(phase - np.pi / 2), 0, None) ** 0.5
    return sea.astype(np.float32), people.astype(np.float32)
