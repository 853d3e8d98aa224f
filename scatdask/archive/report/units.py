"""Numbers in words that people read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from dask.utils import format_bytes


def duration(seconds: float) -> str:
    """Return a duration with two units: "3 d 4 h"."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h"


def moment(seconds: float) -> str:
    """Return a time: "2026-11-22 16:04 UTC"."""
    return _utc(seconds, "%Y-%m-%d %H:%M UTC")


def short_moment(seconds: float, span: float) -> str:
    """Return a time as a label of an axis that is `span` seconds long."""
    if span < 600:
        return _utc(seconds, "%H:%M:%S")
    return _utc(seconds, "%H:%M") if span < 86_400 else _utc(seconds, "%d %b %H:%M")


def _utc(seconds: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "unknown"


def size(n_bytes: float) -> str:
    """Return a number of bytes: "1.25 GiB"."""
    return format_bytes(int(n_bytes))


def rate_unit(rate: float) -> tuple[float, str]:
    """Return seconds of the unit in which a rate a second is read best, and its name."""
    for seconds, name in ((1.0, "s"), (60.0, "min"), (3600.0, "h")):
        if rate * seconds >= 1:
            return seconds, name
    return 86_400.0, "day"


def block_rate(rate: float) -> str:
    """Return blocks a second, an hour or a day, whichever is read best."""
    seconds, name = rate_unit(rate)
    return f"{number(rate * seconds)} blocks per {name}"


def count(n: int, what: str) -> str:
    """Return "1 block" or "2 blocks"."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def number(value: float) -> str:
    """Return a number with two or three digits that matter, and thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def share(part: float, whole: float) -> str:
    """Return a share in per cent, 100 only where it is all and 0 only where it is none."""
    if not whole:
        return "100 %"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"
