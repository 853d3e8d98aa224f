"""The page in a real browser: what it looks like, and whether it can be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from scatdask.archive.report import render, summarise
from tests.archive.report.synthetic import BEGAN, week

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium"),
]

# Put into a copy of the page, which itself has no script: says what the browser made of it.
PROBE = """
<script>
addEventListener("load", () => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map(
      (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = rgb(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const contrasts = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || element.tagName === "title" || element.tagName === "SCRIPT") continue;
    const style = getComputedStyle(element);
    const ink = rgb(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
    contrasts.push([(a + 0.05) / (b + 0.05), element.textContent.slice(0, 40)]);
  }
  const text = document.createElement("pre");
  text.textContent = JSON.stringify({
    wide: document.documentElement.scrollWidth,
    window: innerWidth,
    fetched: performance.getEntriesByType("resource").length,
    drawings: [...document.querySelectorAll("svg")].map((s) => s.getBoundingClientRect().height),
    contrast: contrasts.sort((x, y) => x[0] - y[0])[0],
    texts: contrasts.length,
  });
  text.id = "probe";
  document.body.append(text);
});
</script>
"""


@dataclass(frozen=True)
class Look:
    found: dict[str, Any]
    image: np.ndarray


def look(folder: Path, width: int, *flags: str) -> Look:
    """Open the page of a week in a window."""
    page, shot = folder / "page.html", folder / "page.png"
    text = render(summarise(week(), "/archive/out.zarr", now=BEGAN + 8.8e5))
    page.write_text(text.replace("</body>", PROBE + "</body>"), "utf-8")
    words = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},1600",
        f"--screenshot={shot}",
        "--dump-dom",
        *flags,
        page.as_uri(),
    ]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="probe">(.*?)</pre>', ended.stdout)
    assert found is not None, ended.stderr
    return Look(json.loads(found[1]), matplotlib.image.imread(shot))


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look(tmp_path_factory.mktemp("light"), 1200)


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look(tmp_path_factory.mktemp("dark"), 500, "--blink-settings=preferredColorScheme=0")


@pytest.mark.parametrize("name", ["light", "dark"])
def test_legible_and_within_the_window(name: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(name).found
    assert found["wide"] <= found["window"]  # what is wider scrolls in a box of its own
    assert found["fetched"] == 0
    assert len(found["drawings"]) == 6
    assert min(found["drawings"]) > 20
    assert found["texts"] > 100
    assert found["contrast"][0] >= 4.5, found["contrast"]


def test_follows_the_light_of_the_desk(light: Look, dark: Look) -> None:
    assert light.image[0, 0, :3].min() > 0.9
    assert dark.image[0, 0, :3].max() < 0.2


def test_colours_are_there(light: Look) -> None:
    done = np.array([0x21, 0x71, 0xB5]) / 255
    failed = np.array([0xD5, 0x5E, 0x00]) / 255
    of = [(np.abs(light.image[..., :3] - color).max(axis=-1) < 0.01) for color in (done, failed)]
    assert of[0].mean() > 0.01
    assert of[1].sum() > 50
