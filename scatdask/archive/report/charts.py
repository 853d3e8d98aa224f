"""Drawings: the map of blocks, and throughput over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from scatdask.archive.report.elements import element, scrolling
from scatdask.archive.report.summary import BlockMap, Cell, Throughput
from scatdask.archive.report.timeline import to_moment
from scatdask.archive.report.units import (
    moment,
    number,
    rate_unit,
    share,
    short_moment,
    size,
)

_SIDE = 12  # of a cell, with the space to the next
_LONGEST = 960  # width of a drawing, in its own units
_TIMES = 6  # colours of "when"


def map_of_states(blocks: BlockMap) -> Element:
    """Draw which blocks are done, given up, and missing."""
    return _map(blocks, "state", state_class)


def map_of_times(blocks: BlockMap, first: float, last: float) -> Element:
    """Draw when blocks were done, in classes between two moments."""

    def class_of(cell: Cell) -> str:
        if not cell.done:
            return "none"
        place = (cell.until - first) / (last - first) if last > first else 1.0
        return f"when{min(int(place * _TIMES), _TIMES - 1)}"

    return _map(blocks, "time", class_of)


def legend_of_times(first: float, last: float) -> list[tuple[str, str]]:
    """Return the classes of `map_of_times`, and from when on each is."""
    if last <= first:
        return [(f"when{_TIMES - 1}", moment(last))]
    step = (last - first) / _TIMES
    starts = (short_moment(first + i * step, last - first) for i in range(_TIMES))
    return [(f"when{i}", f"from {start}") for i, start in enumerate(starts)]


def state_class(cell: Cell) -> str:
    """Return the class of a cell of `map_of_states`."""
    if cell.failed:
        return "failed"
    if cell.done == cell.blocks:
        return "done"
    if not cell.done:
        return "none"
    return "most" if 2 * cell.done >= cell.blocks else "some"


def _map(blocks: BlockMap, shown: str, class_of: Callable[[Cell], str]) -> Element:
    side = max(min(_LONGEST // max(blocks.columns, 1), 3 * _SIDE), _SIDE)
    width, height = side * blocks.columns, side * blocks.rows
    gap = max(side // 8, 1)
    rectangles = (
        element(
            "rect",
            element("title", describe(cell)),
            x=cell.column * side,
            y=cell.row * side,
            width=side - gap,
            height=side - gap,
            class_=class_of(cell),
        )
        for cell in blocks.cells
    )
    crosses = None
    if shown == "state":  # a shape, since colour alone does not tell everybody
        crosses = (_cross(cell, side, gap) for cell in blocks.cells if cell.failed)
    return element(
        "svg",
        element("title", f"Blocks of {blocks.variable} by {shown}"),
        rectangles,
        crosses,
        viewBox=f"0 0 {max(width, 1)} {max(height, 1)}",
        style=f"max-width:{width}px",
        role="img",
        class_="map",
    )


def _cross(cell: Cell, side: int, gap: int) -> Element:
    x, y, inner = cell.column * side, cell.row * side, side - gap
    low, high = 0.25 * inner, 0.75 * inner
    return element(
        "path",
        d=f"M{x + low:g} {y + low:g}L{x + high:g} {y + high:g}"
        f"M{x + high:g} {y + low:g}L{x + low:g} {y + high:g}",
        class_="cross",
    )


def describe(cell: Cell) -> str:
    """Say what a cell holds."""
    if cell.blocks == 1:
        if cell.done:
            return f"{cell.what}: done {moment(cell.until)}"
        return f"{cell.what}: {'given up' if cell.failed else 'not done'}"
    parts = [f"{cell.done:,} done ({share(cell.done, cell.blocks)})"]
    if cell.failed:
        parts.append(f"{cell.failed:,} given up")
    if left := cell.blocks - cell.done - cell.failed:
        parts.append(f"{left:,} not done")
    text = f"{cell.what}: {', '.join(parts)}"
    if not cell.done:
        return text
    since, until = moment(cell.since), moment(cell.until)
    return f"{text}; {since}" + (f" to {until}" if until != since else "")


def blocks_over_time(flow: Throughput) -> Element:
    """Draw blocks a second, an hour or a day."""
    most = max(map(sum, zip(*flow.blocks, strict=True)))
    seconds, unit = rate_unit(most)
    series = [[value * seconds for value in values] for values in flow.blocks]
    return _over_time(
        flow, series, 10.0, f"Blocks per {unit}", lambda value: f"{number(value)} /{unit}"
    )


def bytes_over_time(flow: Throughput) -> Element:
    """Draw bytes a second."""
    series = [list(values) for values in flow.bytes]
    return _over_time(flow, series, 1024.0, "Bytes per s", lambda value: f"{size(value)}/s")


def _over_time(
    flow: Throughput,
    series: list[list[float]],
    base: float,
    title: str,
    in_words: Callable[[float], str],
) -> Element:
    """Draw rates over working time, one device upon the other."""
    left, right, top, bottom, height = 104, 12, 12, 34, 190
    width = _LONGEST - left - right
    sums = [sum(values) for values in zip(*series, strict=True)]
    ticks = _ticks(max(sums), base)
    highest = ticks[-1]

    def x(seconds: float) -> float:
        return left + width * (seconds - flow.edges[0]) / (flow.edges[-1] - flow.edges[0])

    def y(value: float) -> float:
        return top + height * (1 - value / highest)

    grid = [
        part
        for tick in ticks
        for part in (
            element("line", x1=left, x2=left + width, y1=y(tick), y2=y(tick), class_="grid"),
            element(
                "text", in_words(tick) if tick else "0", x=left - 8, y=y(tick) + 4.0,
                text_anchor="end",
            ),
        )
    ]  # fmt: skip
    areas, below = [], [0.0] * len(sums)
    for i, values in enumerate(series):
        above = [low + value for low, value in zip(below, values, strict=True)]
        points = [*_steps(flow.edges, above, x, y), *reversed([*_steps(flow.edges, below, x, y)])]
        areas.append(
            element(
                "path",
                d="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + "Z",
                class_=f"device{i}",
            )
        )
        below = above
    hover = []
    for i, (low, high) in enumerate(zip(flow.edges[:-1], flow.edges[1:], strict=True)):
        of_each = ", ".join(
            f"{device}: {in_words(values[i])}"
            for device, values in zip(flow.devices, series, strict=True)
        )
        text = f"{moment(to_moment(flow.time, low))}: {in_words(sums[i])}"
        text += f" ({of_each})" if len(series) > 1 else ""
        hover.append(
            element(
                "rect", element("title", text), x=x(low), y=top, width=x(high) - x(low),
                height=height, class_="hover",
            )
        )  # fmt: skip
    drawing = element(
        "svg",
        element("title", title),
        grid,
        areas,
        _pauses(flow, x, top, height),
        _time_labels(flow, x, top + height + 20),
        hover,
        viewBox=f"0 0 {_LONGEST} {top + height + bottom}",
        role="img",
        class_="chart",
    )
    return scrolling(drawing, title)


def _steps(
    edges: tuple[float, ...],
    values: list[float],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Iterator[tuple[float, float]]:
    for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
        yield x(low), y(value)
        yield x(high), y(value)


def _ticks(highest: float, base: float) -> list[float]:
    """Return about four round numbers from zero to beyond the highest."""
    if not highest > 0:
        return [0.0, 1.0]
    power = base ** math.floor(math.log(highest, base))
    steps = [power * f for f in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20)]
    steps += [power * f for f in (25, 50, 100, 200, 250, 500)]
    step = next((s for s in steps if highest / s <= 4.001), steps[-1])
    return [i * step for i in range(math.ceil(highest / step - 1e-9) + 1)]


def _pauses(flow: Throughput, x: Callable[[float], float], top: int, height: int) -> list[Element]:
    """Mark where time is left out."""
    marks, passed = [], 0.0
    for i, (start, stop) in enumerate(zip(flow.time.starts, flow.time.stops, strict=True)):
        if i:
            text = f"pause from {moment(flow.time.stops[i - 1])} to {moment(start)}"
            at = x(passed)
            marks.append(
                element(
                    "path", element("title", text), d=f"M{at:.1f} {top}V{top + height}",
                    class_="pause",
                )
            )  # fmt: skip
        passed += stop - start
    return marks


def _time_labels(flow: Throughput, x: Callable[[float], float], y: int) -> list[Element]:
    """Label where stretches begin, and some times between, as far as there is room."""
    span = flow.time.stops[-1] - flow.time.starts[0]
    total, room = flow.edges[-1], 120
    places, passed = [], 0.0
    for start, stop in zip(flow.time.starts, flow.time.stops, strict=True):
        places.append((passed, start))
        passed += stop - start
    places += [(total * i / 6, to_moment(flow.time, total * i / 6)) for i in range(1, 6)]
    taken: dict[str, float] = {}
    labels = []
    for seconds, when in places:
        at, text = x(seconds), short_moment(when, span)
        is_free = all(abs(at - other) >= room for other in taken.values())
        if at < _LONGEST - room / 2 and is_free and text not in taken:
            taken[text] = at
            anchor = "start" if not seconds else "middle"
            labels.append(element("text", text, x=at, y=y, text_anchor=anchor))
    return labels
