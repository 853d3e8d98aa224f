from __future__ import annotations

import pytest

from scatdask.archive.speed import _example, measured_speed
from scatdask.cli.parameters import TRANSFORMS


@pytest.mark.parametrize("kind", TRANSFORMS.values())
def test_each_transform_is_measured_by_one_of_its_kind(kind):
    assert type(_example(kind)[0]) is kind
    assert measured_speed(kind) > 1e6
