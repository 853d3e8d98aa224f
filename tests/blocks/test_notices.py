from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from scatdask.blocks import listening, tell
from scatdask.errors import DeviceMemoryWarning


def test_what_nobody_listens_to_is_a_warning():
    with pytest.warns(DeviceMemoryWarning, match="too little"):
        tell(DeviceMemoryWarning("too little"))


def test_each_listener_hears_what_is_told_in_its_context_once():
    def task(number: int) -> list[str]:
        with listening() as heard:
            for _ in range(2):
                other.submit(copy_context().run, tell, UserWarning(f"of {number}")).result()
        return list(map(str, heard))

    with ThreadPoolExecutor(4) as threads, ThreadPoolExecutor(1) as other:
        assert list(threads.map(task, range(8))) == [[f"of {number}"] for number in range(8)]
