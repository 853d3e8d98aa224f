"""How a run begins: the output is made, or the one that an earlier run began is found."""

from __future__ import annotations

import uuid
from dataclasses import replace

from scatdask._version import __version__
from scatdask.archive import store
from scatdask.archive.ledger import Ledger
from scatdask.archive.lock import Lock
from scatdask.archive.plan import Plan
from scatdask.archive.request import Request
from scatdask.archive.work import Work
from scatdask.errors import OutputExistsError


def prepare(request: Request, lock: Lock, *, overwrite: bool) -> tuple[Work, Plan]:
    """Make the output, or find the one that an earlier run began.

    Parameters
    ----------
    request : Request
    lock : Lock
        Taken here, once nothing is wrong with the job.
    overwrite : bool
        Replace an output that exists, whoever wrote it; what is not Zarr is left alone.

    Raises
    ------
    OutputExistsError
        If the output is another job's.
    OutputBusyError
        If another run is writing it.
    """
    ledger = Ledger(request.target)
    record = None if overwrite else ledger.read()
    plan, empty, encoding = request.plan(record)
    if overwrite:
        if not ledger.exists():
            store.check_replaceable(request.target)
    elif record is not None:
        request.check_same(record, plan.variables)
    elif request.target.exists:
        raise OutputExistsError(
            f"{request.target.url!r} exists, and no ledger beside it says that a job wrote it: "
            "name another output, or run with overwrite=True to replace it"
        )
    lock.acquire()
    if not overwrite and ledger.read() != record:  # another run began it since
        record = ledger.read()
        plan, empty, encoding = request.plan(record)
        if record is not None:
            request.check_same(record, plan.variables)
    if record is not None and record["is_made"] and request.target.exists:
        return make_work(request, plan, record["output"]), plan
    ledger.remove()
    output = uuid.uuid4().hex
    record = {
        **request.identity(plan.variables),
        "layouts": [layout.to_dict() for layout in plan.layouts],
        "plan": plan.to_dict(),
        "output": output,
        "is_made": False,
        "scatdask_version": __version__,
    }
    # Said before anything is written, so that what a run leaves that dies here is known as ours.
    ledger.write(record)
    store.remove(request.target)
    store.create(request.target, empty, encoding)
    ledger.write({**record, "is_made": True})
    return make_work(request, plan, output), plan


def find(request: Request) -> tuple[Work, Plan]:
    """Find the output that `prepare` made.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OutputExistsError
        If it is another job's.
    """
    record = Ledger(request.target).read()
    if record is None or not record["is_made"]:
        raise FileNotFoundError(
            f"there is no output at {request.target.url!r} yet: make it with init() first"
        )
    plan = request.plan(record)[0]
    request.check_same(record, plan.variables)
    return make_work(request, plan, record["output"]), plan


def make_work(request: Request, plan: Plan, output: str) -> Work:
    """Return what the workers of a new run need to know."""
    run = uuid.uuid4().hex
    transform, layouts = request.transform, plan.layouts
    source = replace(request.source, is_complete=request.missing_chunks == "error")
    return Work(source, request.target, transform, layouts, plan.names, run, output)
