"""Where a kernel puts the paths it has finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scatdask.arrays import AnyArray, array_namespace, device_of, from_numpy, is_numpy, is_writable
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
        self._places = {
            path: (which, row)
            for which, output in enumerate(transform.outputs)
            for row, path in enumerate(output.paths)
        }
        self._arrays: list[AnyArray] | None = None
        # For each output its parts, shape (some paths, rows, ...), and the paths' places in order.
        self._parts: list[list[AnyArray]] = [[] for _ in transform.outputs]
        self._order: list[list[int]] = [[] for _ in transform.outputs]
        if is_writable(x):
            core = [
                tuple(part.n_out(output.stride) for part in keep) for output in transform.outputs
            ]
            self._arrays = [
                xp.empty((self._rows, *output.shape, *n), dtype=self._dtype, device=device_of(x))
                for output, n in zip(transform.outputs, core, strict=True)
            ]
        self.is_sum = transform.outputs[0].stride is None
        self.n_kept = int(np.prod([part.stop - part.start for part in keep], dtype=np.int64))

    def put(self, paths: Sequence[int | None], values: AnyArray) -> None:
        """Store the outputs of some paths.

        Parameters
        ----------
        paths : sequence of int or None
            None for one that was computed but is not wanted; the others share an output.
        values : array, shape (batch, *inner, *core)
            All rows of a path together, in the order of `paths`; what follows them is padding.
        """
        wanted = [(i, *self._places[path]) for i, path in enumerate(paths) if path is not None]
        if not wanted:
            return
        xp, rows = self._xp, self._rows
        which = wanted[0][1]
        values = xp.reshape(values[: len(paths) * rows, ...], (len(paths), rows, *values.shape[1:]))
        sources, targets = [i for i, _, _ in wanted], [place for _, _, place in wanted]
        if self._arrays is not None and is_numpy(values):
            some = values if len(wanted) == len(paths) else values[sources]
            self._arrays[which][:, targets] = some.swapaxes(0, 1)
            return
        for source, target in _in_steps(sources, targets):
            some = values[source, ...]
            if self._arrays is not None:
                self._arrays[which][:, target, ...] = xp.moveaxis(some, 0, 1)
            else:
                self._parts[which].append(xp.astype(some, self._dtype, copy=False))
                self._order[which].extend(range(target.start, target.stop, target.step))

    def arrays(self) -> list[AnyArray]:
        """Return one array for each output of the transform, shape ``(rows, path, *core)``."""
        if self._arrays is not None:
            return self._arrays
        xp = self._xp
        arrays = []
        for parts, order in zip(self._parts, self._order, strict=True):
            joined = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
            if order != sorted(order):
                joined = xp.take(joined, from_numpy(np.argsort(order), like=joined), axis=0)
            arrays.append(xp.moveaxis(joined, 0, 1))
        return arrays


def _in_steps(sources: list[int], targets: list[int]) -> Iterator[tuple[slice, slice]]:
    """Cut pairs of places into the longest parts in which both grow by steps of their own."""
    start = 0
    while start < len(sources):
        stop = start + 1
        steps = (1, 1)
        while stop < len(sources):
            ahead = sources[stop] - sources[stop - 1], targets[stop] - targets[stop - 1]
            if min(ahead) < 1 or (stop > start + 1 and ahead != steps):
                break
            steps = ahead
            stop += 1
        yield (
            slice(sources[start], sources[stop - 1] + 1, steps[0]),
            slice(targets[start], targets[stop - 1] + 1, steps[1]),
        )
        start = stop
