"""How the output is stored: codecs and chunks, on coefficients of real recordings."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

import scatdask
from scatdask.archive.chunking import chunking

CODECS: dict[str, tuple[Any, ...]] = {
    "raw": (),
    "zstd 1, checksum": (ZstdCodec(level=1, checksum=True),),
    "zstd 3, checksum": (ZstdCodec(level=3, checksum=True),),
    "zstd 9, checksum": (ZstdCodec(level=9, checksum=True),),
    **{
        f"blosc {cname} {level}, {shuffle}, crc32c": (
            BloscCodec(cname=cname, clevel=level, shuffle=shuffle, typesize=4),
            Crc32cCodec(),
        )
        for cname, level, shuffle in (
            ("lz4", 5, "shuffle"),
            ("lz4", 5, "bitshuffle"),
            ("zstd", 1, "shuffle"),
            ("zstd", 1, "bitshuffle"),
            ("zstd", 3, "shuffle"),
            ("zstd", 3, "bitshuffle"),
            ("zstd", 5, "shuffle"),
        )
    },
}


def folder() -> Path:
    """Return where the recordings are."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("SCATDASK_TEST_DATA", beside))


def coefficients(data: Path) -> dict[str, np.ndarray]:
    """Transform recordings: arrays (signal, path, *frames)."""
    words = []
    for path in sorted((data / "fsdd").glob("*_*_0.wav")):
        with wave.open(str(path)) as recording:
            words.append(np.frombuffer(recording.readframes(10**6), np.int16))
    speech = np.concatenate(words).astype(np.float32)
    with scipy.io.netcdf_file(data / "eraint_uvz.nc", mmap=False) as file:
        wind = file.variables["u"][:][:, :, :240].reshape(-1, 240, 480).astype(np.float32)
    found = {
        "speech, J=8, Q=8": scatdask.Scattering1D(J=8, Q=8, stride=16)(speech[np.newaxis]),
        "wind, J=3, L=8": scatdask.Scattering2D(J=3, L=8)(wind),
    }
    if importlib.util.find_spec("netCDF4"):
        with xr.open_dataset(data / "das" / "decimated_optodas.hdf5", engine="netcdf4") as ds:
            strain = ds["data"].values.T
        found["strain, J=6, Q=4"] = scatdask.Scattering1D(J=6, Q=4, stride=8)(strain)
    return {name: np.asarray(x) for name, x in found.items()}


def measure(x: np.ndarray, codecs: tuple[Any, ...], repeats: int) -> dict[str, float]:
    """Encode an array in chunks as a job cuts it, in one thread, and decode it."""
    cut = chunking(x.shape[:1], x.shape[1:2], x.shape[2:], x.itemsize)
    encode, decode = [], []
    for _ in range(repeats):
        array = zarr.create_array(
            zarr.storage.MemoryStore(),
            shape=x.shape,
            chunks=cut.chunk,
            dtype=x.dtype,
            compressors=codecs,
        )
        start = time.process_time()
        array[...] = x
        middle = time.process_time()
        decoded = array[...]
        decode.append(time.process_time() - middle)
        encode.append(middle - start)
        assert np.array_equal(decoded, x)
    return {
        "size": array.nbytes_stored() / x.nbytes,
        "encode": x.nbytes / min(encode),
        "decode": x.nbytes / min(decode),
    }


def codec_rows(repeats: int) -> list[dict[str, Any]]:
    """Measure all codecs on all arrays."""
    return [
        {"name": name, "shape": x.shape, "codec": codec, **measure(x, codecs, repeats)}
        for name, x in coefficients(folder()).items()
        for codec, codecs in CODECS.items()
    ]


class Counting(zarr.storage.WrapperStore):  # type: ignore[type-arg]
    """A store that counts what is read from it."""

    requests = bytes_read = 0

    async def get(self, *args: Any, **options: Any) -> Any:
        """Read, and count."""
        found = await super().get(*args, **options)
        if found is not None:
            self.requests += 1
            self.bytes_read += len(found)
        return found


def reading_rows(parent: str, repeats: int) -> list[dict[str, Any]]:
    """Read parts of an archive whose blocks are whole chunks, and of one cut as a job does."""
    block, stations, frames = (64, 234, 512), 128, 4096
    speech = coefficients(folder())["speech, J=8, Q=8"][0]
    cut = chunking(block[:1], block[1:2], block[2:], 4)
    layouts: dict[str, dict[str, Any]] = {
        "a block is a chunk, zstd": {"chunks": block, "compressors": CODECS["zstd 3, checksum"]},
        "a block is a shard, lz4": {
            "chunks": cut.chunk,
            "shards": cut.shard,
            "compressors": CODECS["blosc lz4 5, shuffle, crc32c"],
        },
    }
    reads = {
        "all paths of a station for an hour": np.s_[5, :, 1000:2406],
        "all paths of all stations, one frame": np.s_[:, :, 1000],
        "one path of a station, all time": np.s_[5, 100, :],
        "one path of all stations, all time": np.s_[:, 100, :],
    }
    found = []
    for name, layout in layouts.items():
        path = f"{parent}/reading-{len(found)}.zarr"
        array = zarr.create_array(
            path, shape=(stations, block[1], frames), dtype="f4", fill_value=np.nan, **layout
        )
        written = 0.0
        for first in range(0, stations, block[0]):
            # Stations that differ in all their digits.
            gain = np.linspace(1.0, 1.5, block[0], dtype=np.float32) + first
            for frame in range(0, frames, block[2]):
                values = gain[:, np.newaxis, np.newaxis] * speech[:, frame : frame + block[2]]
                start = time.process_time()
                array[first : first + block[0], :, frame : frame + block[2]] = values
                written += time.process_time() - start
        for what, region in reads.items():
            store = Counting(zarr.storage.LocalStore(path, read_only=True))
            array = zarr.open_array(store, mode="r")
            store.requests = store.bytes_read = 0
            seconds = []
            for _ in range(repeats):
                start = time.process_time()
                array[region]
                seconds.append(time.process_time() - start)
            found.append(
                {
                    "layout": name,
                    "read": what,
                    "seconds": min(seconds),
                    "requests": store.requests // repeats,
                    "bytes_read": store.bytes_read // repeats,
                    "write_seconds": written,
                }
            )
    return found


if __name__ == "__main__":
    part, *arguments = json.loads(sys.argv[1])
    # One thread for codecs, as in a worker.
    with zarr.config.set({"threading.max_workers": 1}):
        rows = {"codecs": codec_rows, "reading": reading_rows}[part](*arguments)
    print(json.dumps(rows))
