"""What is taken for which kind of source, and Zarr in unusual shapes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import xarray as xr

from scatdask.archive.file_source import FileSource
from scatdask.archive.source_kinds import source_of
from tests.archive.test_file_source import N, S, check, dataset, job


def test_references_to_chunks_of_other_files(tmp_path):
    """As kerchunk and VirtualiZarr write them, opened by fsspec."""
    values = dataset().v.values[0]
    (tmp_path / "old.bin").write_bytes(b"header" + values.tobytes())
    names = {
        "zarr_format": 2,
        "shape": [N],
        "chunks": [N],
        "dtype": "<f4",
        "compressor": None,
        "fill_value": None,
        "filters": None,
        "order": "C",
    }
    references = {
        ".zgroup": '{"zarr_format": 2}',
        "v/.zarray": json.dumps(names),
        "v/.zattrs": '{"_ARRAY_DIMENSIONS": ["time"]}',
        "v/0": [str(tmp_path / "old.bin"), 6, 4 * N],
    }
    (tmp_path / "references.json").write_text(json.dumps({"version": 1, "refs": references}))
    options = {"fo": str(tmp_path / "references.json"), "remote_protocol": "file"}
    one = job("reference://", tmp_path / "out.zarr", source_options=options, memory="236 MiB")
    assert one.run().computed == one.plan().blocks
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        np.testing.assert_allclose(out.v, S(values), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunks", [(3, 7), (1, N), (1, 250)])
def test_short_chunks_and_one_huge_chunk(tmp_path, chunks):
    """A thousand chunks a slab are read in one call; a huge one is read once for each block."""
    whole = dataset(4_000 if chunks[1] == 7 else N)
    whole.v.encoding["chunks"] = tuple(map(min, chunks, whole.v.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole.to_zarr(tmp_path / "in.zarr")
    job(tmp_path / "in.zarr", tmp_path / "out.zarr").run()
    check(tmp_path / "out.zarr", whole)


def test_what_is_taken_for_files(tmp_path):
    (tmp_path / "a.nc").touch()
    assert source_of(tmp_path / "a.nc") == FileSource(
        str(tmp_path / "a.nc"), (str(tmp_path / "a.nc"),)
    )
    assert isinstance(source_of(tmp_path / "a.dat", engine="h5netcdf"), FileSource)
    assert not isinstance(source_of(tmp_path / "a.zarr"), FileSource)
    assert not isinstance(source_of("s3://bucket/a*.zarr"), FileSource)
    (tmp_path / "a[1]*.zarr").mkdir()
    assert not isinstance(source_of(tmp_path / "a[1]*.zarr"), FileSource)
    (tmp_path / "c?.nc").touch()
    (tmp_path / "cc.nc").touch()
    odd = str(tmp_path / "c?.nc")
    assert source_of(odd) == FileSource(odd, (odd,))
    with pytest.raises(FileNotFoundError, match=r"no file has a name like .*b\*\.nc"):
        source_of(str(tmp_path / "b*.nc"))
    with pytest.raises(ValueError, match=r"'s3://bucket/a.nc' is the URL of a file"):
        source_of("s3://bucket/a.nc")
    with pytest.raises(FileNotFoundError, match="list of files"):
        source_of([])
