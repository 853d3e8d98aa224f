"""Whose array it is, where it lives, and how to get numbers there and back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any

import array_api_compat as compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

from scatdask.errors import PrecisionWarning

# Arrays of any library of the array API standard; there is no common type to name.
AnyArray = Any


def array_namespace(x: AnyArray) -> ModuleType:
    """Return the array API namespace of `x`."""
    if is_numpy(x):  # the general answer costs microseconds, and the kernel asks often
        return numpy_namespace
    return compat.array_namespace(x)


def is_numpy(x: AnyArray) -> bool:
    """Say whether `x` is a plain NumPy array."""
    return isinstance(x, np.ndarray)


def is_cupy(x: AnyArray) -> bool:
    """Say whether `x` is an array of CuPy, for which there are fused operations."""
    return not is_numpy(x) and bool(compat.is_cupy_array(x))


def is_writable(x: AnyArray) -> bool:
    """Say whether fresh arrays of the library of `x` are filled in place.

    Those of JAX cannot be, and those of torch would lose their gradients' history.
    """
    return is_numpy(x) or is_cupy(x)


def is_surely(flag: AnyArray) -> bool:
    """Say whether a boolean array without axes is known to be true.

    While JAX traces a function there are no values yet: then the answer is no, and what is done
    must be right for either value.
    """
    if not compat.is_jax_array(flag):
        return bool(flag)
    try:
        return bool(flag)
    except sys.modules["jax"].errors.ConcretizationTypeError:
        return False


def compiled(function: Callable[..., Any], *fixed: Any, like: AnyArray) -> Callable[..., Any]:
    """Bind what comes before a function's arrays, and have JAX compile it where `like` is its own.

    JAX compiles each operation on arrays of a new shape, which for a cascade of a thousand small
    ones takes several times as long as to compile it as a whole.

    Parameters
    ----------
    function : callable
        Of module level, since what is compiled is kept for it.
    *fixed
        Its first arguments, hashable.
    like : array

    Returns
    -------
    callable
        Takes the rest of the arguments: arrays, or lists of them.
    """
    if not compat.is_jax_array(like):
        return partial(function, *fixed)
    return partial(_jitted(function, len(fixed)), *fixed)


@cache
def _jitted(function: Callable[..., Any], n_fixed: int) -> Callable[..., Any]:
    import jax

    return jax.jit(function, static_argnums=tuple(range(n_fixed)))


def check_in_memory(x: AnyArray) -> None:
    """Raise TypeError for what is no array in memory; a lazy one would be computed unasked."""
    if compat.is_dask_array(x):
        raise TypeError(
            "a transform takes arrays in memory, not dask arrays: wrap it in an xarray object and "
            "use scatdask.scattering1d, which stays lazy"
        )
    try:
        array_namespace(x)
    except TypeError:
        raise TypeError(
            "a transform takes arrays, such as those of NumPy, CuPy, torch and JAX, not a "
            f"{type(x).__name__}: give xarray objects to functions such as scatdask.scattering1d, "
            "and of others their numbers, as from to_numpy()"
        ) from None


def check_precision(x: AnyArray, dtype: str, *, stacklevel: int) -> None:
    """Raise or warn where the library of `x` has no float64 at present, as JAX without x64.

    Raises
    ------
    TypeError
        If `dtype`, the precision of the result, is "float64".
    """
    if widest_float(x) == array_namespace(x).float64:
        return
    remedy = 'jax.config.update("jax_enable_x64", True)'
    if dtype == "float64":
        raise TypeError(f'dtype="float64" needs JAX to have 64-bit floats: {remedy}')
    warnings.warn(
        "JAX has no 64-bit floats now, so the first FFT is in single precision: of a signal whose "
        f"low frequencies are loud, faint high ones drown in its rounding; {remedy} mends it",
        PrecisionWarning,
        stacklevel=stacklevel + 1,
    )


def kind_of(dtype: Any) -> str:
    """Return NumPy's letter for the kind of a data type of any library: f, i, u, c, b, ..."""
    try:
        return np.dtype(dtype).kind
    except TypeError:
        name = str(dtype).rpartition(".")[2]
    return "f" if name == "bfloat16" else np.dtype(name).kind


def widest_float(x: AnyArray) -> Any:
    """Return float64, or float32 where the library of `x` has nothing wider."""
    xp = array_namespace(x)
    if compat.is_jax_array(x) and not sys.modules["jax"].config.jax_enable_x64:
        return xp.float32
    return xp.float64


def complex_dtype(xp: ModuleType, dtype: str) -> Any:
    """Return the complex type of the precision of `dtype` ("float32" or "float64")."""
    return {"float32": xp.complex64, "float64": xp.complex128}[dtype]


def device_of(x: AnyArray) -> Any:
    """Return the device that holds `x`, hashable; None where JAX is to choose."""
    device = compat.device(x)
    if compat.is_jax_array(x) and not isinstance(device, sys.modules["jax"].Device):
        return None  # traced, or spread over several devices
    return device


def from_numpy(array: np.ndarray, *, like: AnyArray) -> AnyArray:
    """Move a NumPy array to the library and device of `like`.

    Other libraries take the machine's own byte order only, and devices take memory in one piece:
    on the way to them, what is not so is copied first.
    """
    if is_numpy(like):
        return array
    array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    xp, device = array_namespace(like), device_of(like)
    if not compat.is_jax_array(like):
        return xp.asarray(array, device=device)
    # Even while a function is traced these are numbers, which may be kept for the next call.
    with sys.modules["jax"].ensure_compile_time_eval():
        return xp.asarray(array, device=device)


def to_numpy(x: AnyArray) -> np.ndarray:
    """Return the values of `x` on the host, without their history."""
    if is_numpy(x):
        return np.asarray(x)
    if is_cupy(x):
        return x.get()
    if compat.is_torch_array(x):
        return x.detach().cpu().numpy()
    return np.asarray(x)


class Like:
    """An empty array that says where others are to live, as part of the key of a cache.

    Two are equal where library and device are.
    """

    def __init__(self, x: AnyArray) -> None:
        # No view of `x`, which the cache would keep alive.
        self.array = from_numpy(np.empty(0), like=x)
        self._key = array_namespace(x), device_of(x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Like) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)
