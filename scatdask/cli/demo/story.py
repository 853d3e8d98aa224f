"""The demonstration, step by step."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.utils import format_bytes

from scatdask.archive import Job
from scatdask.archive.places import local_client
from scatdask.archive.verify import TOLERANCE
from scatdask.cli.demo.archive import VARIABLE, copy_station, write_day
from scatdask.cli.demo.day import RATE, Day
from scatdask.cli.demo.detector import BAND, THRESHOLD, Detections, detect
from scatdask.cli.demo.others import compare, examples
from scatdask.transforms import Scattering1D

if TYPE_CHECKING:
    import distributed

TRANSFORM = Scattering1D(J=10, Q=8)
PROMISE = max(TOLERANCE[TRANSFORM.dtype], 2 * TRANSFORM.tolerance)
# Python and its libraries are not equally large everywhere.
MEMORY_SLACK = 1.2
# Nothing of the first run's chunks and blocks divides it.
OTHER_CHUNK = 123_457
# A folder with this file is an earlier demonstration's, and may be replaced.
MARK = "scatdask-demo.txt"


@dataclass
class Demo:
    """The demonstration.

    Parameters
    ----------
    folder : Path
        For archives and picture: new, empty, or that of an earlier demonstration.
    say : callable
        Takes the lines of the story.
    day : Day
        What to synthesise.
    workers : int
        Processes of the local cluster.
    memory, other_memory : str
        What a worker may take in the main run, and in the one on other chunks.
    progress : bool, optional
        Whether to show bars; by default in a terminal.
    """

    folder: Path
    say: Callable[[str], None]
    day: Day = field(default_factory=Day)
    workers: int = 2
    memory: str = "280 MB"
    other_memory: str = "210 MB"
    progress: bool | None = None
    figures: dict[str, Any] = field(default_factory=dict, init=False)
    problems: list[str] = field(default_factory=list, init=False)

    @property
    def source(self) -> Path:
        """The archive."""
        return self.folder / "day.zarr"

    @property
    def output(self) -> Path:
        """Its scattering coefficients."""
        return self.folder / "scattering.zarr"

    @property
    def station(self) -> int:
        """The station that is looked at closely."""
        return self.day.n_stations // 2

    def run(self) -> dict[str, Any]:
        """Run all steps.

        Returns
        -------
        dict
            Figures, as JSON can hold them; ``problems`` lists what was not as promised.

        Raises
        ------
        ValueError
            If the folder holds something else.
        OSError
            If the disk is too full.
        """
        begin = time.perf_counter()
        self.prepare()
        self.write()
        with local_client(self.workers) as client:
            self.scatter(client)
            differences = self.compare(client)
        detections = self.find()
        self.draw(detections, differences)
        self.show_others()
        self.figures["seconds"] = time.perf_counter() - begin
        self.figures["problems"] = self.problems
        self.conclude()
        return self.figures

    def prepare(self) -> None:
        """Make an empty folder."""
        mark = self.folder / MARK
        if self.folder.exists() and any(self.folder.iterdir()):
            if not mark.exists():
                raise ValueError(
                    f"{str(self.folder)!r} is not empty, and not an earlier demo's: name another "
                    "folder with --folder"
                )
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        needed = 3 * self.day.n_bytes
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                f"{str(self.folder)!r} has {format_bytes(free)} of disk left, and the demo needs "
                f"{format_bytes(needed)}: name another folder with --folder"
            )
        mark.write_text("Made by `scatdask demo`, which may replace this folder.\n")

    def write(self) -> None:
        """Write the archive."""
        self.say("1. An archive larger than the memory that a worker may take")
        start = time.perf_counter()
        write_day(self.day, self.source)
        self.figures["archive_bytes"] = self.day.n_bytes
        self.say(
            f"   {self.source}: {self.day.n_stations} stations x {self.day.n_samples:,} samples "
            f"at {RATE} Hz = {format_bytes(self.day.n_bytes)}\n"
            f"   {len(self.day.events)} earthquakes at known times, and "
            f"{len(self.day.disturbances)} bursts of noise at single stations\n"
            f"   written chunk by chunk in {time.perf_counter() - start:.1f} s"
        )

    def job(self) -> Job:
        """Return the main job."""
        return Job(self.source, self.output, TRANSFORM, dim="time", memory=self.memory)

    def scatter(self, client: distributed.Client) -> None:
        """Plan, run and verify the main job."""
        job = self.job()
        self.say(f"\n2. The plan, with {format_bytes(job.request.memory)} for each worker")
        plan = job.plan()
        self.say(_indented(plan))
        self.say(f"\n3. The run, on {self.workers} worker processes")
        report = job.run(client, progress=self.progress)
        measured = max(client.run(peak_memory).values())
        self.say(_indented(report))
        self.say(
            f"   a worker took at most {format_bytes(measured)}, by the plan "
            f"{format_bytes(plan.peak_memory)}; the archive has {format_bytes(self.day.n_bytes)}"
        )
        self.say("\n4. The numbers, and whether they depend on chunks")
        verification = job.verify()
        self.say(_indented(verification))
        if measured > MEMORY_SLACK * plan.peak_memory:
            self.problems.append("a worker took more memory than planned")
        if not verification.is_good:
            self.problems.append("the verification found differences")
        self.figures |= {
            "memory": job.request.memory,
            "planned_memory": plan.peak_memory,
            "measured_memory": measured,
            "run": report.to_dict(),
            "verification": verification.to_dict(),
        }

    def compare(self, client: distributed.Client) -> np.ndarray:
        """Run a station again from other chunks in other blocks.

        Returns
        -------
        array, shape (path,)
            Largest difference relative to the largest coefficient of each path.
        """
        source, output = self.folder / "copy.zarr", self.folder / "copy-scattering.zarr"
        copy_station(self.source, source, self.station, OTHER_CHUNK)
        job = Job(source, output, TRANSFORM, dim="time", memory=self.other_memory)
        one, other = self.job().plan().layouts[0], job.plan().layouts[0]
        job.run(client, progress=self.progress)
        with _opened(self.output) as first, _opened(output) as second:
            a = first[VARIABLE].isel(station=self.station).values.astype(np.float64)
            b = second[VARIABLE].isel(station=0).values
        differences: np.ndarray = np.abs(a - b).max(axis=-1) / np.abs(a).max(axis=-1)
        worst = float(differences.max())
        self.say(
            f"   station {self.day.names[self.station]} again, from chunks of {OTHER_CHUNK:,} "
            f"samples in blocks of {other.lengths[0]:,} (before: {self.day.chunk:,} and "
            f"{one.lengths[0]:,}):\n"
            f"   largest difference {worst:.1e} of a path's largest coefficient, in the worst of "
            f"{len(differences)} paths (promised {PROMISE:.1e})"
        )
        # "not <=" so that NaN is a problem too.
        if not worst <= PROMISE:
            self.problems.append("other chunks gave other numbers")
        if one.lengths == other.lengths:
            self.problems.append("the blocks of both runs had the same length")
        self.figures |= {"worst_difference": worst, "promised_difference": PROMISE}
        return differences

    def find(self) -> Detections:
        """Look for the earthquakes."""
        self.say("\n5. The earthquakes")
        detections = detect(self.day, self.output)
        hits, events = sum(detections.hits), len(self.day.events)
        low, high = BAND
        self.say(
            f"   order-1 coefficients between {low:g} and {high:g} Hz, median of the stations, "
            f"above {THRESHOLD:g} standard deviations:\n"
            f"   {hits} of {events} earthquakes found, {detections.false_alarms} false alarms"
        )
        if hits < events or detections.false_alarms:
            self.problems.append("earthquakes were missed, or found where there were none")
        self.figures |= {
            "events": events,
            "found": hits,
            "false_alarms": detections.false_alarms,
        }
        return detections

    def draw(self, detections: Detections, differences: np.ndarray) -> None:
        """Save the picture, if matplotlib is there."""
        self.say("\n6. The picture")
        try:
            from scatdask.cli.demo.picture import draw
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            self.figures["picture"] = None
            self.say('   needs matplotlib: pip install "scatdask[plot]"')
            return
        path = self.folder / "demo.png"
        draw(
            self.day,
            self.station,
            self.source,
            self.output,
            detections,
            differences,
            PROMISE,
            path,
        )
        self.figures["picture"] = str(path)
        self.say(f"   {path}")

    def show_others(self) -> None:
        """Scatter maps, volumes, and time with frequency: block by block, and at once."""
        self.say("\n7. Maps, volumes, and time with frequency: blocks against one array")
        self.figures["others"] = {}
        for example in examples():
            found = compare(example, self.folder)
            name = example.transform.name
            self.say(
                f"   {name}: {example.what} {found.shape}, each in {found.blocks} blocks: "
                f"{found.paths} paths {found.output_shape}, largest difference {found.worst:.1e}"
            )
            if not found.worst <= found.promise or found.blocks < 2:
                self.problems.append(f"blocks of {name} gave other numbers than one array")
            self.figures["others"][name] = found.worst

    def conclude(self) -> None:
        """Sum up."""
        figures = self.figures
        size, memory = (format_bytes(figures[k]) for k in ("archive_bytes", "measured_memory"))
        verdict = "Not as promised" if self.problems else "All as promised"
        self.say(
            f"\n{verdict}, in {figures['seconds']:.0f} s: {size} of data in {memory} of a "
            f"worker's memory, other chunks the same to {figures['worst_difference']:.1e}, "
            f"{figures['found']} of {figures['events']} earthquakes found."
        )


def _opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, chunks=None)


def _indented(text: object) -> str:
    return "\n".join(f"   {line}" for line in str(text).splitlines())


def peak_memory() -> int:
    """Return the largest resident memory that this process has had, in bytes.

    Where the system does not keep it, the present one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import psutil

    return int(psutil.Process().memory_info().rss)
