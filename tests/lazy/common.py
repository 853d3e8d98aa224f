"""What the tests of the lazy road share: signals, chunkings, and the distance of results."""

import dask
import numpy as np
from hypothesis import strategies as st

from scatdask.transforms.halo import FAINTNESS

TOLERANCE = {"float32": 5e-5, "float64": 1e-6}


def whole(transform, x):
    """Return what the plain transform gives, one array for each output."""
    result = transform(x)
    if not isinstance(result, list):
        return [result]
    ends = [-1 - len(o.inner) - transform.ndim for o in transform.outputs]
    return [
        np.stack([result[p] for p in o.paths], axis=end)
        for o, end in zip(transform.outputs, ends, strict=True)
    ]


def compute(arrays):
    return dask.compute(*arrays, scheduler="sync")


def worst(transform, got, expected, x):
    """Return the largest error of any path, relative to its own largest coefficient.

    A signal shorter than the wavelets may have next to nothing in their band. Its paths are taken
    to be as large as the faintest for which the halo is meant.
    """
    faintest = 1e-300
    if min(x.shape[-transform.ndim :]) < 2 * transform.halo:
        faintest = float(np.max(np.abs(x), initial=0.0)) / FAINTNESS
    assert len(got) == len(expected)
    errors = [0.0]
    for a, b, output in zip(got, expected, transform.outputs, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype == np.dtype(transform.dtype)
        axis = -1 - len(output.inner) - (0 if output.stride is None else transform.ndim)
        difference = np.moveaxis(np.abs(a.astype("f8") - b), axis, 0).reshape(a.shape[axis], -1)
        size = np.moveaxis(np.abs(b), axis, 0).reshape(a.shape[axis], -1)
        if size.size:
            errors.append(
                float((difference.max(axis=1) / np.maximum(size.max(axis=1), faintest)).max())
            )
    return max(errors)


def noise(shape, kind="white", seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.cumsum(x, axis=-1) if kind == "brown" else x


@st.composite
def chunkings(draw, n, most=300):
    """Draw chunks of a length: irregular, of size 1, or regular with a tiny last one."""
    kind = draw(st.sampled_from(["irregular", "ones", "tiny last", "one"]))
    if kind == "ones":
        ones = min(n, most)
        return (1,) * ones + ((n - ones,) if n > ones else ())
    if kind == "tiny last" and n > 1:
        size = draw(st.integers(max(1, n // most), n - 1))
        sizes = [size] * ((n - 1) // size)
        return (*sizes, n - sum(sizes))
    if kind == "irregular":
        cuts = draw(st.lists(st.integers(0, n), max_size=min(most, 12)))
        return tuple(np.diff([0, *sorted(cuts), n]).tolist())
    return (n,)
