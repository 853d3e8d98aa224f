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


@pytest.fixture
def recordings(data_folder):
    folder = data_folder / "fsdd"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    return folder


def test_digits_are_told_apart_by_a_few_recordings_of_each(example, recordings, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for index in range(2, 13):  # by the example's rule three are for testing, eight to learn from
        for path in recordings.glob(f"*_{index}.wav"):
            (few / path.name).symlink_to(path)
    assert example.classify(few, tmp_path) >= 0.9


@pytest.mark.slow
def test_digits_are_told_apart(example, recordings, tmp_path):
    assert example.classify(recordings, tmp_path) >= 0.95
