import numpy as np
import pytest

from scatdask.arrays import Scratch
from scatdask.filters import SampledFilter2D, morlet_bank2d, sample_morlet2d
from scatdask.kernels.folding2d import column_filter, fold_columns, spectrum_columns


def boxed(rng, first, box, shape) -> SampledFilter2D:
    """Return a filter that is nowhere small on a box of bins."""
    left, right = rng.uniform(1, 2, (box[0], 3)), rng.uniform(1, 2, (3, box[1]))
    return SampledFilter2D(first, left, right, shape)


def folded_spectrum(x, sampled, shape) -> np.ndarray:
    """Multiply and fold by the definition; frequency zero comes first."""
    whole = np.fft.fft2(x) * sampled.dense() / np.prod(sampled.shape)
    (height, width), (m, k) = sampled.shape, shape
    return whole.reshape(len(x), height // m, m, width // k, k).sum(axis=(1, 3))


# Where the box of bins begins, and its sides: in a corner, around zero, everywhere, thin, one bin.
BOXES = [
    ((-12, -20), (5, 7)),
    ((-5, -6), (11, 13)),
    ((-12, -20), (24, 40)),
    ((-12, 3), (24, 2)),
    ((9, 17), (3, 3)),
    ((-7, -20), (8, 40)),
    ((2, -4), (1, 1)),
]


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize(("first", "box"), BOXES, ids=str)
@pytest.mark.parametrize("is_large", [False, True])
def test_columns_fold_as_the_definition(monkeypatch, rng, first, box, factor, is_large):
    if is_large:
        monkeypatch.setattr("scatdask.kernels.folding2d.LARGEST_WHOLE", 0)
        monkeypatch.setattr("scatdask.kernels.folding2d.BAND_BYTES", 512)
    shape = (24, 40)
    m, k = (n // factor for n in shape)
    sampled = boxed(rng, first, box, shape)
    x = rng.standard_normal((2, *shape))
    folded, scratch = column_filter(sampled, (m, k), "float64"), Scratch(x)
    columns = spectrum_columns(np.fft.rfft2(x), shape[1], [folded], scratch, "columns")
    found = np.full((2, m, k), np.nan, complex)
    fold_columns(found, columns, folded, scratch)
    # Rows and columns begin where the filter does.
    begin = folded.rows.start - shape[0] // 2, folded.columns.start * k - shape[1] // 2
    found = np.roll(found, begin, axis=(1, 2))
    np.testing.assert_allclose(found, folded_spectrum(x, sampled, (m, k)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 9), (8, 12), (5, 4)], ids=str)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_columns_hold_the_spectrum_and_conjugates_of_the_mirrored(rng, shape, dtype):
    x = rng.standard_normal((3, *shape))
    folded = column_filter(
        boxed(rng, tuple(-(n // 2) for n in shape), shape, shape), shape, "float64"
    )
    half = np.fft.rfft2(x).astype(dtype)
    [columns] = spectrum_columns(half, shape[1], [folded], Scratch(half), "a").swapaxes(0, 1)
    expected = np.fft.fftshift(np.fft.fft2(x), axes=(1, 2))
    left = shape[1] // 2
    expected[:, :, :left] = expected[:, :, :left].conj()
    assert columns.dtype == dtype
    np.testing.assert_allclose(columns, expected, rtol=0, atol=1e-5)


def test_blocks_of_rows_begin_where_the_filter_does():
    # Across its direction the filter spans less than half of the frequencies.
    sampled = sample_morlet2d(morlet_bank2d(3, 8)[23], (240, 240), tolerance=1e-8)
    assert 60 < sampled.box[0] < 120
    folded = column_filter(sampled, (60, 60), "float32")
    assert folded.rows.stop - folded.rows.start == 120
    assert folded.rows.start % 60
