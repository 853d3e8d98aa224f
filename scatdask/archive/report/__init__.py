"""What a job did and how far it is, as a page for people."""

from scatdask.archive.report.file import write_report
from scatdask.archive.report.page import render
from scatdask.archive.report.summarise import summarise
from scatdask.archive.report.summary import Summary

__all__ = ["Summary", "render", "summarise", "write_report"]
