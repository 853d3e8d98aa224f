"""What the tests of blocks share: signals, transforms, and cutting into blocks."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.blocks import Grid, block_of, combine_sums, transform_block
from scatdask.transforms.halo import FAINTNESS
from tests.reference import PAD_MODES

BOUNDARIES = list(PAD_MODES)
TOLERANCE = {"float64": 1e-6, "float32": 5e-5}


def in_blocks(transform: Scattering1D, x: np.ndarray, length: int) -> list[np.ndarray]:
    """Transform block by block, as both roads do, and return one array a path."""
    n = x.shape[1]
    grid = Grid((n,), (length,))
    parts = []
    for index in range(len(grid)):
        block = block_of(transform, (n,), grid.bounds(index))
        pieces = [x[:, a:b] for a, b in block[0].pieces]
        parts.append(transform_block(transform, block, (n,), pieces))
    if transform.T == "global":
        sums = sum(part[0].astype(np.float64) for part in parts)
        return list(np.moveaxis(combine_sums(transform, sums, (n,)), -1, 0))
    places = {}
    for which, output in enumerate(transform.outputs):
        joined = np.concatenate([part[which] for part in parts], axis=-1)
        assert joined.shape == (len(x), len(output.paths), output.n_out(n))
        places.update({path: joined[:, row] for row, path in enumerate(output.paths)})
    return [places[path] for path in range(transform.n_paths)]


def at_once(transform: Scattering1D, x: np.ndarray) -> list[np.ndarray]:
    return in_blocks(transform, x, x.shape[1])


def noise(kind: str, rows: int, n: int) -> np.ndarray:
    x = np.random.default_rng(7 * n + rows).standard_normal((rows, n))
    return x if kind == "white" else np.cumsum(x, axis=1)


def floor(transform: Scattering1D, x: np.ndarray) -> float:
    """Return the size of paths below which errors are relative to the signal, not to the path.

    A path in a gap of the spectrum (a pure tone's, a few samples') is fainter than any halo can
    resolve.
    """
    return float(np.std(x)) / FAINTNESS + 1e-300


T_CHOICES = [None, "short", "long", "odd", 0, "global"]


@st.composite
def transforms(draw, dtypes=("float64", "float32")) -> Scattering1D:
    J = draw(st.integers(1, 5))
    T = draw(st.sampled_from(T_CHOICES))
    T = {"short": max(2 ** (J - 2), 1), "long": 2 ** (J + 2), "odd": 3 * J}.get(T, T)
    stride = None
    if T not in (0, "global"):
        largest = int(np.log2(2**J if T is None else T))
        stride = 2 ** draw(st.sampled_from(sorted({0, largest // 2, largest})))
    transform = Scattering1D(
        J,
        Q=draw(st.sampled_from([1, 3, (8, 2)])),
        T=T,
        stride=stride,
        max_order=draw(st.sampled_from([1, 2, 2, 3, 3])),
        boundary=draw(st.sampled_from(BOUNDARIES)),
        dtype=draw(st.sampled_from(dtypes)),
    )
    if draw(st.integers(0, 2)):
        return transform
    rows = draw(st.sets(st.integers(0, transform.n_paths - 1), min_size=1, max_size=9))
    return dataclasses.replace(transform, selection=tuple(sorted(rows)))
