"""HTML and SVG as elements: text from data cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

Child = Element | str | None
# What HTML has no character for: control characters, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def element(tag: str, *children: Child | Iterable[Child], **attributes: object) -> Element:
    """Return an element.

    Parameters
    ----------
    tag : str
    *children : Element, str, None, or an iterable of these
        Text is escaped when the element is written; None is left out.
    **attributes
        ``class_`` and the like lose the last underscore, others become hyphens; None and False
        are left out.
    """
    made = Element(tag)
    for key, value in attributes.items():
        if value is not None and value is not False:
            made.set(key.rstrip("_").replace("_", "-"), _clean(_text(value)))
    for child in children:
        group = [child] if child is None or isinstance(child, Element | str) else child
        for one in group:
            _append(made, one)
    return made


def _append(parent: Element, child: Child) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif child is not None:
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + _clean(child)
        else:
            parent.text = (parent.text or "") + _clean(child)


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


def to_html(root: Element) -> str:
    """Return an element as HTML."""
    return ElementTree.tostring(root, encoding="unicode", method="html")


def table(
    caption: str,
    head: Iterable[Child],
    rows: Iterable[Iterable[Child]],
    *,
    numeric: Iterable[int] = (),
    most: int = 50,
) -> Element:
    """Return a table whose first column names its rows, cut after `most` of them."""
    right, rows = set(numeric), list(rows)
    body = [
        element(
            "tr",
            (
                element("td", cell, class_="number" if i in right else None)
                if i
                else element("th", cell, scope="row")
                for i, cell in enumerate(row)
            ),
        )
        for row in rows[:most]
    ]
    titles = (
        element("th", title, scope="col", class_="number" if i in right else None)
        for i, title in enumerate(head)
    )
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", titles)),
        element("tbody", body),
    )
    more = f"… and {len(rows) - most:,} more." if len(rows) > most else None
    note = element("p", more, class_="note") if more else None
    return element("div", scrolling(made, caption), note)


def scrolling(wide: Element, label: str) -> Element:
    """Return a box in which what is too wide for a phone scrolls, by the keyboard too."""
    return element("div", wide, class_="scroll", tabindex=0, role="region", aria_label=label)
