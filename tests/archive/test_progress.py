from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from scatdask.archive.progress import progress_bar
from tests.archive.report.test_elements import Parsed


@pytest.mark.parametrize(("shown", "text"), [(True, "4/4"), (False, ""), (None, "")])
def test_shown_where_somebody_looks(
    shown: bool | None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar(total=4, done=1, shown=shown) as bar:
        bar.update(3)
    error = capsys.readouterr().err
    assert text in error
    assert bool(error) == bool(text)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What a notebook is told to draw: what is done with it, and its text."""
    told: list[tuple[str, str]] = []

    def texts(html: str) -> str:
        return " ".join(Parsed(html).texts)

    def display(html: str, *, display_id: bool) -> SimpleNamespace:
        assert display_id
        told.append(("new", texts(html)))
        return SimpleNamespace(update=lambda html: told.append(("update", texts(html))))

    module = ModuleType("IPython.display")
    module.HTML, module.display = str, display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("zmqshell"))
    return told


@pytest.mark.parametrize("shown", [True, None])
def test_one_drawing_in_jupyter(
    shown: bool | None, drawn: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar(total=4, done=1, shown=shown) as bar:
        bar.set_postfix_str("5 MiB/s", refresh=False)
        bar.update(2)
        bar.refresh()
    assert [what for what, _ in drawn] == ["new"] + ["update"] * (len(drawn) - 1)
    assert "1 of 4 blocks done" in drawn[0][1]
    assert "3 of 4 blocks done" in drawn[-1][1]
    assert "5 MiB/s" in drawn[-1][1]
    assert capsys.readouterr() == ("", "")


def test_nothing_in_jupyter_if_not_wanted(drawn: list[tuple[str, str]]) -> None:
    with progress_bar(total=4, done=1, shown=False) as bar:
        bar.update(3)
    assert drawn == []
