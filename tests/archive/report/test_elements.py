from __future__ import annotations

from html.parser import HTMLParser

import pytest

from scatdask.archive.report.elements import element, table, to_html

HOSTILE = "<script>alert(1)</script>\"'&<!--"


class Parsed(HTMLParser):
    """Tags, texts and attributes of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_text_stays_text() -> None:
    parsed = Parsed(to_html(element("p", HOSTILE, title=HOSTILE)))
    assert parsed.tags == ["p"]
    assert "".join(parsed.texts) == HOSTILE
    assert parsed.attributes == [("title", HOSTILE)]


def test_children_keep_their_order() -> None:
    made = element("p", "a", element("b", "c"), None, "d", (element("i"), "e"))
    assert to_html(made) == "<p>a<b>c</b>d<i></i>e</p>"


def test_attributes() -> None:
    made = element("a", class_="x", aria_label="y", x=1.5, width=2.0, hidden=None, tabindex=0)
    assert to_html(made) == '<a class="x" aria-label="y" x="1.5" width="2" tabindex="0"></a>'


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x85", "\ud800", "\uffff"])
def test_no_character_that_html_lacks(character: str) -> None:
    text = to_html(element("p", f"a{character}b"))
    assert text == "<p>a\ufffdb</p>"
    text.encode()


def test_tables_name_rows_and_columns_and_are_cut() -> None:
    rows = ((f"row {i}", i) for i in range(7))
    parsed = Parsed(to_html(table("A caption", ("", "n"), ((a, str(b)) for a, b in rows), most=5)))
    assert parsed.tags.count("tr") == 1 + 5
    assert parsed.attributes.count(("scope", "row")) == 5
    assert "A caption" in parsed.texts
    assert "… and 2 more." in parsed.texts
