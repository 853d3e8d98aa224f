"""Where a kernel puts the paths it has finished."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scatdask.arrays import AnyArray, array_namespace, device_of, is_writable
from scatdask.kernels.keep import Keep
from scatdask.transforms import Transform


class Writer:
    """Collect the outputs of paths in any order.

    Arrays that can be written to are allocated once; of others the parts are laid together at
    the end, so that gradients can be traced through.

    Attributes
    ----------
    is_sum : bool
        Whether outputs are sums over the kept samples.
    n_kept : int
        Number of kept samples of a row.
    """

    def __init__(self, transform: Transform, x: AnyArray, keep: tuple[Keep, ...]) -> None:
        xp = array_namespace(x)
        self._xp, self._rows = xp, x.shape[0]
        self._dtype = getattr(xp, transform.dtype)
        self._shapes = [
            (*output.shape, *(part.n_out(output.stride) for part in keep))
            for output in transform.outputs
        ]
        self._places = {
            path: (which, row)
            for which, output in enumerate(transform.outputs)
            for row, path in enumerate(output.paths)
        }
        self._arrays: list[AnyArray] | None = None
        self._parts: list[dict[int, AnyArray]] = [{} for _ in self._shapes]
        if is_writable(x):
            self._arrays = [
                xp.empty((self._rows, *shape), dtype=self._dtype, device=device_of(x))
                for shape in self._shapes
            ]
        self.is_sum = transform.outputs[0].stride is None
        self.n_kept = int(np.prod([part.stop - part.start for part in keep], dtype=np.int64))

    def put(self, paths: Sequence[int | None], values: AnyArray) -> None:
        """Store the outputs of some paths.

        Parameters
        ----------
        paths : sequence of int or None
            None for one that was computed but is not wanted.
        values : array, shape (batch, *inner, *core)
            All rows of a path together, in the order of `paths`; what follows them is padding.
        """
        rows = self._rows
        for i, path in enumerate(paths):
            if path is None:
                continue
            which, place = self._places[path]
            value = values[i * rows : (i + 1) * rows, ...]
            if self._arrays is not None:
                self._arrays[which][:, place, ...] = value
            else:
                self._parts[which][place] = self._xp.astype(value, self._dtype)

    def arrays(self) -> list[AnyArray]:
        """Return one array for each output of the transform, shape ``(rows, path, *core)``."""
        if self._arrays is not None:
            return self._arrays
        return [
            self._xp.stack([parts[place] for place in sorted(parts)], axis=1)
            for parts in self._parts
        ]
