from __future__ import annotations

import pytest

from scatdask.archive.report import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (59.6, "60 s"),
        (3599.0, "60 min"),
        (7199.9, "2 h 0 min"),
        (86_400.0, "24 h 0 min"),
        (6.5 * 86_400, "6 d 12 h"),
        (float("nan"), "unknown"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_moments_are_utc() -> None:
    assert units.moment(0) == "1970-01-01 00:00 UTC"
    assert units.short_moment(0, 5) == "00:00:00"
    assert units.short_moment(0, 5_000) == "00:00"
    assert units.short_moment(0, 500_000) == "01 Jan 00:00"
    assert units.moment(float("nan")) == units.moment(1e30) == "unknown"


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (250.0, "250 blocks per s"),
        (0.5, "30 blocks per min"),
        (0.001, "3.6 blocks per h"),
        (0.0001, "8.64 blocks per day"),
    ],
)
def test_rates_have_the_unit_that_reads_best(rate: float, text: str) -> None:
    assert units.block_rate(rate) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [(0, "0 %"), (1, "< 0.1 %"), (5_000, "50.0 %"), (9_999, "> 99.9 %"), (10_000, "100 %")],
)
def test_a_share_is_all_or_nothing_only_where_it_is(part: int, text: str) -> None:
    assert units.share(part, 10_000) == text
