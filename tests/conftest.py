"""Fixtures that many tests share: array libraries, stored references, real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, which is limited below
from threadpoolctl import threadpool_limits

hypothesis.settings.register_profile("scatdask", derandomize=True, deadline=None)
hypothesis.settings.load_profile("scatdask")

# For the small arrays of tests, threads cost more than they bring: several times as much where
# others are at work on the machine.
threadpool_limits(1)

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class ArrayLibrary:
    """How tests make arrays of a library, and get them back."""

    namespace: ModuleType
    asarray: Callable[[np.ndarray], Any]
    to_numpy: Callable[[Any], np.ndarray] = np.asarray


def _read_only(array: np.ndarray) -> np.ndarray:
    frozen = np.array(array)
    frozen.flags.writeable = False
    return frozen


def _torch() -> ArrayLibrary:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # for the small arrays of tests, threads cost more than they bring
    return ArrayLibrary(torch, torch.tensor, lambda array: array.detach().numpy())


def _jax() -> ArrayLibrary:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    # Most of the time of these tests goes into compiling what runs once.
    jax.config.update("jax_disable_most_optimizations", True)
    return ArrayLibrary(jax.numpy, jax.numpy.asarray)


def _cupy() -> ArrayLibrary:
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    return ArrayLibrary(cupy, cupy.asarray, cupy.asnumpy)


def _array_api_strict() -> ArrayLibrary:
    strict = pytest.importorskip("array_api_strict")
    return ArrayLibrary(strict, strict.asarray)


_LIBRARIES: dict[str, Callable[[], ArrayLibrary]] = {
    "numpy": lambda: ArrayLibrary(np, _read_only),  # nothing may write to what it is given
    "array-api-strict": _array_api_strict,
    "torch": _torch,
    "jax": _jax,
    "cupy": _cupy,
}
TORCH = pytest.param("torch", marks=pytest.mark.libraries)
JAX = pytest.param("jax", marks=pytest.mark.libraries)
CUPY = pytest.param("cupy", marks=pytest.mark.gpu)


def library(name: str) -> ArrayLibrary:
    """Return an array library by its name in the parameters of tests, or skip."""
    return _LIBRARIES[name]()


@pytest.fixture(params=["numpy", "array-api-strict", TORCH, JAX, CUPY])
def xp(request: pytest.FixtureRequest) -> ArrayLibrary:
    """Yield each array library that kernels must run on."""
    return library(request.param)


@pytest.fixture(params=[TORCH, JAX])
def differentiable(request: pytest.FixtureRequest) -> Differentiable:
    """Yield each array library through which gradients are traced."""
    return Differentiable(request.param, library(request.param))


@dataclass(frozen=True)
class Differentiable:
    """An array library with gradients."""

    name: str
    xp: ArrayLibrary

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
        """Return the gradient of a function that gives one number."""
        if self.name == "jax":
            import jax

            return np.asarray(jax.grad(function)(self.xp.asarray(x)))
        variable = self.xp.asarray(x).requires_grad_()
        function(variable).backward()
        return variable.grad.numpy()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20140801)


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Return the folder of Kymatio's outputs, or skip."""
    folder = _SHARED / "reference"
    if not folder.is_dir():
        pytest.skip(f"no reference vectors at {folder}")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real data, or skip."""
    folder = Path(os.environ.get("SCATDASK_TEST_DATA", _SHARED / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set SCATDASK_TEST_DATA")
    return folder
