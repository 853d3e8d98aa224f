"""Zarr to Zarr, for archives of any size."""

from scatdask.archive.job import Job
from scatdask.archive.plan import Plan
from scatdask.archive.reduction import Reduction
from scatdask.archive.report import write_report
from scatdask.archive.reports import Report, Status, read_status
from scatdask.archive.verify import Verification

__all__ = [
    "Job",
    "Plan",
    "Reduction",
    "Report",
    "Status",
    "Verification",
    "read_status",
    "write_report",
]
