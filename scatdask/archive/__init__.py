"""Zarr to Zarr, for archives of any size."""

from scatdask.archive.job import Job, Report, Status
from scatdask.archive.plan import Plan
from scatdask.archive.verify import Verification

__all__ = ["Job", "Plan", "Report", "Status", "Verification"]
