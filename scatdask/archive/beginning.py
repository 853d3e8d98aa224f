"""How a run begins: the output is made, or the one that an earlier run began is found."""

from __future__ import annotations

import uuid
import warnings
from typing import Any

import numpy as np

from scatdask._version import __version__
from scatdask.archive import changes, commits, growth, receipts, store
from scatdask.archive.layout import Layout
from scatdask.archive.ledger import Ledger
from scatdask.archive.lock import Lock
from scatdask.archive.plan import Plan
from scatdask.archive.preflight import check_permission, check_room
from scatdask.archive.reducing import create_partials, extend_partials
from scatdask.archive.request import Prospect, Request
from scatdask.archive.stores import sweep_partial
from scatdask.archive.work import Work
from scatdask.errors import OutputExistsError, SourceChangedError, StatesRemadeWarning

_MOST_NAMED = 5


def prepare(
    request: Request, lock: Lock, *, overwrite: bool, changed: str = "error"
) -> tuple[Work, Plan]:
    """Make the output, or find the one that an earlier run began, and extend it if need be.

    Parameters
    ----------
    request : Request
    lock : Lock
        Taken here, once nothing is wrong with the job.
    overwrite : bool
        Replace an output that exists, whoever wrote it; what is not Zarr is left alone.
    changed : {"error", "recompute"}
        What to do where the source was written anew since the output was begun.

    Raises
    ------
    OutputExistsError
        If the output is another job's.
    OutputBusyError
        If another run is writing it.
    SourceChangedError
        If chunks of the source have changed.
    OSError
        If the disk of the output has no room for it, or it cannot be written.
    """
    ledger = Ledger(request.target)
    for place in (request.target, ledger.location):
        check_permission(place)
    record = None if overwrite else ledger.read()
    prospect = request.consider(record)
    if overwrite:
        if not _is_half_made(ledger):
            store.check_replaceable(request.target)
    elif record is not None:
        request.check_same(prospect)
    elif request.target.exists:
        raise OutputExistsError(
            f"{request.target.name!r} exists, and no ledger beside it says that a job wrote it: "
            "name another output, or run with overwrite=True to replace it"
        )
    # What is replaced makes room of an unknown size, and states of windows compress beyond any
    # guess.
    if request.reduction is None and not (overwrite and request.target.exists):
        check_room(request.target, _bytes_to_write(ledger, record, prospect))
    lock.acquire()
    if not overwrite and ledger.read() != record:  # another run began it since
        record = ledger.read()
        prospect = request.consider(record)
        request.check_same(prospect)
    if record is not None and record["is_made"] and request.target.exists:
        sweep_partial(request.target)
        output = _continue(request, ledger, record, prospect, changed)
    else:
        output = _make(request, ledger, prospect)
    return make_work(request, prospect.plan, output), prospect.plan


def _is_half_made(ledger: Ledger) -> bool:
    """Say whether a run died while it made or replaced the output: anything may be left of it."""
    try:
        record = ledger.read()
    except ValueError:
        return False
    return record is not None and not record["is_made"]


def _bytes_to_write(ledger: Ledger, record: dict[str, Any] | None, prospect: Prospect) -> int:
    """Return the bytes of the blocks that are not done yet, before compression."""
    written = 0
    if record is not None and prospect.former is not None:
        blocks = sum(layout.n_blocks for layout in prospect.former)
        written = int(ledger.history(record["output"], blocks)["bytes_written"].sum())
    return max(0, prospect.plan.bytes_written - written)


def _make(request: Request, ledger: Ledger, prospect: Prospect) -> str:
    """Make an output; return its identity."""
    ledger.remove()
    record = _record(request, prospect, is_made=False)
    # Said before anything is written, so that what a run leaves that dies here is known as ours.
    ledger.write(record)
    store.remove(request.target)
    with commits.made(request.target, record["output"]) as target:
        store.create(target, prospect.empty, prospect.encoding)
    create_partials(request.target, prospect.plan)
    ledger.keep(record["output"], changes.to_bytes(prospect.digests))
    ledger.write({**record, "is_made": True})
    return str(record["output"])


def _continue(
    request: Request, ledger: Ledger, record: dict[str, Any], prospect: Prospect, changed: str
) -> str:
    """Take an output up where it was left; return its identity.

    It is another one if the source has grown or changed: a worker of an earlier run that is still
    at work somewhere holds samples of before.
    """
    plan, former = prospect.plan, prospect.former
    assert former is not None
    output = str(record["output"])
    commits.check_held(request.target, output)
    kept = ledger.kept(output)
    again = _changed_blocks(request, plan, former, changes.from_bytes(kept), prospect, changed)
    if plan.layouts == former and not again.any():
        if record.get("missing_chunks") != request.missing_chunks:
            ledger.amend(output, missing_chunks=request.missing_chunks)
        return output
    pairs = list(zip(former, plan.layouts, strict=True))
    transform = request.transform
    if any(a.output_chunks(transform) != b.output_chunks(transform) for a, b in pairs):
        return _make(request, ledger, prospect)  # blocks are whole signals, and those are others
    if not extend_partials(request.target, plan):
        warnings.warn(
            f"blocks of {request.target.name!r} touch more windows on the longer axis than there "
            "is room for: all are computed anew",
            StatesRemadeWarning,
            stacklevel=4,
        )
        return _make(request, ledger, prospect)
    if plan.layouts != former:
        request.warn_of_short_blocks(plan)
    rows = receipts.without(ledger.history(output, len(again)), again)
    numbers, first = [], 0
    for old, new in pairs:
        number = growth.new_numbers(transform, old, new)
        numbers.append(np.where(number >= 0, number + first, -1))
        first += new.n_blocks
    grown = _record(request, prospect, is_made=True)
    with commits.made(request.target, grown["output"], former=output) as target:
        store.extend(
            target, prospect.empty, prospect.encoding, _written(plan), prospect.source_names
        )
    ledger.begin(grown["output"], growth.renumbered(rows, np.concatenate(numbers)))
    ledger.keep(grown["output"], changes.to_bytes(prospect.digests))
    ledger.write(grown)  # now it is the longer output; before, it is the shorter one with a tail
    ledger.tidy(grown["output"])
    commits.discard(request.target, output)
    return str(grown["output"])


def _written(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """Return the arrays that the output consists of."""
    return plan.names if plan.reducing is None else (tuple(plan.output_shapes()),)


def _changed_blocks(
    request: Request,
    plan: Plan,
    former: tuple[Layout, ...],
    old: dict[str, np.ndarray],
    prospect: Prospect,
    changed: str,
) -> np.ndarray:
    """Return which of the former blocks read from chunks of the source that have changed.

    Raises
    ------
    SourceChangedError
        If there are any, and they are not to be computed again.
    """
    parts = []
    for layout, stored in zip(former, plan.stored, strict=True):
        name, now = layout.variable, prospect.digests[layout.variable]
        objects = request.source.changed(old[name], now, stored, layout.sizes)
        if len(objects) and changed == "error":
            names = request.source.object_names(name, objects[:_MOST_NAMED])
            raise SourceChangedError(
                f"{len(objects)} chunks or files of variable {name!r} in {request.source.url!r} "
                "were written anew, or put before others, since this job began, among them "
                f"{', '.join(names)}, and blocks that are done may have been computed from "
                "what they were: run with "
                'changed="recompute" to compute those again that read from them, or with '
                "overwrite=True to begin anew"
            )
        parts.append(request.source.touched(request.transform, layout, stored, objects))
    return np.concatenate(parts)


def _record(request: Request, prospect: Prospect, *, is_made: bool) -> dict[str, Any]:
    """Return what a ledger says of a new output."""
    plan = prospect.plan
    return {
        **prospect.identity,
        "layouts": [layout.to_dict() for layout in plan.layouts],
        **({} if plan.reducing is None else {"slots": list(plan.reducing.slots)}),
        "plan": plan.to_dict(),
        "output": uuid.uuid4().hex,
        "is_made": is_made,
        **({} if request.target.repository is None else {"is_published": False}),
        "scatdask_version": __version__,
    }


def find(
    request: Request, *, check_source: bool = True, as_begun: bool = False
) -> tuple[Work, Plan]:
    """Find the output that `prepare` made.

    Parameters
    ----------
    request : Request
    check_source : bool
        Whether it matters that the source was written anew since.
    as_begun : bool
        Whether it is no matter that the source is longer now: the output is of what it was.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OutputExistsError
        If it is another job's, or the source is longer now, and that matters.
    SourceChangedError
        If chunks of the source have changed.
    """
    ledger = Ledger(request.target)
    record = ledger.read()
    if record is None or not record["is_made"]:
        raise FileNotFoundError(
            f"there is no output at {request.target.name!r} yet: make it with init() first"
        )
    commits.check_held(request.target, str(record["output"]))
    prospect = request.consider(record, as_begun=as_begun)
    request.check_same(prospect)
    if prospect.former != prospect.plan.layouts:
        raise OutputExistsError(
            f"{request.target.name!r} was made for a shorter source: run the job, or extend the "
            "output with init(), first"
        )
    if check_source:
        kept = changes.from_bytes(ledger.kept(str(record["output"])))
        _changed_blocks(request, prospect.plan, prospect.former, kept, prospect, "error")
    return make_work(request, prospect.plan, record["output"]), prospect.plan


def make_work(request: Request, plan: Plan, output: str) -> Work:
    """Return what the workers of a new run need to know."""
    run = uuid.uuid4().hex
    transform, layouts = request.transform, plan.layouts
    source = request.source.strict() if request.missing_chunks == "error" else request.source
    names, reducing = plan.names, plan.reducing
    return Work(source, request.target, transform, layouts, names, run, output, reducing)
