"""The GPU that this process computes on, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from scatdask.arrays.namespaces import AnyArray


@dataclass(frozen=True)
class Accelerator:
    """A GPU.

    Attributes
    ----------
    name : str
        What its maker calls it.
    identity : str
        The same for all processes that use this one.
    memory : int
        Bytes in all.
    versions : dict of str to str
        Of the libraries that compute on it.
    like : array
        An empty array that lives there.
    """

    name: str
    identity: str
    memory: int
    versions: dict[str, str]
    like: AnyArray


@cache
def find_accelerator() -> Accelerator:
    """Return the GPU that CuPy would use in this process.

    Raises
    ------
    LookupError
        If there is none; the message says why.
    """
    if find_spec("cupy") is None:
        raise LookupError('CuPy is not installed (pip install "scatdask[gpu]")')
    try:
        import cupy
    except ImportError as error:
        raise LookupError(f"CuPy cannot be imported ({error})") from error
    # Importing it says nothing: it does not need a device for that.
    if not cupy.cuda.is_available():
        raise LookupError("CuPy finds no CUDA device")
    device = cupy.cuda.Device()
    properties = cupy.cuda.runtime.getDeviceProperties(device.id)
    return Accelerator(
        name=properties["name"].decode(),
        identity=properties["uuid"].hex(),
        memory=int(properties["totalGlobalMem"]),
        versions={
            "cupy": cupy.__version__,
            "cuda": str(cupy.cuda.runtime.runtimeGetVersion()),
        },
        like=cupy.empty(0),
    )
