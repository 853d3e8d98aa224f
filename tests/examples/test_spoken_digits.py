import numpy as np
import pytest

from tests.examples import load

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def example():
    return load("spoken_digits")


def test_recordings_are_centred_and_cut(example):
    short = example.centred(np.arange(1, 4, dtype=np.int16))
    assert len(short) == example.LENGTH
    middle = example.LENGTH // 2
    assert short[middle - 3 : middle + 2].tolist() == [0, 1, 2, 3, 0]
    long = example.centred(np.arange(example.LENGTH + 2))
    np.testing.assert_array_equal(long, np.arange(1, example.LENGTH + 1))


def test_folder_without_recordings(example, tmp_path):
    with pytest.raises(FileNotFoundError, match="no files like"):
        example.read(tmp_path)


def test_digits_are_told_apart(example, data_folder, tmp_path):
    folder = data_folder / "fsdd"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    assert example.classify(folder, tmp_path) >= 0.95
