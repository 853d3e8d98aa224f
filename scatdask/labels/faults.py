"""What can be wrong with the steps of an axis, and how to say so."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scatdask.labels.ticks import Ticks

# Share of the median step by which a step may differ from it.
STEP_TOLERANCE = 0.01
# A step this many times the median is a gap rather than irregular sampling.
_GAP = 1.5
# Rounding of the coordinate's type never excuses more than this share of a step.
_MOST_ROUNDING = 0.4
_SHOWN = 3


@dataclass
class _Tally:
    """How often something is wrong, and where first."""

    count: int = 0
    places: list[tuple[int, Any, Any, float]] = field(default_factory=list)

    def add(self, where: np.ndarray, first: int, ticks: Ticks, steps: np.ndarray) -> None:
        index = np.flatnonzero(where)
        self.count += len(index)
        for i in index[: _SHOWN - len(self.places)]:
            after = ticks.shown[min(i + 1, len(ticks.shown) - 1)]
            step = float(steps[i]) if i < len(steps) else 0.0
            self.places.append((first + int(i), ticks.shown[i], after, step))


class Faults:
    """Collects faults of an axis block by block.

    Parameters
    ----------
    dim : hashable
        Name of the axis.
    ticks : Ticks
        Its first block, whose median step is the reference.
    decreasing : bool, default False
        Whether the signs of all ticks were changed, because the axis runs backwards.
    """

    def __init__(self, dim: Hashable, ticks: Ticks, *, decreasing: bool = False) -> None:
        self.dim = dim
        self.decreasing = decreasing
        self.per_unit, self.is_time = ticks.per_unit, ticks.is_time
        good = ~ticks.missing
        steps = np.diff(ticks.values)[good[1:] & good[:-1]]
        rising = steps[steps > 0]
        self.rises = len(rising) > 0
        self.reference = float(np.median(rising)) if self.rises else 1.0
        self.allowed = 0.0
        self.missing, self.repeated, self.falling = _Tally(), _Tally(), _Tally()
        self.gaps, self.irregular = _Tally(), _Tally()

    def look(self, first: int, ticks: Ticks) -> None:
        """Tally the faults of a block whose first value has index `first`."""
        if ticks.missing.any():
            # Blocks share a value: the last one is looked at again, at the head of the next.
            inner = ticks.missing.copy()
            if first:
                inner[0] = False
            self.missing.add(inner, first, ticks, np.empty(0))
            return
        steps = np.diff(ticks.values)
        rounding = min(ticks.rounding, _MOST_ROUNDING * self.reference)
        self.allowed = max(self.allowed, STEP_TOLERANCE * self.reference + rounding)
        off = np.abs(steps - self.reference) > self.allowed
        if not off.any():
            return
        self.repeated.add(steps == 0, first, ticks, steps)
        self.falling.add(steps < 0, first, ticks, steps)
        wide = steps > _GAP * self.reference
        self.gaps.add(wide, first, ticks, steps)
        self.irregular.add(off & (steps > 0) & ~wide, first, ticks, steps)

    def raise_if_any(self) -> None:
        """Raise ValueError for the worst kind of fault that was found."""
        dim = self.dim
        if self.missing.count:
            index, value, _, _ = self.missing.places[0]
            raise ValueError(
                f"coordinate {dim!r} lacks {_times(self.missing.count, 'value')}: the first is "
                f"{value} at index {index}. Drop those samples or fill in the coordinate"
            )
        if self.falling.count and self.decreasing:
            raise ValueError(
                f"coordinate {dim!r} decreases, but goes back up at "
                f"{_times(self.falling.count, 'place')}: {self._first(self.falling)}. Sort it "
                f"with obj.sortby({dim!r}){self._leap_second(self.falling)}"
            )
        if self.falling.count:
            raise ValueError(
                f"coordinate {dim!r} decreases at {_times(self.falling.count, 'place')}: "
                f"{self._first(self.falling)}. Sort it with obj.sortby({dim!r}), which reverses "
                f"an axis that runs backwards{self._leap_second(self.falling)}"
            )
        if self.repeated.count:
            raise ValueError(
                f"coordinate {dim!r} repeats values at {_times(self.repeated.count, 'place')}: "
                f"{self._first(self.repeated)}. Keep one of each with "
                f"obj.drop_duplicates({dim!r}), or average them with "
                f"obj.groupby({dim!r}).mean(){self._leap_second(self.repeated)}"
            )
        if self.irregular.count:
            count = self.irregular.count + self.gaps.count
            first = min(self.irregular.places + self.gaps.places[:1])
            raise ValueError(
                f"coordinate {dim!r} is not uniform: {_times(count, 'step')} off the median, "
                f"{self._step(self.reference)}, by more than the tolerance of "
                f"{self._step(self.allowed)} ({STEP_TOLERANCE:.0%} and rounding): "
                f"{self._place(*first)}. Interpolate onto a uniform axis, "
                f"obj.interp({dim}=...), or where the coordinate is a rounded record of uniform "
                f"sampling, replace it with obj.assign_coords({dim}=...)"
            )
        if self.gaps.count:
            raise ValueError(
                f"coordinate {dim!r} has {_times(self.gaps.count, 'gap')} (steps over "
                f"{self._step(self.reference)} by more than the tolerance of "
                f"{self._step(self.allowed)}): {self._first(self.gaps)}. Transform the pieces "
                f"between them one by one, or lay them on a full axis with obj.reindex({dim}=...):"
                " what is missing is NaN then, and so are the outputs near "
                f"it{self._leap_second(self.gaps)}"
            )

    def _first(self, tally: _Tally) -> str:
        shown = "; ".join(self._place(*place) for place in tally.places)
        return shown + ("; ..." if tally.count > len(tally.places) else "")

    def _place(self, index: int, before: Any, after: Any, step: float) -> str:
        size = f" ({step / self.reference:.4g} steps)" if step > 0 else ""
        return f"from {before} at index {index} to {after} at {index + 1}{size}"

    def _step(self, ticks: float) -> str:
        return f"{ticks / self.per_unit:.6g}" + (" s" if self.is_time else "")

    def _leap_second(self, tally: _Tally) -> str:
        """Return a hint where a step is one second too long or too short."""
        if not (self.is_time and self.rises):
            return ""
        excess = abs(abs(tally.places[0][3] - self.reference) - self.per_unit)
        if excess > self.allowed:
            return ""
        return (
            ". A step that is one second off may be a leap second: count in TAI or GPS time, or "
            f"leave the coordinate out with obj.drop_vars({self.dim!r})"
        )


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
