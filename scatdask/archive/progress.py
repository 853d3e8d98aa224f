"""The bar that shows how far a run is."""

from __future__ import annotations

import io
import sys
from typing import Any

from tqdm import tqdm

from scatdask.archive.report.notebook import progress_html
from scatdask.archive.report.units import duration

# Seconds between two pictures in a notebook.
_NOTEBOOK_SECONDS = 0.5


def progress_bar(*, total: int, done: int, shown: bool | None) -> tqdm:
    """Return a bar of blocks: a drawing in Jupyter, a line of text elsewhere.

    Parameters
    ----------
    total, done : int
        Blocks in all, and those that are done already.
    shown : bool or None
        None for where somebody looks: in Jupyter, or where standard error is a terminal.
    """
    blocks = {"total": total, "initial": done, "unit": "block"}
    if "ipykernel.zmqshell" in sys.modules and shown is not False:
        return _NotebookBar(**blocks, mininterval=_NOTEBOOK_SECONDS, file=io.StringIO())
    return tqdm(**blocks, disable=None if shown is None else not shown)


class _NotebookBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A bar that Jupyter draws anew in its place, and keeps as it is when the notebook is saved.

    Lines of text would add up there to millions in a week without anybody watching, and the
    widgets of tqdm need ipywidgets and are gone in a saved notebook.
    """

    _handle: Any = None

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw the bar: what tqdm calls whenever it is to be seen."""
        from IPython.display import HTML, display

        state = self.format_dict
        notes = [f"{duration(state['elapsed'])} so far"]
        if state["postfix"]:
            notes.append(state["postfix"])
        if state["rate"] and state["n"] < state["total"]:
            notes.append(f"{duration((state['total'] - state['n']) / state['rate'])} left")
        drawn = HTML(progress_html(state["n"], state["total"], ", ".join(notes)))
        if self._handle is None:
            self._handle = display(drawn, display_id=True)
        else:
            self._handle.update(drawn)
