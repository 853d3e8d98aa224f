"""From exceptions to lines."""

from __future__ import annotations

import errno
import warnings

import pytest

from scatdask.cli.failures import brief_warnings, exit_code, message
from scatdask.errors import ShortBlocksWarning


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("run with overwrite=True to replace it", "run with --overwrite to replace it"),
        ("make it with init() first", "make it with `scatdask init` first"),
        ('run with changed="recompute" to', 'run with --changed "recompute" to'),
        ('as in memory="152 MiB", or', 'as in --memory "152 MiB", or'),
        ('such as Job(..., memory="4GB")', 'such as --memory "4GB"'),
        ("give a smaller memory=, or larger", "give a smaller --memory, or larger"),
        ("the job less (memory=)", "the job less (--memory)"),
        ('with device="cpu"', 'with --device "cpu"'),
        ('say missing_chunks="fill"', 'say --missing-chunks "fill"'),
        ("selected paths, or reduce=", "selected paths, or --reduce-window"),
        ("overwrite=True and changed= concern", "--overwrite and --changed concern"),
        ("memory='lots' is not a size", "memory='lots' is not a size"),
        ("variable='v' is not a variable", "variable='v' is not a variable"),
    ],
)
def test_ways_out_are_those_of_the_command_line(python: str, shell: str) -> None:
    assert message(ValueError(python)) == shell


def test_store_that_does_not_answer_is_no_bad_input() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert exit_code(reset) == exit_code(TimeoutError()) == 1
    told = ValueError("no dask scheduler answers")
    told.__cause__ = reset
    assert exit_code(told) == exit_code(FileNotFoundError()) == 2


def test_warnings_are_one_line_without_code() -> None:
    text = "short, unless it is run once with overwrite=True"
    with brief_warnings():
        ours = warnings.formatwarning(ShortBlocksWarning(text), ShortBlocksWarning, "a.py", 7)
        others = warnings.formatwarning(UserWarning(text), UserWarning, "a.py", 7)
    assert ours == "scatdask: warning: short, unless it is run once with --overwrite\n"
    assert others.startswith("a.py:7: UserWarning: short")
    assert warnings.formatwarning(text, ShortBlocksWarning, "a.py", 7).startswith("a.py:7")
