import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask.filters import Wavelet, morlet_bank
from scatdask.transforms.cascade import Branch1D, all_paths, cascade, walk

BANKS = [morlet_bank(6, 4), morlet_bank(6, 2), morlet_bank(6, 1)]


def flattened(branches, above=()):
    """Return from each path of a tree to whether it is wanted."""
    found = {}
    for branch in branches:
        for n in branch.wavelets:
            assert (*above, n) not in found
            found[*above, n] = branch.wanted
            found |= flattened(branch.children, (*above, n))
    return found


def at(j):
    return Wavelet(0.1, 0.01, j)


def test_paths_are_of_increasing_scale_by_order_then_by_index():
    paths = all_paths(BANKS)
    expected = [
        path
        for order in range(4)
        for path in itertools.product(*(range(len(bank)) for bank in BANKS[:order]))
        if all(
            BANKS[k][path[k]].j < BANKS[k + 1][path[k + 1]].j for k in range(order - 1)
        )
    ]  # fmt: skip
    assert list(paths) == expected


def test_no_banks_leave_order_zero():
    assert all_paths([]) == ((),)
    assert cascade([], [()], int) == ()


@given(data=st.data())
def test_tree_holds_what_some_paths_need_and_nothing_else(data):
    paths = all_paths(BANKS)
    chosen = data.draw(st.sets(st.sampled_from(paths), min_size=1, max_size=30))
    found = flattened(cascade(BANKS, sorted(chosen), int))
    needed = {path[:order] for path in chosen for order in range(1, len(path) + 1)}
    assert set(found) == needed
    assert {path for path, wanted in found.items() if wanted} == chosen - {()}


@given(cap=st.integers(0, 6))
def test_branches_are_as_wide_as_they_may_be(cap):
    tree = cascade(BANKS, all_paths(BANKS), lambda j: min(j, cap))

    def check(branches):
        for before, after in itertools.pairwise(branches):
            assert before.wavelets[-1] < after.wavelets[0]
            same = (before.log2_rate, before.wanted, before.children)
            assert same != (after.log2_rate, after.wanted, after.children)
        for branch in branches:
            assert branch.log2_rate <= cap
            assert all(child.log2_rate >= branch.log2_rate for child in branch.children)
            check(branch.children)

    check(tree)
    if cap == 0:
        return
    octaves = {wavelet.j for wavelet in BANKS[0]}
    assert len(tree) == len({min(j, cap) for j in octaves}) or cap < max(octaves)


def test_wavelets_of_one_rate_and_without_children_are_one_branch():
    banks = [[at(0), at(0), at(3), at(4)], [at(2), at(3), at(5)]]
    order1 = [(0,), (1,), (2,), (3,)]
    assert cascade(banks[:1], order1, lambda j: min(j, 3)) == (
        Branch1D((0, 1), 0, True, ()),
        Branch1D((2, 3), 3, True, ()),
    )
    # Those of one rate may follow together; the second wavelet is wanted for what follows only.
    children = (Branch1D((0, 1), 2, True, ()), Branch1D((2,), 4, True, ()))
    paths = [(0,), *itertools.product((0, 1), (0, 1, 2))]
    assert cascade(banks, paths, lambda j: min(j // 2 * 2, 4)) == (
        Branch1D((0,), 0, True, children),
        Branch1D((1,), 0, False, children),
    )


def test_walk_counts_signals_and_subsamplings():
    tree = cascade(BANKS, all_paths(BANKS), int)
    seen = list(walk(tree))
    assert sum(len(branch.wavelets) * parents for branch, _, _, parents in seen) == (
        len(all_paths(BANKS)) - 1
    )
    for branch, order, log2_rate, parents in seen:
        assert (order == 1) == ((log2_rate, parents) == (0, 1)) or order > 1
        assert branch.log2_rate >= log2_rate
        assert all(BANKS[order - 1][n].j == branch.log2_rate for n in branch.wavelets)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_walk_goes_through_parents_before_children(order):
    tree = cascade(BANKS, all_paths(BANKS[:order]), int)
    orders = [order for _, order, _, _ in walk(tree)]
    assert orders[0] == 1
    assert max(orders) == order
    assert all(after <= before + 1 for before, after in itertools.pairwise(orders))
