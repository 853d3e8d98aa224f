from dataclasses import replace

from scatdask.filters import morlet_bank
from scatdask.transforms.frequency_axis import FrequencyAxis
from scatdask.transforms.planes import Plane, all_paths, all_planes, wanted_planes

FIRST, SECOND = morlet_bank(6, 8), morlet_bank(6, 1)
AXIS = FrequencyAxis(J_fr=2, Q_fr=1, F=4, n_bank=len(FIRST), room=56, whole=False)
PLANES = all_planes(FIRST, SECOND, 6)


def test_a_plane_takes_the_first_order_wavelets_of_finer_scale():
    assert PLANES[0] == Plane(None, len(FIRST), 6)
    for plane in PLANES[1:]:
        scale = SECOND[plane.n2].j
        assert all(psi.j < scale for psi in FIRST[: plane.n_rows])
        assert all(psi.j >= scale for psi in FIRST[plane.n_rows :])
        assert plane.log2_rate == scale
    assert [plane.n2 for plane in PLANES[1:]] == [n for n, psi in enumerate(SECOND) if psi.j > 0]


def test_no_plane_is_coarser_than_the_outputs():
    assert {plane.log2_rate for plane in all_planes(FIRST, SECOND, 1)} == {1}


def test_paths_go_by_order_then_by_index():
    paths = all_paths(PLANES, AXIS)
    assert paths[0] == ()
    assert list(paths[1:]) == sorted(paths[1:], key=lambda path: (len(path), path))
    joint = all_paths(PLANES, replace(AXIS, whole=True))
    assert len({path[:-1] for path in paths[1:]}) == len(joint) == len(set(joint))
    # Of the first order, which is real, there is one spin.
    assert [path for path in joint if len(path) == 1] == [(n,) for n in range(4)]
    assert sum(path[0] == 3 for path in joint if len(path) == 2) == 7


def test_strips_number_every_path_once():
    for axis in (AXIS, replace(AXIS, whole=True), replace(AXIS, F="global"), replace(AXIS, F=0)):
        paths = all_paths(PLANES, axis)
        wanted = wanted_planes(PLANES, axis, paths)
        numbers = [row for plane in wanted for strip in plane.strips for row in strip.paths]
        assert numbers == list(range(len(paths) - len(numbers), len(paths)))
        assert len(paths) - len(numbers) == (not axis.whole)
        for plane in wanted:
            for strip in plane.strips:
                assert strip.places == axis.places(strip.n_fr, plane.n_rows)


def test_only_wanted_strips_and_planes_are_left():
    assert wanted_planes(PLANES, AXIS, [()]) == ()
    (plane,) = wanted_planes(PLANES, AXIS, [(), (3, 1, 4), (3, 5, 0), (3, 5, 8)])
    assert plane.n2 == 3
    assert [(s.n_fr, s.places, s.paths) for s in plane.strips] == [
        (1, (4,), (1,)),
        (5, (0, 8), (2, 3)),
    ]
