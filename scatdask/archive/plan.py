"""What a job will do, before it does it: blocks, bytes, memory, hours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from dask.system import CPU_COUNT
from dask.utils import format_bytes

from scatdask.archive.chunking import Chunking
from scatdask.archive.counts import chunks_touched, operations, samples_read
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.memory import (
    PROCESS_BYTES,
    described,
    device_memory_parts,
    gpu_host_parts,
    memory_parts,
)
from scatdask.archive.reducing import Reducing
from scatdask.archive.report.notebook import plan_html
from scatdask.archive.speed import measured_speed
from scatdask.archive.windows import Windows
from scatdask.transforms import Transform

# Small blocks are put together until a task is about this long.
_TASK_SECONDS = 1.0
# Of the scheduler for a task, with room to spare (tests/benchmarks/scale.py): where very many
# threads share one scheduler, tasks are longer.
_SCHEDULER_SECONDS = 0.02
# So many for each thread at least, so that no thread waits long for the last ones.
_TASKS_PER_THREAD = 4


@dataclass(frozen=True)
class Plan:
    """The work of a job.

    Attributes
    ----------
    transform : Transform
    layouts : tuple of Layout
        Blocks of each variable.
    stored : tuple of StoredArray
        How each variable is stored.
    names : tuple of tuple of str
        Output arrays of each variable.
    reducing, windows
        How blocks are reduced to windows, where they are; otherwise None.
    libraries : int
        Bytes that the libraries take which open source and output, see `library_bytes`.
    memory_origin : str
        For which memory blocks were chosen, and where that is from.
    blocks : int
        Number of blocks.
    """

    transform: Transform
    layouts: tuple[Layout, ...]
    stored: tuple[StoredArray, ...]
    names: tuple[tuple[str, ...], ...]
    reducing: Reducing | None = None
    windows: Windows | None = None
    libraries: int = 0
    memory_origin: str = field(default="", compare=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(layout.variable for layout in self.layouts)

    @property
    def blocks(self) -> int:
        """Number of blocks of all variables."""
        return sum(layout.n_blocks for layout in self.layouts)

    @property
    def halo_overhead(self) -> float:
        """Share of the samples read that are halo."""
        read = sum(samples_read(self.transform, layout) for layout in self.layouts)
        owned = sum(layout.samples for layout in self.layouts)
        return 1 - owned / read if read else 0.0

    @property
    def bytes_read(self) -> int:
        """Bytes of the slabs, uncompressed."""
        return sum(
            samples_read(self.transform, layout) * stored.itemsize
            for layout, stored in zip(self.layouts, self.stored, strict=True)
        )

    @property
    def chunk_bytes_read(self) -> int:
        """Bytes of the source chunks that have to be decoded for the slabs, uncompressed."""
        return sum(
            chunks_touched(self.transform, layout, stored) * stored.chunk_bytes
            for layout, stored in zip(self.layouts, self.stored, strict=True)
        )

    @property
    def bytes_written(self) -> int:
        """Bytes of the output, or of the states that are merged into it, uncompressed."""
        if self.reducing is not None:
            return self.reducing.bytes_written(self.transform, self.layouts)
        itemsize = np.dtype(self.transform.dtype).itemsize
        return sum(
            math.prod(shape) * itemsize
            for layout in self.layouts
            for shape in layout.output_shapes(self.transform)
        )

    def memory_parts(self) -> dict[str, int]:
        """Return of what the peak resident memory of a worker process of one thread consists.

        Returns
        -------
        dict of str to int
            Bytes of the process itself, filters, slab, source chunks being decoded, workspace,
            output, output chunks being encoded, what the allocator keeps of freed memory, and of
            the libraries that open source and output, if they are not local Zarr. Their sum is
            `peak_memory`.
        """
        return dict(self._parts)

    def device_memory_parts(self) -> dict[str, int]:
        """Return of what the peak memory of a block on a GPU consists, if it has that much.

        Of less memory it makes do with smaller passes. What the process takes of its host is in
        `gpu_host_parts`.
        """
        return device_memory_parts(self.transform, self.layouts, self.stored)

    def gpu_host_parts(self) -> dict[str, int]:
        """Return of what the peak resident memory of a process consists that has a GPU.

        Returns
        -------
        dict of str to int
            Bytes of the host: of the process itself, the GPU's driver and libraries, filters,
            staging of what is moved, and of three blocks under way what `memory_parts` has, but
            for the workspace, which is the device's. Their sum is `gpu_host_memory`.
        """
        parts = gpu_host_parts(self.transform, self.layouts, self.stored)
        states = {name: BLOCKS_UNDER_WAY * size for name, size in self._states.items()}
        return parts | {"libraries": self.libraries} | states

    @cached_property
    def _parts(self) -> dict[str, int]:
        parts = memory_parts(self.transform, self.layouts, self.stored)
        return parts | {"libraries": self.libraries} | self._states

    @property
    def _states(self) -> dict[str, int]:
        """The states of windows of one block: as they are, and as a part of them is encoded."""
        if self.reducing is None:
            return {}
        return {"states": self.reducing.memory(self.transform, self.layouts)}

    @property
    def gpu_host_memory(self) -> int:
        """Peak resident bytes, on its host, of a worker process with a GPU."""
        return sum(self.gpu_host_parts().values())

    @property
    def block_memory(self) -> int:
        """Peak resident bytes of one block."""
        return self.peak_memory - PROCESS_BYTES - self.libraries

    @property
    def peak_memory(self) -> int:
        """Peak resident bytes of a worker process with one thread."""
        return sum(self._parts.values())

    @property
    def memory_needed(self) -> dict[str, int]:
        """Peak resident bytes of a worker process with one thread, and of one with a GPU."""
        return {"cpu": self.peak_memory, "gpu": self.gpu_host_memory}

    @property
    def flops(self) -> float:
        """Floating-point operations."""
        return sum(operations(self.transform, layout) for layout in self.layouts)

    @property
    def core_seconds(self) -> float:
        """Estimated seconds of one core like the one that made the plan, reading aside."""
        return self.flops / measured_speed(type(self.transform))

    def blocks_per_task(self, threads: int = int(CPU_COUNT)) -> int:
        """Return how many consecutive blocks one task computes, if so many threads share them."""
        if not self.blocks:
            return 1
        seconds = max(_TASK_SECONDS, threads * _SCHEDULER_SECONDS)
        long_enough = round(seconds * self.blocks / self.core_seconds)
        return max(1, min(long_enough, self.blocks // (_TASKS_PER_THREAD * max(threads, 1))))

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each output array."""
        if self.reducing is not None:
            outputs = self.reducing.outputs(self.transform, self.layouts, self.names)
            return {name: shape for name, (shape, _) in outputs.items()}
        return {
            name: shape
            for layout, names in zip(self.layouts, self.names, strict=True)
            for name, shape in zip(names, layout.output_shapes(self.transform), strict=True)
        }

    def output_chunks(self) -> dict[str, Chunking]:
        """Return the shapes of the shards and chunks of each output array."""
        if self.reducing is not None:
            outputs = self.reducing.outputs(self.transform, self.layouts, self.names)
            return {name: Chunking(chunk, chunk) for name, (_, chunk) in outputs.items()}
        return {
            name: cut
            for layout, names in zip(self.layouts, self.names, strict=True)
            for name, cut in zip(names, layout.output_chunks(self.transform), strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, as JSON can hold them."""
        return {
            "transform": {"name": self.transform.name, **self.transform.parameters()},
            "variables": list(self.variables),
            "dims": list(self.layouts[0].dims),
            "blocks": self.blocks,
            "blocks_per_task": self.blocks_per_task(),
            "block_samples": [list(layout.lengths) for layout in self.layouts],
            "block_signals": [layout.rows for layout in self.layouts],
            "halo": self.transform.halo,
            "halo_overhead": self.halo_overhead,
            "bytes_read": self.bytes_read,
            "chunk_bytes_read": self.chunk_bytes_read,
            "bytes_written": self.bytes_written,
            "peak_memory": self.peak_memory,
            "memory_parts": self.memory_parts(),
            "device_memory_parts": self.device_memory_parts(),
            "gpu_host_parts": self.gpu_host_parts(),
            "memory_origin": self.memory_origin,
            "core_seconds": self.core_seconds,
            "outputs": {
                name: {"shape": list(shape), "shards": list(cut.shard), "chunks": list(cut.chunk)}
                for (name, shape), cut in zip(
                    self.output_shapes().items(), self.output_chunks().values(), strict=True
                )
            },
        }

    def _halo(self) -> str:
        halo, along = self.transform.halo, self.transform.ndim > 1
        if all(halo >= n for layout in self.layouts for n in layout.shape):
            return "the whole signal"
        return f"{halo} samples on each side{' along each dimension' if along else ''}"

    def _repr_html_(self) -> str:
        return plan_html(f"Plan: {self.transform}", self.to_dict())

    def __str__(self) -> str:
        lines = [f"{self.transform}"]
        for layout, names in zip(self.layouts, self.names, strict=True):
            sizes = [*zip(layout.batch_dims, layout.batch_shape, strict=True)]
            sizes += zip(layout.dims, layout.shape, strict=True)
            shape = ", ".join(f"{dim}: {size}" for dim, size in sizes)
            lines.append(f"{layout.variable} ({shape})")
            lines.append(
                f"  blocks      {layout.n_blocks} of {layout.rows} signals x "
                f"{' x '.join(map(str, layout.lengths))} samples"
            )
            written = replace(self, layouts=(layout,), names=(names,))
            cuts = written.output_chunks()
            for name, out in written.output_shapes().items():
                shards = f" in shards of {cuts[name].shard}" if cuts[name].is_sharded else ""
                lines.append(f"  output      {name} {out}{shards} in chunks of {cuts[name].chunk}")
        per_task = self.blocks_per_task()
        again = self.chunk_bytes_read / max(self.bytes_read, 1)
        note = f", whole chunks: {format_bytes(self.chunk_bytes_read)}" if again > 1.5 else ""
        lines += [
            f"halo          {self._halo()}, {self.halo_overhead:.1%} of reads",
            f"read          {format_bytes(self.bytes_read)}{note}",
            f"written       {format_bytes(self.bytes_written)}, before compression",
            f"peak memory   {format_bytes(self.peak_memory)} for each worker process of one "
            f"thread, {format_bytes(self.block_memory)} more for each further thread",
            f"of which      {described(self._parts)}",
            f"on a GPU      {format_bytes(sum(self.device_memory_parts().values()))} of its own, "
            f"and {format_bytes(self.gpu_host_memory)} of its host",
            *([f"planned for   {self.memory_origin}"] if self.memory_origin else []),
            f"work          {_duration(self.core_seconds)} of one core, "
            f"{-(-self.blocks // per_task)} tasks of {per_task} blocks",
        ]
        return "\n".join(lines)


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
