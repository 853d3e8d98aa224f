import numpy as np
import pytest

from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)


def test_selections_are_checked_against_the_table():
    n_paths = Scattering1D(5, Q=2).n_paths
    assert Scattering1D(5, Q=2, selection=[0, n_paths - 1]).path_indices == (
        (),
        Scattering1D(5, Q=2).path_indices[-1],
    )
    assert Scattering1D(5, Q=2, selection=range(n_paths)) == Scattering1D(5, Q=2)
    with pytest.raises(ValueError, match=rf"^selection\[0\] must be at most {n_paths - 1}, got"):
        Scattering1D(5, Q=2, selection=(n_paths,))
    with pytest.raises(TypeError, match=r"^selection\[0\] must be an integer, got 0.5$"):
        Scattering1D(5, Q=2, selection=(0.5,))
    with pytest.raises(ValueError, match=r"^selection must be increasing, got 2 after 3$"):
        Scattering1D(5, Q=2, selection=(3, 2))


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_everything_speaks_of_the_selected_paths(T):
    everything = Scattering1D(6, Q=2, T=T, max_order=3)
    rows = (0, 4, 9, 30, everything.n_paths - 1)
    some = Scattering1D(6, Q=2, T=T, max_order=3, selection=rows)
    assert some.n_paths == len(rows) == some.paths().sizes["path"]
    assert some.paths().identical(everything.paths().isel(path=list(rows)))
    assert some.rates == tuple(everything.rates[row] for row in rows)
    assert sorted(p for output in some.outputs for p in output.paths) == list(range(len(rows)))
    assert some.all_path_indices == everything.path_indices
    assert some.sum_weights((999,)).shape == (len(rows),)


def test_selecting_again_leaves_rows_of_the_whole_table():
    transform = Scattering1D(6, Q=4)
    second = transform.select(lambda path: path.order == 2)
    fewer = second.select(lambda path: path.j2 == 4)
    assert fewer == transform.select(lambda path: (path.order == 2) & (path.j2 == 4))
    assert transform.select(lambda path: path.order >= 0) == transform
    with pytest.raises(ValueError, match="at least one of the"):
        transform.select(lambda path: path.order == 3)


@pytest.mark.parametrize(
    "transform",
    [
        Scattering1D(5, Q=2),
        Scattering2D(2, L=2),
        HarmonicScattering3D(2),
        TimeFrequencyScattering(5, J_fr=2),
    ],
    ids=lambda transform: transform.name,
)
def test_predicates_by_numbers_that_need_the_sampling_step(transform):
    name = min({*transform.paths(0.5).coords} - {*transform.paths().coords})
    least = float(np.nanmedian(transform.paths(0.5)[name]))
    found = transform.select(lambda path: path[name] >= least, spacing=0.5)
    assert (found.paths(0.5)[name] >= least).all()
    assert 0 < found.n_paths < transform.n_paths
    for predicate in (lambda path: path[name] > 1, lambda path: getattr(path, name) > 1):
        with pytest.raises(
            ValueError, match=f"no '{name}' where the sampling step .*`spacing`.*order"
        ):
            transform.select(predicate)
    with pytest.raises(ValueError, match=r"^spacing must be above 0 and finite, got 0$"):
        transform.select(lambda path: path.order < 2, spacing=0)
    with pytest.raises(AttributeError, match="no attribute 'ordre'"):
        transform.select(lambda path: path.ordre > 1)


def test_halo_and_alignment_are_those_of_the_selected_paths():
    transform = Scattering1D(8, Q=4, T=0)
    fine = transform.select(lambda path: path.xi1 > 0.1).select(lambda path: path.order == 1)
    assert fine.halo < transform.halo / 10
    assert fine.alignment == max(fine.rates) < transform.alignment
    averaged = Scattering1D(8, Q=4)
    assert averaged.select(lambda path: path.order == 0).halo < averaged.halo
