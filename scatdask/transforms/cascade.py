"""A cascade of wavelets along one axis: its paths, and the tree that a kernel walks.

Wavelets of one subsampling that follow the same parents and have the same descendants are one
branch, so that a kernel can take several at once. A tree holds what some wanted path needs, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from scatdask.filters import Wavelet

# The wavelets of a path, one index for each order.
Path = tuple[int, ...]


@dataclass(frozen=True)
class Branch1D:
    """Wavelets of one subsampling that follow the same parents, and the branches after them.

    Attributes
    ----------
    wavelets : tuple of int
        Indices in the bank of their order, increasing.
    log2_rate : int
        Log2 of the subsampling of their outputs.
    wanted : bool
        Whether the paths that end here are wanted, or only those that go on.
    children : tuple of Branch1D
        What follows each of the wavelets.
    """

    wavelets: tuple[int, ...]
    log2_rate: int
    wanted: bool
    children: tuple[Branch1D, ...]


def all_paths(banks: Sequence[Sequence[Wavelet]]) -> tuple[Path, ...]:
    """Return the paths of strictly increasing scale, by order, then by index.

    Parameters
    ----------
    banks : sequence of sequence of Wavelet
        One for each order.

    Returns
    -------
    tuple of tuple of int
        The first is the empty path, of order zero.

    Examples
    --------
    >>> from scatdask.filters import morlet_bank
    >>> paths = all_paths([morlet_bank(4, 1)] * 3)
    >>> [paths.index(path) for path in ((), (0,), (4,), (0, 3), (3, 4), (0, 3, 4))]
    [0, 1, 5, 6, 12, 13]
    """
    level: list[Path] = [()]
    paths = [*level]
    coarsest: dict[Path, int] = {(): -1}
    for bank in banks:
        level = [
            (*path, n)
            for path in level
            for n, wavelet in enumerate(bank)
            if wavelet.j > coarsest[path]
        ]
        coarsest = {path: bank[path[-1]].j for path in level}
        paths += level
    return tuple(paths)


def cascade(
    banks: Sequence[Sequence[Wavelet]], paths: Sequence[Path], log2_rate: Callable[[int], int]
) -> tuple[Branch1D, ...]:
    """Arrange what some paths need as a tree.

    Parameters
    ----------
    banks : sequence of sequence of Wavelet
        One for each order.
    paths : sequence of tuple of int
        Those that are wanted.
    log2_rate : callable
        From the ``j`` of a wavelet to log2 of the subsampling of its output.

    Returns
    -------
    tuple of Branch1D
        Those of the first order.
    """
    wanted = set(paths)
    following: dict[Path, set[int]] = {}
    for path in paths:
        for order, n in enumerate(path):
            following.setdefault(path[:order], set()).add(n)

    def after(path: Path) -> tuple[Branch1D, ...]:
        single = [
            (n, (log2_rate(banks[len(path)][n].j), (*path, n) in wanted, after((*path, n))))
            for n in sorted(following.get(path, ()))
        ]
        return tuple(
            Branch1D(tuple(n for n, _ in group), *same)
            for same, group in groupby(single, key=lambda item: item[1])
        )

    return after(())


def walk(
    branches: Sequence[Branch1D], order: int = 1, log2_rate: int = 0, parents: int = 1
) -> Iterator[tuple[Branch1D, int, int, int]]:
    """Go through the branches of a tree, parents before children.

    Yields
    ------
    branch : Branch1D
    order : int
    log2_rate : int
        Log2 of the subsampling of the parents' outputs.
    parents : int
        How many signals each of the branch's wavelets is applied to, for each row.
    """
    for branch in branches:
        yield branch, order, log2_rate, parents
        below = parents * len(branch.wavelets)
        yield from walk(branch.children, order + 1, branch.log2_rate, below)
