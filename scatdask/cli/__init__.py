"""The command line: a thin layer over `Job`, and a demonstration that needs no network."""

from scatdask.cli.group import main

__all__ = ["main"]
