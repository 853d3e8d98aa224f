"""Exceptions and warnings that scatdask raises on its own account.

Wrong arguments raise the built-in `ValueError`, `TypeError` and `KeyError`; the classes here name
failures that a caller may want to tell apart.
"""


class ScatdaskError(Exception):
    """Base class of the errors below."""


class MissingChunksError(ScatdaskError):
    """Chunks of the source do not exist, so their samples would be read as fill values."""


class ChunkError(ScatdaskError):
    """A chunk that is stored cannot be decoded."""


class OutputExistsError(ScatdaskError):
    """The output holds something that this job did not write."""


class OutputBusyError(ScatdaskError):
    """Another run is writing the output."""


class SourceChangedError(ScatdaskError):
    """Samples of the source that were transformed before are others now."""


class BlocksFailedError(ScatdaskError):
    """Some blocks of a job raised; the others are done and recorded."""


class StorageError(ScatdaskError):
    """A store ends the whole run: no space, read-only, credentials that do not serve, no answer."""


class WorkersLostError(ScatdaskError):
    """The cluster went away while blocks were under way."""


class WorkerVersionError(ScatdaskError):
    """A worker has no scatdask, or another version of it or of Zarr than the client."""


class NonFiniteWarning(UserWarning):
    """The input holds NaN or infinite samples; outputs that they touch are NaN."""


class PrecisionWarning(UserWarning):
    """The array library has no 64-bit floats, so part of the work is less precise than promised."""


class DeviceMemoryWarning(UserWarning):
    """A device had too little memory for a block, part of which was computed on the CPU."""


class DeviceFailedWarning(UserWarning):
    """A device failed while it computed a block, which the CPU of its worker computed then."""


class DeviceLostWarning(UserWarning):
    """The last worker with a GPU has gone, so the CPUs compute its blocks."""


class NoWorkersWarning(UserWarning):
    """A cluster has no workers yet, and a run waits for them."""


class WorkerMemoryWarning(UserWarning):
    """A worker that came after blocks were chosen has less memory than they need."""


class ShortBlocksWarning(UserWarning):
    """A job began with blocks so short that they read much more than fresh ones would."""


class StatesRemadeWarning(UserWarning):
    """Statistics of windows do not fit a source that got longer, so all are computed anew."""
