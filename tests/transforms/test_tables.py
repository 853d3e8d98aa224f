import numpy as np

from scatdask.filters import morlet_bank
from scatdask.filters.quefrency import quefrency_bank
from scatdask.transforms.tables import quefrency_columns, wavelet_columns


def test_rows_without_a_wavelet_say_so():
    bank = morlet_bank(4, 2)
    columns = wavelet_columns(2, bank, [None, 3, 0], None)
    assert set(columns) == {"n2", "j2", "xi2", "sigma2"}
    for name, missing in (("n2", -1), ("j2", -1), ("xi2", np.nan), ("sigma2", np.nan)):
        dim, values, attributes = columns[name]
        assert dim == "path"
        np.testing.assert_array_equal(values[0], missing)
        assert "order-2 wavelet" in attributes["long_name"]
    assert list(columns["n2"][1][1:]) == [3, 0]
    assert list(columns["j2"][1][1:]) == [bank[3].j, bank[0].j]
    assert list(columns["xi2"][1][1:]) == [bank[3].xi, bank[0].xi]
    assert columns["xi2"][2]["units"] == "cycles per sample"


def test_frequencies_follow_from_the_spacing():
    columns = wavelet_columns(1, morlet_bank(4, 2), [0, 1], 0.25, dim="frequency")
    for name, per_sample in (("frequency1", "xi1"), ("bandwidth1", "sigma1")):
        dim, values, attributes = columns[name]
        assert dim == "frequency"
        np.testing.assert_array_equal(values, columns[per_sample][1] / 0.25)
        assert "units" not in attributes  # they follow from the unit of the axis


def test_quefrencies_are_those_of_the_filters():
    bank = quefrency_bank(2, 1)
    columns = quefrency_columns(bank, [None, *range(len(bank))], 8)
    values = {name: column[1] for name, column in columns.items()}
    assert list(values["n_fr"]) == [-1, *range(len(bank))]
    assert list(values["j_fr"]) == [-1, *(one.j for one in bank)]
    np.testing.assert_array_equal(values["xi_fr"], [np.nan, *(one.xi for one in bank)])
    np.testing.assert_array_equal(values["quefrency"], 8 * values["xi_fr"])
    assert list(values["spin"]) == [0, 0, 1, 1, 1, -1, -1, -1]
    assert columns["quefrency"][2]["units"] == "cycles per octave"
