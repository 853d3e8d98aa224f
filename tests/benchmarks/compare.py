"""Two or more sides of a comparison, each in its own process, timed in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
# Blocks are what runs in parallel: every library is to use one thread.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
# A call shorter than this is repeated within a round.
_ROUND_SECONDS = 0.3


def one_thread_environment() -> dict[str, str]:
    """Return the environment variables of a process whose libraries use one thread."""
    return {**os.environ, **ONE_THREAD}


def in_process(script: str, *arguments: Any) -> Any:
    """Run a script of this folder with JSON arguments and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, HERE / script, *map(json.dumps, arguments)],
        env=one_thread_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


class Side:
    """A process that runs one side; see `sides`.

    Parameters
    ----------
    side : str
        Its name in `sides.SIDES`.
    case : dict
        Sizes and parameters.
    python : path
        Interpreter of the environment to run it in.
    """

    def __init__(self, side: str, case: dict[str, Any], python: str | Path = sys.executable):
        self._process = subprocess.Popen(
            [python, HERE / "sides.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=one_thread_environment(),
        )
        self.info = self._ask({"do": "prepare", "side": side, "case": case})
        # The first call is slower than the others, by imports and filters, so no measure of them.
        self.slow = self.info["first_seconds"] > 10 * _ROUND_SECONDS
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a side ended on {request}; what it said is above")
        return json.loads(answer)

    def time(self, calls: int) -> tuple[float, float]:
        """Return the mean wall-clock and processor seconds of a call, from some calls in a row."""
        answer = self._ask({"do": "time", "calls": calls})
        return statistics.mean(answer["wall"]), statistics.mean(answer["cpu"])

    def round(self, calls: int) -> None:
        """Time some calls and remember."""
        wall, cpu = self.time(calls)
        self.wall.append(wall)
        self.cpu.append(cpu)


def in_turn(sides: list[Side], rounds: int) -> None:
    """Time all sides in turn, a few calls each where calls are short."""
    calls = [1 if s.slow else max(1, round(_ROUND_SECONDS / s.time(1)[0])) for s in sides]
    for _ in range(rounds):
        for side, n in zip(sides, calls, strict=True):
            side.round(n)


def ratios(a: list[float], b: list[float]) -> dict[str, float]:
    """Return median and minimum of the ratios a / b of neighbouring rounds."""
    each = [x / y for x, y in zip(a, b, strict=True)]
    return {"median": statistics.median(each), "minimum": min(each)}
