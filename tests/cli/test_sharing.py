from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import xarray as xr
from click.testing import Result

Call = Callable[..., Result]
TRANSFORM = ("--dim", "time", "-J", "6", "-Q", "2", "--memory", "154 MiB")


def document(result: Result) -> dict:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_ranges_make_what_one_run_makes(scatdask: Call, source: str, target: str) -> None:
    blocks = document(scatdask("init", source, target, *TRANSFORM, "--json"))["blocks"]
    assert blocks > 1
    late = scatdask("run", source, target, "--block-range", f"1:{blocks}", "--json")
    assert document(late)["computed"] == blocks - 1
    early = scatdask("finalise", source, target)
    assert early.exit_code == 1
    assert "blocks are missing" in early.stderr
    assert f"{blocks - 1} of {blocks} blocks done" in early.stdout
    assert document(scatdask("run", source, target, "--block-range", "0:1", "--json"))
    assert document(scatdask("finalise", source, target, "--json"))["is_complete"]
    whole = f"{target}.whole"
    assert scatdask("run", source, whole, *TRANSFORM).exit_code == 0
    with xr.open_zarr(target) as got, xr.open_zarr(whole) as expected:
        xr.testing.assert_equal(got, expected)


def test_range_of_an_output_that_was_not_made(scatdask: Call, source: str, target: str) -> None:
    result = scatdask("run", source, target, *TRANSFORM, "--block-range", "0:1")
    assert result.exit_code == 2
    assert "make it with `scatdask init` first" in result.stderr


@pytest.mark.parametrize("text", ["5", "a:b", "1:2:3", ":"])
def test_what_is_no_range(scatdask: Call, source: str, target: str, text: str) -> None:
    result = scatdask("run", source, target, *TRANSFORM, "--block-range", text)
    assert result.exit_code == 2
    assert "no range of blocks such as 0:500" in result.stderr


def test_overwriting_belongs_to_init(scatdask: Call, source: str, target: str) -> None:
    words = ("--block-range", "0:1", "--overwrite")
    result = scatdask("run", source, target, *TRANSFORM, *words)
    assert result.exit_code == 2
    assert "`scatdask init`" in result.stderr


def test_one_block_after_the_other(scatdask: Call, source: str, target: str) -> None:
    words = ("--scheduler", "synchronous", "--json")
    found = document(scatdask("run", source, target, *TRANSFORM, *words))
    assert found["computed"] == found["blocks"]
