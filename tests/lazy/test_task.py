import numpy as np
import pytest

from scatdask import Scattering1D
from scatdask.blocks import slab
from scatdask.lazy.task import transform_chunks


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 3, 600))


S = Scattering1D(J=3, dtype="float64")


def test_chunks_are_cut_to_the_slab(x):
    [(low, _)] = slab(S, 600, 200, 400).pieces
    chunks = [x[..., :250], x[..., 250:251], x[..., 251:600]]
    got = transform_chunks(S, (600,), ((200, 400),), (((3, low),),), *chunks)
    assert got.shape == (2, 3, 8, 25)
    np.testing.assert_allclose(got, S(x)[..., 25:50], atol=1e-6 * np.abs(S(x)).max())


def test_several_outputs_come_as_a_list(x):
    transform = Scattering1D(J=3, T=0)
    got = transform_chunks(transform, (600,), ((0, 600),), (((1, 0),),), x)
    assert [a.shape for a in got] == [(2, 3, 4, 600), (2, 3, 4, 300)]


def test_masked_samples_are_missing(x):
    masked = np.ma.masked_where(np.arange(600) == 300, x[0, 0].astype("f4"))
    got = transform_chunks(S, (600,), ((0, 600),), (((1, 0),),), masked)
    assert type(got) is np.ndarray
    touched = np.abs(np.arange(0, 600, 8) - 300) <= S.halo
    np.testing.assert_array_equal(np.isnan(got).any(axis=0), touched)


def test_masked_integers_are_missing_too():
    masked = np.ma.masked_equal(np.arange(600, dtype="i2"), 300)
    got = transform_chunks(S, (600,), ((0, 600),), (((1, 0),),), masked)
    assert np.isnan(got[0, 300 // 8])


def test_chunks_are_not_written_to(x):
    x.flags.writeable = False
    transform_chunks(S, (600,), ((0, 600),), (((1, 0),),), x)
