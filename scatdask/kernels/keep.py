"""Which part of a padded row is wanted."""

from __future__ import annotations

from typing import NamedTuple


class Keep(NamedTuple):
    """The samples [start, stop) along one core axis of a padded row whose outputs are wanted."""

    start: int
    stop: int

    def outputs(self, stride: int) -> tuple[int, int]:
        """Return the outputs [first, last) at samples inside."""
        return self.start // stride, -(-self.stop // stride)

    def n_out(self, stride: int | None) -> int:
        """Return the number of outputs; one for a sum over all samples (stride None)."""
        if stride is None:
            return 1
        first, last = self.outputs(stride)
        return last - first
