"""From exceptions to one clear line and an exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import click

from scatdask.errors import (
    MissingChunksError,
    OutputBusyError,
    OutputExistsError,
    ScatdaskError,
    SourceChangedError,
)

FAILED = 1
BAD_INPUT = 2
OTHER_JOB = 3
INTERRUPTED = 130

EXIT_CODES = """\b
Exit codes:
  0    all is well
  1    the work failed: blocks raised, workers were lost, a verification found differences or
       could not compare
  2    wrong usage or bad input; nothing was computed
  3    the output belongs to another job, or another run is writing it
  130  interrupted; what was finished is recorded
"""

# What bad input raises, here and in the libraries below. Anything else is a bug, and its
# traceback is wanted.
_BAD_INPUT = (
    ValueError,
    TypeError,
    KeyError,
    OSError,
    MemoryError,
    ImportError,
    MissingChunksError,
    SourceChangedError,
)


# What messages tell users of Python to say, and what it is on the command line.
_FLAGS = [
    (re.compile(pattern), flag)
    for pattern, flag in (
        (r"Job\(\.\.\., (\w+=(?:\"[^\"]*\"|[^\s)]*))\)", r"\1"),
        (r"(?<=and )changed=(?= )", "--changed"),
        (r"\boverwrite=True\b", "--overwrite"),
        (r"\breduce=(?!\w)", "--reduce-window"),
        (r"\bmemory=(?=[\s,);:.]|$)", "--memory"),
        (r"\b(memory|changed|device)=(?=\")", r"--\1 "),
        (r"\bmissing_chunks=(?=\")", "--missing-chunks "),
        (r"(?<=unless with )variable=", "--variable "),
        (r"\b(init|finalise)\(\)", r"`scatdask \1`"),
    )
]


class Failure(Exception):
    """A failure that is told in one line.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    exit_code : int
    is_told : bool, default False
        Whether the result that standard output has got says so already.
    """

    def __init__(self, message: str, exit_code: int, *, is_told: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.is_told = is_told


def exit_code(error: BaseException) -> int:
    """Return the exit code that tells what kind of failure an exception is."""
    if isinstance(error, Failure):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OutputExistsError | OutputBusyError):
        return OTHER_JOB
    if isinstance(error, OSError) and _may_pass(error):
        return FAILED
    return BAD_INPUT if isinstance(error, _BAD_INPUT) else FAILED


def _may_pass(error: OSError) -> bool:
    """Say whether a store did not answer, which is no fault of the input."""
    from scatdask.archive.faults import Fault, fault_of

    return fault_of(error) is Fault.TRANSIENT


def message(error: BaseException) -> str:
    """Return what an exception says, in one paragraph, with the flags of the command line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    # str() of a KeyError is the repr of its message.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return _in_flags(" ".join(text.split())) or type(error).__name__


def _in_flags(text: str) -> str:
    for pattern, flag in _FLAGS:
        text = pattern.sub(flag, text)
    return text


@contextlib.contextmanager
def brief_warnings() -> Iterator[None]:
    """Print warnings of ours as one line, with the flags of the command line."""
    usual = warnings.formatwarning

    def brief(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if category.__module__ != ScatdaskError.__module__:
            return usual(message, category, filename, lineno, line)
        return f"scatdask: warning: {_in_flags(str(message))}\n"

    warnings.formatwarning = brief
    try:
        yield
    finally:
        warnings.formatwarning = usual


@contextlib.contextmanager
def _quiet_interrupts() -> Iterator[None]:
    """Silence all logs from the moment of Ctrl-C.

    The event loops of zarr and distributed would tell at length what they were about.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        logging.disable()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class GuardedCommand(click.Command):
    """A command whose expected exceptions end it with one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command."""
        try:
            with _quiet_interrupts(), brief_warnings():
                return super().invoke(ctx)
        except (*_BAD_INPUT, ScatdaskError, Failure, KeyboardInterrupt) as error:
            if ctx.find_root().params.get("traceback"):
                raise
            text, code = message(error), exit_code(error)
            click.echo(f"scatdask: {text}", err=True)
            if ctx.params.get("as_json") and not getattr(error, "is_told", False):
                click.echo(json.dumps({"error": text, "exit_code": code}))
            ctx.exit(code)
