from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)
from scatdask.archive.blocking import layout_memory, make_layout
from scatdask.archive.counts import operations
from scatdask.archive.layout import StoredArray

MIB = 2**20


def stored(sizes: dict[str, int], chunks: dict[str, int]) -> StoredArray:
    return StoredArray(sizes, chunks, 4, 4)


def test_signals_of_one_source_chunk_share_a_block():
    layout = make_layout(
        Scattering1D(J=6),
        "v",
        ("time",),
        stored({"station": 10, "time": 10**6}, {"station": 4, "time": 50_000}),
        500 * MIB,
    )
    assert layout.batch_block == (4,)


def test_signals_of_many_source_chunks_share_a_block_where_there_are_a_great_many():
    transform = Scattering1D(J=6)
    chunks = {"event": 1, "channel": 3, "time": 1000}
    array = stored({"event": 1_000_000, "channel": 3, "time": 1000}, chunks)
    layout = make_layout(transform, "v", ("time",), array, 500 * MIB)
    assert layout.batch_block == (512, 3)
    assert layout.n_blocks == 1954
    # Workers want blocks too, and long signals are work enough.
    few = stored({"event": 250, "channel": 3, "time": 1000}, chunks)
    assert make_layout(transform, "v", ("time",), few, 500 * MIB).batch_block == (1, 3)
    long = stored({"event": 10_000, "time": 10**7}, {"event": 1, "time": 10**7})
    assert make_layout(transform, "v", ("time",), long, 8000 * MIB).batch_block == (1,)


def test_dimension_stored_last_is_widened_first():
    sizes = {"y": 721, "x": 1440, "time": 1000}
    array = stored(sizes, {"y": 1, "x": 1, "time": 1000})
    layout = make_layout(Scattering1D(J=6), "v", ("time",), array, 500 * MIB)
    assert layout.batch_block == (2, 1440)


def test_block_is_as_long_as_a_source_chunk_where_memory_allows():
    transform = Scattering1D(J=6)
    array = stored({"time": 10**7}, {"time": 1_000_000})
    roomy = make_layout(transform, "v", ("time",), array, 2000 * MIB)
    assert roomy.lengths[0] >= 1_000_000
    tight = make_layout(transform, "v", ("time",), array, 60 * MIB)
    assert tight.lengths[0] < 1_000_000


TRANSFORMS = (
    Scattering1D(J=6, Q=8),
    Scattering1D(J=8, Q=8, T="global"),
    Scattering2D(J=3, boundary=("reflect", "periodic")),
    Scattering2D(J=2, boundary="periodic"),
    HarmonicScattering3D(J=1, boundary="reflect"),
    HarmonicScattering3D(J=1, method="local"),
    TimeFrequencyScattering(J=8, J_fr=3, format="joint"),
)


@settings(max_examples=25)
@given(
    transform=st.sampled_from(TRANSFORMS),
    sides=st.lists(st.integers(64, 4096), min_size=3, max_size=3),
    signals=st.integers(1, 300),
    chunk=st.integers(1, 128),
    memory=st.integers(8, 400),
)
def test_memory_bounds_the_block(transform, sides, signals, chunk, memory):
    dims = ("z", "y", "x")[-transform.ndim :]
    sizes = {"run": signals, **dict(zip(dims, sides, strict=False))}
    array = stored(sizes, {"run": signals, **dict.fromkeys(dims, chunk)})
    try:
        layout = make_layout(transform, "v", dims, array, memory * MIB)
    except MemoryError:
        return
    assert layout_memory(transform, layout, array) <= memory * MIB


def test_too_little_memory_says_what_is_needed():
    array = stored({"time": 10**9}, {"time": 4096})
    with pytest.raises(MemoryError, match=r"halo of \d+ samples.* at least \d+ MiB.*lower J"):
        make_layout(Scattering1D(J=16), "v", ("time",), array, 20 * MIB)


def test_source_chunks_that_fill_the_memory_are_named():
    array = stored({"time": 10**9}, {"time": 10**7})
    with pytest.raises(MemoryError, match=r"smaller chunks.* has 38\.1 MiB"):
        make_layout(Scattering1D(J=4), "v", ("time",), array, 100 * MIB)


def test_maps_of_a_long_time_in_one_chunk_are_taken_some_at_a_time():
    # All of a chunk's maps at once would leave no memory but for tiles of little more than halo.
    transform = Scattering2D(J=4, L=8)
    array = stored({"time": 2000, "lat": 721, "lon": 1440}, {"time": 1000, "lat": 30, "lon": 30})
    layout = make_layout(transform, "v", ("lat", "lon"), array, 800 * MIB)
    assert layout.rows < 300
    assert min(layout.lengths) > 3 * transform.halo
    whole = make_layout(transform, "v", ("lat", "lon"), array, 2**50)
    assert (whole.rows, whole.lengths) == (1000, (736, 1440))
    assert operations(transform, layout) < 2 * operations(transform, whole)


def test_last_blocks_of_other_shapes_count_with_their_filters():
    transform = Scattering2D(J=3, L=8)
    array = stored({"y": 2048, "x": 2048}, {"y": 256, "x": 256})
    layout = make_layout(transform, "v", ("y", "x"), array, 200 * MIB)
    shapes = {shape for shape, _ in layout.padded_shapes(transform)}
    filters = sum(map(transform.filter_memory, shapes))
    assert filters < layout_memory(transform, layout, array) <= 200 * MIB


def test_image_that_cannot_be_cut_says_why():
    transform = Scattering2D(J=3, boundary="periodic")
    array = stored({"y": 2**14, "x": 2**14}, {"y": 256, "x": 256})
    with pytest.raises(MemoryError, match=r"see the whole signal.* MiB.*sampling=\"space\""):
        make_layout(transform, "v", ("y", "x"), array, 200 * MIB)
