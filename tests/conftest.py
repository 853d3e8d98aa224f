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

hypothesis.settings.register_profile("scatdask", derandomize=True, deadline=None)
hypothesis.settings.load_profile("scatdask")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class ArrayLibrary:
    """How tests make arrays of a library, and get them back."""

    namespace: ModuleType
    asarray: Callable[[np.ndarray], Any]

    @staticmethod
    def to_numpy(array: Any) -> np.ndarray:
        return np.asarray(array)


def _read_only(array: np.ndarray) -> np.ndarray:
    frozen = np.array(array)
    frozen.flags.writeable = False
    return frozen


@pytest.fixture(params=["numpy", "numpy-readonly", "array-api-strict"])
def xp(request: pytest.FixtureRequest) -> ArrayLibrary:
    """Yield each array library that kernels must run on."""
    if request.param == "array-api-strict":
        strict = pytest.importorskip("array_api_strict")
        return ArrayLibrary(strict, strict.asarray)
    return ArrayLibrary(np, np.asarray if request.param == "numpy" else _read_only)


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
