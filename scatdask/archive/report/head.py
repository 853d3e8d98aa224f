"""The top of the page: the state, what is left, and how to go on."""

from __future__ import annotations

import shlex
from xml.etree.ElementTree import Element

from scatdask.archive.report.elements import element
from scatdask.archive.report.summary import Summary
from scatdask.archive.report.units import block_rate, duration, moment, share, size

STATES = {
    "not begun": ("○", "Not begun"),
    "running": ("▶", "Running"),
    "silent": ("?", "Silent"),
    "killed": ("×", "Killed"),
    "stopped": ("■", "Stopped"),
    "failed": ("×", "Failed"),
    "complete": ("✓", "Complete"),
}


def head(summary: Summary, name: str) -> Element:
    """Return the top of the page."""
    sign, word = STATES[summary.state]
    say = _say(summary)
    is_waiting = summary.hint and summary.state != "running"
    hint = f"Every block is done, and what they hold is {summary.hint}." if is_waiting else None
    return element(
        "header",
        element("h1", name),
        element(
            "p",
            element("span", sign, class_="sign", aria_hidden="true"),
            element("strong", word),
            f" · {done_share(summary)} done",
            class_=f"state {summary.state.replace(' ', '-')}",
        ),
        _bar(summary),
        element("p", say) if say else None,
        element("p", hint) if hint else None,
        way_out(summary),
        element("dl", _figures(summary), class_="figures"),
    )


def done_share(summary: Summary) -> str:
    """Return how much is done, in per cent."""
    return share(summary.done, summary.blocks)


def command(summary: Summary) -> str:
    """Return the command that goes on with a job."""
    return shlex.join(["scatdask", "run", summary.source, summary.target])


def _bar(summary: Summary) -> Element:
    total = max(summary.blocks, 1)
    parts = [("done", summary.done / total), ("failed", summary.failed / total)]
    text = f"{summary.done:,} of {summary.blocks:,} blocks done"
    if summary.failed:
        text += f", {summary.failed:,} given up"
    return element(
        "div",
        (
            element("span", class_=kind, style=f"width:{max(100 * part, 0.3):.2f}%")
            for kind, part in parts
            if part
        ),
        class_="bar",
        role="img",
        aria_label=text,
    )


def _say(summary: Summary) -> str:
    """Say what the state means, where its name does not say all."""
    heard = f"The last block was done at {moment(summary.last_done)}. " if summary.last_done else ""
    left = ""
    if summary.seconds_left is not None:
        left = f"At the last speed the rest takes {duration(summary.seconds_left)}. "
    message = summary.runs[-1].message if summary.runs else ""
    told = f"It said: {message.rstrip('.')}. " if message else ""
    if summary.state == "silent":
        return (
            f"A run is at work by its record, and has done nothing for long. {heard}It waits for "
            f"workers, or was killed. {left}"
        )
    if summary.state == "killed":
        return (
            "The last run recorded no end and gives no sign of life; the same command goes on "
            f"where it was. {heard}{left}"
        )
    if summary.state in ("stopped", "failed"):
        ended = "ended with a failure" if summary.state == "failed" else "has ended"
        return f"The last run {ended}. {told}{heard}{left}"
    if summary.state == "not begun":
        return "No block is done, and no run is at work."
    return ""


def way_out(summary: Summary) -> Element | None:
    """Return the command that goes on with a job, or None where none is needed."""
    if summary.state in ("complete", "running"):
        return None
    return element(
        "p", "To go on: ", element("code", command(summary), class_="command"), class_="way-out"
    )


def _figures(summary: Summary) -> list[Element]:
    figures = [("Blocks", f"{summary.done:,}", f"of {summary.blocks:,}")]
    if summary.state == "running" and summary.seconds_left is not None:
        until = moment(summary.made + summary.seconds_left)
        figures.append(("Time left", duration(summary.seconds_left), f"until about {until}"))
    if summary.done:
        figures.append(("Speed of late", block_rate(summary.rate), ""))
    tried = "a further run tries them again" if summary.failed else ""
    figures.append(("Given up", f"{summary.failed:,}", tried))
    if summary.throughput is not None:
        figures.append(("Time at work", duration(summary.throughput.time.seconds), ""))
    if summary.written_bytes:
        stored = f"{size(summary.stored_bytes)} as stored" if summary.stored_bytes else ""
        figures.append(("Written", size(summary.written_bytes), stored))
        of = "of the coefficients"
        nan = share(summary.missing_share, 1.0) if summary.missing_share else "none"
        figures.append(("NaN", nan, of if summary.missing_share else ""))
    return [
        element(
            "div",
            element("dt", name),
            element("dd", value, element("small", note) if note else None),
        )
        for name, value, note in figures
    ]
