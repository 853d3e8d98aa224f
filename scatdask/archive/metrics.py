"""What distributed's dashboard shows of blocks.

Seconds and bytes go to its *fine performance metrics*, where each task otherwise is one lump of
CPU time, and the tasks of a run are one *span* there. Both are documented, and called experimental
by distributed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dask

from scatdask.archive.receipts import Receipt

_ACTIVITIES = ("read", "compute", "write")


def meter_receipts(receipts: Iterable[Receipt]) -> None:
    """Add what blocks took to the metrics of the task that runs here; nothing outside of one.

    To be called in the thread of the task, at its end. Time that is counted here is taken off the
    CPU and other time that distributed measures by itself.

    Parameters
    ----------
    receipts : iterable of Receipt
    """
    from distributed.metrics import context_meter

    receipts = list(receipts)
    if not receipts:
        return
    for activity in _ACTIVITIES:
        seconds = sum(getattr(receipt, activity) for receipt in receipts)
        context_meter.digest_metric(activity, seconds, "seconds")
    for activity in ("read", "write"):
        field = "bytes_read" if activity == "read" else "bytes_written"
        n_bytes = sum(getattr(receipt, field) for receipt in receipts)
        context_meter.digest_metric(activity, n_bytes, "bytes")
    blocks = sum(receipt.last - receipt.first + 1 for receipt in receipts)
    context_meter.digest_metric("blocks", blocks, "count")


def run_annotations() -> dict[str, Any]:
    """Return annotations that put all tasks of a run into one span of the dashboard.

    To be asked for once a run, and set with `dask.annotate` wherever tasks are submitted: each
    `distributed.span` would be a span of its own, and the scheduler keeps them all.
    """
    import distributed

    with distributed.span("scatdask"):
        return dict(dask.get_annotations())
