"""What the work on a block has to say: a warning at once, or brought to where it is seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listening: ContextVar[list[Warning] | None] = ContextVar("_listening", default=None)


def tell(notice: Warning) -> None:
    """Warn, unless somebody listens.

    Parameters
    ----------
    notice : Warning
        Of a class of `scatdask.errors`.
    """
    heard = _listening.get()
    if heard is None:
        warnings.warn(notice, stacklevel=3)
    elif str(notice) not in map(str, heard):
        heard.append(notice)


@contextmanager
def listening() -> Iterator[list[Warning]]:
    """Yield a list that takes what is told in this context, such as on a worker far away.

    To catch warnings would be no way: they are the whole process's, and other threads have theirs.
    """
    heard: list[Warning] = []
    token = _listening.set(heard)
    try:
        yield heard
    finally:
        _listening.reset(token)
