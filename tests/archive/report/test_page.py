from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest

from scatdask.archive.ledger import Failure
from scatdask.archive.report import render, summarise
from tests.archive.report.synthetic import (
    BEGAN,
    SyntheticLedger,
    history,
    layout,
    run,
    week,
    worker,
)
from tests.archive.report.test_elements import HOSTILE, Parsed


def page(ledger: SyntheticLedger, seconds: float = 70.0) -> str:
    return render(summarise(ledger, "/archive/out.zarr", now=BEGAN + seconds))


def many_variables() -> SyntheticLedger:
    """3,000 variables with hundreds of environments, reasons and runs."""
    layouts = [layout(2, 2, f"variable{i}") for i in range(3_000)]
    names = tuple(f"{i:03d}" for i in range(300))
    rows = history(9_000, 9_000, environments=names)
    rows["retries"] = 1
    workers = {name: worker(device_name=f"device {name}", zarr=name) for name in names}
    lost = [Failure(9_000 + i, f"reason {i} {'x' * 5_000}", 3, BEGAN) for i in range(3_000)]
    runs = [run(BEGAN + i, BEGAN + i + 1, "failed", "y" * 5_000) for i in range(3_000)]
    return SyntheticLedger(layouts, rows, workers, lost, runs)


def of_signal(n_blocks: int, done: int, n_rows: int) -> SyntheticLedger:
    """One signal."""
    rows = history(max(done, 1), max(n_rows, 1))[:n_rows]
    return SyntheticLedger([layout(1, n_blocks)], rows, {"a": worker()})


@pytest.mark.parametrize(
    "ledger",
    [
        pytest.param(lambda: SyntheticLedger([layout(0, 9)], history(1, 1)[:0]), id="no blocks"),
        pytest.param(lambda: of_signal(40, 0, 0), id="nothing done"),
        pytest.param(lambda: of_signal(1, 1, 1), id="one block"),
        pytest.param(lambda: of_signal(1_000_000, 999_999, 100_000), id="a million blocks"),
        pytest.param(week, id="a week"),
        pytest.param(many_variables, id="many variables"),
    ],
)
def test_small_and_self_contained_whatever_the_job(ledger: Callable[[], SyntheticLedger]) -> None:
    text = page(ledger())
    assert len(text.encode()) < 1_000_000
    parsed = Parsed(text)
    assert not {"script", "img", "iframe", "object", "embed"} & set(parsed.tags)
    links = [v for k, v in parsed.attributes if k in ("src", "href", "srcset", "xlink:href")]
    assert links == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text


def test_accessible() -> None:
    text = page(week())
    parsed = Parsed(text)
    assert parsed.tags.count("h1") == 1
    assert parsed.tags.count("table") == parsed.tags.count("caption")
    assert ("lang", "en") in parsed.attributes
    assert re.findall(r"<svg(?![^>]*>\s*<title>)", text) == []
    levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_text_from_data_is_no_markup() -> None:
    ledger = SyntheticLedger(
        [layout(3, 40, HOSTILE)],
        history(60, 60),
        {"a": worker(device_name=HOSTILE, zarr=HOSTILE)},
        [Failure(100, HOSTILE, 3, BEGAN)],
        [run(BEGAN, BEGAN + 60, HOSTILE, HOSTILE)],
        source=HOSTILE,
    )
    parsed = Parsed(page(ledger))
    tame = Parsed(page(SyntheticLedger(**{**vars(ledger), "source": "in.zarr"})))
    assert parsed.tags == tame.tags
    assert "script" not in parsed.tags
    assert parsed.texts.count(HOSTILE) >= 4
    assert {name for name, _ in parsed.attributes} == {name for name, _ in tame.attributes}


def test_the_way_out_can_be_pasted() -> None:
    ledger = SyntheticLedger(
        [layout(3, 40)],
        history(60, 60),
        lost=[Failure(100, "OSError: no", 3, BEGAN)],
        ran=[run(BEGAN, BEGAN + 60, "failed", "1 of 120 blocks failed")],
        source="/archive/it's here.zarr",
    )
    parsed = Parsed(page(ledger))
    command = """scatdask run '/archive/it'"'"'s here.zarr' /archive/out.zarr"""
    assert parsed.texts.count(command) == 1
    assert any("1 of 120 blocks failed" in text for text in parsed.texts)


def test_a_job_that_is_well_needs_no_way_out() -> None:
    done = SyntheticLedger([layout(3, 40)], history(120, 60), {"a": worker()})
    assert "scatdask run" not in page(done)
    assert "Failures" not in page(done)


def test_statistics_that_were_never_merged_need_a_way_out() -> None:
    done = SyntheticLedger([layout(3, 40)], history(120, 60), {"a": worker()})
    done.also, done.locked = {"reduction": {"window": "1h"}}, False
    assert "not merged into the output yet" in page(done)
    assert "scatdask run" in page(done)


def test_several_versions_are_flagged() -> None:
    ledger = SyntheticLedger([layout(3, 40)], history(60, 60), {"a": worker()})
    assert "Several versions" not in page(ledger)
    ledger.rows["environment"][:20] = "b"
    ledger.workers["b"] = worker(zarr="3.2.0")
    text = page(ledger)
    assert "Several versions computed this output" in text
    assert "They differ in zarr." in text
