"""What kernels do on CuPy only, run on a CPU: torch stands in, fused operations are in NumPy."""

import sys

import numpy as np
import pytest

from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)
from scatdask.arrays import namespaces
from scatdask.kernels import operations, operations2d

pytestmark = pytest.mark.libraries


@pytest.fixture
def torch(monkeypatch):
    """Have kernels take torch for CuPy."""
    torch = pytest.importorskip("torch")
    _forget_filters()

    def is_cupy(x):
        return isinstance(x, torch.Tensor)

    is_writable = namespaces.is_writable
    for name, module in list(sys.modules.items()):
        if name.startswith("scatdask.") and hasattr(module, "is_writable"):
            monkeypatch.setattr(module, "is_writable", lambda x: is_cupy(x) or is_writable(x))
        if name.startswith("scatdask.kernels") and hasattr(module, "is_cupy"):
            monkeypatch.setattr(module, "is_cupy", is_cupy)
    monkeypatch.setattr(operations, "fold_bands", fold_bands)
    monkeypatch.setattr(operations2d, "fold_blocks", fold_blocks)
    yield torch
    _forget_filters()


def _forget_filters():
    """Forget what was sampled for torch as torch, or as CuPy."""
    for name, module in list(sys.modules.items()):
        if name.startswith("scatdask.kernels"):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def fold_bands(spectrum, table):
    import torch

    spectrum, n, n_out = spectrum.numpy(), table.n, table.n_out
    parts = []
    for first, width, place in table.filters.tolist():
        bins = np.arange(first, first + width)
        mirrored = bins % n > n // 2
        values = spectrum[:, np.where(mirrored, -bins % n, bins % n)]
        values = np.where(mirrored, values.conj(), values)
        folded = np.zeros((len(spectrum), n_out), spectrum.dtype)
        factors = table.factors.numpy()[place : place + width]
        np.add.at(folded, (slice(None), bins % n_out), values * factors)
        parts.append(folded)
    return torch.tensor(np.concatenate(parts))


def fold_blocks(blocks, factors, out):
    assert not factors.is_complex()
    out[...] = (blocks * factors).sum(dim=(1, 2))


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (Scattering1D(4, Q=4), (2, 333)),
        (Scattering1D(4, T=0), (9, 300)),
        (Scattering1D(4, T="global"), (2, 300)),
        (Scattering1D(4, max_order=3, selection=(0, 3, 9, 12)), (2, 300)),
        (Scattering2D(2, L=3), (2, 24, 19)),
        (Scattering2D(2, L=3, stride=1, boundary="periodic"), (2, 24, 20)),
        (HarmonicScattering3D(1, L=2), (2, 8, 8, 8)),
        (HarmonicScattering3D(1, L=1, rotation_covariant=False), (2, 8, 8, 8)),
        (HarmonicScattering3D(1, L=1, method="local"), (7, 8, 9)),
        (TimeFrequencyScattering(4, J_fr=1, Q=4, format="joint"), (2, 200)),
        (TimeFrequencyScattering(4, J_fr=1, Q=4), (2, 200)),
    ],
    ids=str,
)
def test_numbers_are_those_of_numpy(torch, rng, transform, shape):
    x = rng.standard_normal(shape)
    found, expected = transform(torch.tensor(x)), transform(x)
    if not isinstance(found, list):
        found, expected = [found], [expected]
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a.numpy() - b).max() <= 1e-6 * np.abs(b).max()
