"""What a notebook shows of a job and of its plan: a few lines, in the notebook's own colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from scatdask.archive.ledger import Ledger
from scatdask.archive.locations import Location
from scatdask.archive.report.elements import element, to_html
from scatdask.archive.report.units import duration, moment, share, size
from scatdask.archive.reports import read_status

# Rows of output arrays, at most.
_OUTPUTS = 10
_CELL = "text-align:left;padding:1px 16px 1px 0;vertical-align:top"


def plan_html(title: str, figures: Mapping[str, Any]) -> str:
    """Return a plan in HTML.

    Parameters
    ----------
    title : str
    figures : mapping
        See `Plan.to_dict`.
    """
    return to_html(_box(title, [_table(_figures(figures)), _outputs(figures)]))


def job_html(source: str, target: Location, transform: str) -> str:
    """Return a job in HTML: what its ledger says, read without fail, source or no source.

    Parameters
    ----------
    source : str
        Where from.
    target : Location
        Where to.
    transform : str
        What.
    """
    entries = [("source", source), ("output", target.name)]
    more: list[Element | None] = []
    try:
        record = Ledger(target).read()
        if record is None:
            entries.append(("state", "not begun"))
        else:
            status = read_status(target)
            entries += _state(Ledger(target).runs())
            more.append(_bar(status.done, status.blocks, status.hint))
            entries += _figures(record.get("plan") or {})
    except Exception as error:  # whatever it is, a notebook is to show the object
        entries.append(("state", f"the ledger cannot be read: {type(error).__name__}: {error}"))
    return to_html(_box(f"Job: {transform}", [*more, _table(entries)]))


def progress_html(done: int, blocks: int, note: str) -> str:
    """Return how far a run is in HTML."""
    return to_html(element("div", _bar(done, blocks, note), class_="scatdask"))


def _state(runs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    if not runs:
        return []
    last = runs[-1]
    if last["ended"] is None:
        return [("last run", f"running, or killed, since {moment(last['started'])}")]
    return [("last run", f"{last['state']}, {moment(last['ended'])}")]


def _figures(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say the figures that are there: a ledger may be of another version."""
    said: list[tuple[str, str, Callable[[float], str]]] = [
        ("blocks", "blocks", lambda n: f"{n:,}, {figures.get('blocks_per_task', 1):,} a task"),
        ("halo_overhead", "halo", lambda part: f"{share(part, 1.0)} of what is read"),
        ("bytes_read", "read", lambda n: f"{size(n)}, uncompressed"),
        ("bytes_written", "written", lambda n: f"{size(n)}, uncompressed"),
        ("peak_memory", "peak memory", lambda n: f"{size(n)} for a worker process of one thread"),
        ("core_seconds", "work", lambda seconds: f"{duration(seconds)} of one core"),
    ]
    return [(name, say(figures[key])) for key, name, say in said if key in figures]


def _outputs(figures: Mapping[str, Any]) -> Element | None:
    outputs = list(figures.get("outputs", {}).items())
    if not outputs:
        return None
    rows = [
        (name, " × ".join(map(str, of["shape"])), " × ".join(map(str, of["chunks"])))
        for name, of in outputs[:_OUTPUTS]
    ]
    head = element(
        "tr",
        (element("th", name, scope="col", style=_CELL) for name in ("output", "shape", "chunks")),
    )
    more = f"… and {len(outputs) - _OUTPUTS:,} more" if len(outputs) > _OUTPUTS else None
    return element("div", element("table", head, _rows(rows)), more)


def _table(entries: Iterable[tuple[str, str]]) -> Element:
    return element("table", _rows(entries))


def _rows(rows: Iterable[tuple[str, ...]]) -> list[Element]:
    return [
        element(
            "tr",
            element("th", row[0], scope="row", style=f"{_CELL};font-weight:normal;opacity:0.75"),
            (element("td", cell, style=_CELL) for cell in row[1:]),
        )
        for row in rows
    ]


def _bar(done: int, blocks: int, note: str = "") -> Element:
    part = 100 * done / blocks if blocks else 100.0
    return element(
        "div",
        element(
            "div",
            element("div", style=f"width:{part:.1f}%;height:100%;background:#2171b5"),
            style="width:240px;height:10px;border:1px solid #888;border-radius:5px;overflow:hidden",
        ),
        element("span", f"{done:,} of {blocks:,} blocks done ({share(done, blocks)})"),
        element("span", note, style="opacity:0.75") if note else None,
        style="display:flex;flex-wrap:wrap;gap:0 10px;align-items:center",
    )


def _box(title: str, children: Iterable[Element | None]) -> Element:
    return element("div", element("strong", title), children, class_="scatdask")
