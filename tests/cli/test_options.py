"""What the file systems of source and target are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

from scatdask.archive.locations import Location
from scatdask.cli.options import make_job

Call = Callable[..., Result]
TRANSFORM = ("--transform", "scattering1d", "--dim", "time", "-J", "6")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Location]:
    """Where jobs are from and to."""
    places: list[Location] = []

    def note(options: dict[str, object]) -> object:
        job = make_job(options)
        places.extend([job.request.source.location, job.request.target])
        return job

    monkeypatch.setattr("scatdask.cli.commands.make_job", note)
    return places


def test_options_of_source_and_target_arrive_with_their_types(
    scatdask: Call, told: list[Location], source: str, target: str
) -> None:
    words = ["--source-option", "auto_mkdir=true", "--source-option", 'a={"b": 1.5}']
    result = scatdask(
        "plan",
        f"file://{source}",
        f"file://{target}",
        *TRANSFORM,
        *words,
        "--target-option",
        "endpoint_url=https://objects.example.org/?x=y",
    )
    assert result.exit_code == 0
    assert told[0].options == {"auto_mkdir": True, "a": {"b": 1.5}}
    assert told[1].options == {"endpoint_url": "https://objects.example.org/?x=y"}


def test_a_job_that_has_begun_is_found_with_the_options_of_its_output(
    scatdask: Call, source: str, target: str
) -> None:
    words = (source, f"file://{target}")
    option = ("--target-option", "auto_mkdir=true")
    assert scatdask("run", *words, *TRANSFORM, *option, "--quiet").exit_code == 0
    assert scatdask("status", *words, *option).exit_code == 0
    assert scatdask("run", *words, *option, "--quiet").exit_code == 0


@pytest.mark.parametrize("option", ["anon", "=true"])
def test_option_without_name_or_value(
    scatdask: Call, source: str, target: str, option: str
) -> None:
    result = scatdask("plan", source, target, *TRANSFORM, "--source-option", option)
    assert result.exit_code == 2
    assert "is not KEY=VALUE" in result.stderr


def test_options_are_for_urls(scatdask: Call, source: str, target: str) -> None:
    result = scatdask("plan", source, target, *TRANSFORM, "--source-option", "anon=true")
    assert result.exit_code == 2
    assert "options are for URLs" in result.stderr
