"""The sections of the page."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from scatdask.archive.report.charts import (
    blocks_over_time,
    bytes_over_time,
    legend_of_times,
    map_of_states,
    map_of_times,
    state_class,
)
from scatdask.archive.report.elements import Child, element, table
from scatdask.archive.report.head import command, way_out
from scatdask.archive.report.summary import Comparison, Summary
from scatdask.archive.report.units import count, duration, moment, number, share, size

_LEGEND = (
    ("done", "all done"),
    ("most", "at least half done"),
    ("some", "less than half done"),
    ("none", "not done"),
    ("failed", "some given up"),
)


def failures(summary: Summary) -> Element | None:
    """Return the blocks that were given up, by reason, and the way out."""
    if not summary.failures:
        return None
    rows = [
        (
            element("span", group.reason, class_="reason"),
            f"{group.blocks:,}",
            f"{group.attempts:,}",
            _time(group.last),
            element("div", (element("p", example) for example in group.examples)),
        )
        for group in summary.failures
    ]
    told = sum(group.blocks for group in summary.failures)
    is_told = way_out(summary) is not None
    return _section(
        "Failures",
        element(
            "p",
            f"{count(summary.failed, 'block')} given up, while the others go on. Mend what the "
            "reason names, then run again: that tries what is not done, and nothing else.",
        ),
        None if is_told else element("p", element("code", command(summary), class_="command")),
        table(
            "Blocks given up, by reason",
            ("Reason", "Blocks", "Runs that tried", "Last", "Such as"),
            rows,
            numeric=(1, 2),
        ),
        _note(f"{summary.failed - told:,} more for other reasons.")
        if summary.failed > told
        else None,
    )


def block_maps(summary: Summary) -> Element | None:
    """Return the maps of the blocks, by state and by time."""
    if not summary.blocks:
        return _section("Blocks", element("p", "This job has no blocks: the source is empty."))
    first, last = _first_and_last(summary)
    drawn = []
    for blocks in summary.maps:
        each = "A cell is a block" if blocks.per_cell == 1 else f"A cell is {blocks.per_cell:,} "
        each += "" if blocks.per_cell == 1 else "blocks at most"
        if blocks.row_label:
            each += f", {blocks.column_label} runs across, {blocks.row_label} down."
        else:
            each += ", in the order of their numbers, as words on a page."
        drawn.append(
            element(
                "div",
                element("h3", element("code", blocks.variable)),
                _note(each),
                element("h4", "By state"),
                map_of_states(blocks),
                None if first is None else element("h4", "By time"),
                None if first is None else map_of_times(blocks, first, last),
                class_="variable",
            )
        )
    hidden = len(summary.variables) - len(summary.maps)
    seen = {state_class(cell) for blocks in summary.maps for cell in blocks.cells}
    states = [(kind, text) for kind, text in _LEGEND if kind in seen]
    undone = any(not cell.done for blocks in summary.maps for cell in blocks.cells)
    times = [("none", "not done")] if undone else []
    times += [] if first is None else legend_of_times(first, last)
    return _section(
        "Blocks",
        _legend(states, "By state:"),
        None if first is None else _legend(times, "By time, UTC:"),
        drawn,
        _note(f"These are the furthest behind of {len(summary.variables):,} variables.")
        if hidden > 0
        else None,
    )


def _first_and_last(summary: Summary) -> tuple[float | None, float]:
    times = [cell.until for blocks in summary.maps for cell in blocks.cells if cell.done]
    return (min(times), max(times)) if times else (None, 0.0)


def throughput(summary: Summary) -> Element | None:
    """Return blocks and bytes over time, and what devices did."""
    flow = summary.throughput
    if flow is None:
        return None
    pauses = len(flow.time.starts) - 1
    note = (
        f"{pauses} long pauses are left out, at the dashed lines."
        if pauses > 1
        else "A long pause is left out, at the dashed line."
    )
    rows = []
    for device in summary.devices:
        busy = device.read + device.compute + device.write
        parts = (share(part, busy) for part in (device.read, device.compute, device.write))
        each = duration(busy / device.blocks) if device.blocks else ""
        rows.append(
            (device.name, f"{device.blocks:,}",
             share(device.blocks, sum(d.blocks for d in summary.devices)), each, *parts)
        )  # fmt: skip
    return _section(
        "Throughput",
        _legend([(f"device{i}", name) for i, name in enumerate(flow.devices)], "Devices:"),
        element("h3", "Blocks done"),
        blocks_over_time(flow),
        element("h3", "Read from the source, uncompressed"),
        bytes_over_time(flow),
        _note(note) if pauses else None,
        table(
            "What devices did, and what their time went into",
            ("Device", "Blocks", "Share", "A block", "Read", "Compute", "Write"),
            rows,
            numeric=range(1, 7),
        ),
    )


def plan_against_measured(summary: Summary) -> Element | None:
    """Return the plan's figures beside what was measured."""
    if not summary.comparisons:
        return None
    rows = [
        (
            row.name,
            _amount(row, row.planned),
            _amount(row, row.measured),
            f"{number(row.measured / row.planned)} ×" if row.planned and row.measured else "",
        )
        for row in summary.comparisons
    ]
    return _section(
        "Plan against measured",
        table(
            "The plan's figures, for the blocks that are done, and what came of them",
            ("", "Planned", "Measured", "Measured / planned"),
            rows,
            numeric=(1, 2, 3),
        ),
    )


def _amount(row: Comparison, value: float | None) -> str:
    if value is None:
        return "not recorded"
    return size(value) if row.kind == "bytes" else duration(value)


def retries(summary: Summary) -> Element | None:
    """Return what was tried more than once."""
    if not summary.done:
        return None
    text = f"{count(summary.retries, 'request')} to a store had to be repeated."
    return _section(
        "Retries",
        element("p", text if summary.retries else "No request to a store had to be repeated."),
        table(
            "Blocks with most repeated requests",
            ("Where", "Retries", "Device", "Done"),
            [(r.where, f"{r.retries:,}", r.device, _time(r.ended)) for r in summary.retried],
            numeric=(1,),
        )
        if summary.retried
        else None,
    )


def versions(summary: Summary) -> Element | None:
    """Return what computed the blocks; a warning where it differs."""
    if not summary.versions:
        return None
    names = sorted({name for each in summary.versions for name, _ in each.versions})
    of_each = [dict(each.versions) for each in summary.versions]
    differing = [n for n in names if len({versions.get(n) for versions in of_each}) > 1]
    warning = None
    if differing:
        warning = element(
            "p",
            element("strong", "Several versions computed this output. "),
            f"They differ in {', '.join(differing)}. Results of different versions may differ in "
            "the last digits.",
            class_="warning",
        )
    rows = [
        (
            f"{each.blocks:,}",
            ", ".join(each.devices),
            *(
                element("strong", versions.get(n, "–")) if n in differing else versions.get(n, "–")
                for n in names
            ),
        )
        for each, versions in zip(summary.versions, of_each, strict=True)
    ]
    return _section(
        "Versions",
        warning,
        table("What computed the blocks", ("Blocks", "Devices", *names), rows, most=20),
    )


def runs(summary: Summary) -> Element | None:
    """Return the runs, the latest first."""
    if not summary.runs:
        return None
    rows = []
    for run in reversed(summary.runs):
        silent = run.state == "running" and summary.state == "silent"
        state = "silent" if silent else run.state
        lasted = duration(run.ended - run.started) if run.ended is not None else ""
        ended = _time(run.ended) if run.ended is not None else "–"
        rows.append(
            (_time(run.started), ended, lasted, state, f"{run.blocks:,}", run.pool, run.message)
        )
    return _section(
        "Runs",
        table(
            "Runs of this job, the latest first",
            ("Started", "Ended", "Took", "State", "Blocks to do", "Workers", "Message"),
            rows,
            numeric=(4,),
        ),
    )


def computed(summary: Summary) -> Element:
    """Return what the job is."""
    entries: list[tuple[str, Child]] = [
        ("Source", element("code", summary.source)),
        ("Output", element("code", summary.target)),
        ("Transform", f"{summary.transform} over {', '.join(summary.dims)}"),
        ("Parameters", ", ".join(f"{name}={value}" for name, value in summary.parameters)),
    ]
    rows = [
        (
            element("code", variable.name),
            " × ".join(f"{dim} {n:,}" for dim, n in variable.sizes),
            " × ".join(f"{n:,}" for _, n in variable.block),
            f"{variable.blocks:,}",
            f"{variable.done:,}",
            f"{variable.failed:,}",
        )
        for variable in summary.variables
    ]
    return _section(
        "What is computed",
        element(
            "dl",
            (element("div", element("dt", name), element("dd", value)) for name, value in entries),
            class_="entries",
        ),
        table(
            "Variables of the source, and how they are cut",
            ("Variable", "Size", "A block", "Blocks", "Done", "Given up"),
            rows,
            numeric=(3, 4, 5),
        ),
    )


def _section(title: str, *children: Child | Iterable[Child]) -> Element:
    return element("section", element("h2", title), *children)


def _note(text: str) -> Element:
    return element("p", text, class_="note")


def _time(seconds: float) -> Element:
    return element("time", moment(seconds))


def _legend(entries: Iterable[tuple[str, str]], label: str) -> Element:
    items = (
        element("li", element("span", class_=f"swatch {kind}", aria_hidden="true"), text)
        for kind, text in entries
    )
    return element("ul", element("li", label, class_="of"), items, class_="legend")
