"""The page: one HTML document that needs nothing else."""

from __future__ import annotations

from importlib.resources import files

from scatdask._version import __version__
from scatdask.archive.report import sections
from scatdask.archive.report.elements import element, to_html
from scatdask.archive.report.head import STATES, done_share, head
from scatdask.archive.report.summary import Summary
from scatdask.archive.report.units import moment

# By this a later report knows a page that it may write over.
GENERATOR = "scatdask report"


def render(summary: Summary) -> str:
    """Return the page of a job.

    Parameters
    ----------
    summary : Summary

    Returns
    -------
    str
        HTML without any reference to other files or hosts; less than a megabyte, however many
        blocks there are.
    """
    name = summary.target.rstrip("/").rsplit("/", 1)[-1]
    parts = (
        head(summary, name),
        sections.failures(summary),
        sections.block_maps(summary),
        sections.throughput(summary),
        sections.plan_against_measured(summary),
        sections.retries(summary),
        sections.versions(summary),
        sections.runs(summary),
        sections.computed(summary),
    )
    style = files("scatdask.archive.report").joinpath("page.css").read_text("utf-8")
    document = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="generator", content=GENERATOR),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{name}: {STATES[summary.state][1]}, {done_share(summary)} done"),
            element("link", rel="icon", href="data:,"),  # or browsers ask a server for one
            element("style", style),
        ),
        element(
            "body",
            element("main", parts),
            element(
                "footer",
                f"Made by scatdask {__version__} from the ledger, as it was at "
                f"{moment(summary.made)}. All times are UTC.",
            ),
        ),
        lang="en",
    )
    return "<!DOCTYPE html>\n" + to_html(document) + "\n"
