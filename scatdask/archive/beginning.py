"""How a run begins: the output is made, or the one that an earlier run began is found."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from scatdask._version import __version__
from scatdask.archive import store
from scatdask.archive.ledger import Ledger
from scatdask.archive.plan import Plan
from scatdask.archive.request import Request
from scatdask.archive.work import Work
from scatdask.errors import OutputExistsError

# Seconds that a run waits for another one that is making the output, or died doing so.
_PATIENCE = 30.0


def prepare(request: Request, *, overwrite: bool) -> tuple[Work, Plan]:
    """Make the output, or find the one that an earlier run began.

    Parameters
    ----------
    request : Request
    overwrite : bool
        Replace an output that exists, whoever wrote it; what is not Zarr is left alone.

    Raises
    ------
    OutputExistsError
        If the output is another job's.
    """
    target, ledger = request.target, Ledger(request.target)
    is_there = target.exists  # asked first: a run writes its record before
    record = None if overwrite else ledger.read()
    plan, empty, encoding = request.plan(record)
    if overwrite:  # only now, when nothing is wrong with the job
        if not ledger.exists():
            store.check_replaceable(target)
        ledger.remove()
        store.remove(target)
    elif record is not None:
        if differing := request.differences(record, plan.variables):
            raise OutputExistsError(
                f"{target.url!r} is the output of another job ({'; '.join(differing)}): name "
                "another output, or run with overwrite=True to replace it"
            )
        if _is_made(ledger, record["output"]) and target.exists:
            return make_work(request, plan, record["output"]), plan
    elif is_there:
        raise OutputExistsError(
            f"{target.url!r} exists, and no ledger beside it says that a job wrote it: name "
            "another output, or run with overwrite=True to replace it"
        )
    left = None if record is None else record["output"]
    output = _begin(request, ledger, plan, left)
    if output is None:
        if not _wait_for(lambda: (ledger.read() or {}).get("output", left) != left):
            raise OutputExistsError(
                f"another run is making {target.url!r}, or died doing so: wait for it, or "
                "run with overwrite=True"
            )
        return prepare(request, overwrite=False)
    store.create(target, empty, encoding)
    ledger.mark_created(output)
    return make_work(request, plan, output), plan


def make_work(request: Request, plan: Plan, output: str) -> Work:
    """Return what the workers of a new run need to know."""
    run = uuid.uuid4().hex
    transform, layouts = request.transform, plan.layouts
    return Work(request.source, request.target, transform, layouts, plan.names, run, output)


def _is_made(ledger: Ledger, output: str) -> bool:
    """Say whether an output was made, after a wait for another run that may be doing it."""
    return _wait_for(lambda: ledger.is_created(output))


def _begin(request: Request, ledger: Ledger, plan: Plan, left: str | None) -> str | None:
    """Begin the ledger of a new output; None if another run was first."""
    output = uuid.uuid4().hex
    record = {
        **request.identity(plan.variables),
        "layouts": [layout.to_dict() for layout in plan.layouts],
        "output": output,
        "scatdask_version": __version__,
    }
    return output if ledger.begin(record, after=left) else None


def _wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False if it does not within the patience of a run."""
    until = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
