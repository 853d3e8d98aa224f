"""Blocks in the dashboard of a real cluster, and in what it tells Prometheus."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest

from scatdask.archive.metrics import meter_receipts, run_annotations
from scatdask.archive.receipts import Receipt
from tests.archive.conftest import make_job


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def receipt(block: int) -> Receipt:
    return Receipt(
        first=2 * block,
        last=2 * block + 1,
        read=0.25,
        compute=0.5,
        write=0.125,
        bytes_read=1000,
        bytes_written=10,
    )


def task(block: int) -> None:
    meter_receipts([receipt(block), receipt(block + 100)])


def metrics_of(span: str, dask_scheduler: distributed.Scheduler | None = None) -> dict[Any, float]:
    found = dask_scheduler.extensions["spans"].spans_search_by_name[(span,)]
    return {"spans": len(found), **(found[-1].cumulative_worker_metrics if found else {})}


def wait_for_blocks(client: distributed.Client, blocks: int, spans: int) -> dict[Any, float]:
    """Return the metrics of the latest run, once workers have told the scheduler all of them."""
    deadline = time.monotonic() + 30
    while True:
        found = client.run_on_scheduler(metrics_of, "scatdask")
        if found.get(("execute", "scat-block", "blocks", "count")) == blocks:
            assert found["spans"] == spans
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)  # they do with their heartbeats


def test_seconds_bytes_and_blocks_of_a_run_in_the_dashboard(client: distributed.Client) -> None:
    annotations = run_annotations()
    for block in range(4):  # submitted one by one, as a run does
        with dask.annotate(**annotations):
            future = client.submit(task, block, key=("scat-block-0123abcd", block))
        future.result()
    found = wait_for_blocks(client, 16, spans=1)
    expected = {
        ("read", "seconds"): 2.0,
        ("compute", "seconds"): 4.0,
        ("write", "seconds"): 1.0,
        ("read", "bytes"): 8000,
        ("write", "bytes"): 80,
        ("blocks", "count"): 16,
    }
    for key, value in expected.items():
        assert found["execute", "scat-block", *key] == value


def test_a_run_is_metered(client: distributed.Client, archive: Path) -> None:
    before = client.run_on_scheduler(metrics_of, "scatdask").get("spans", 0)
    report = make_job(archive).run(client)
    found = wait_for_blocks(client, report.computed, spans=before + 1)
    assert found["execute", "scat-block", "read", "bytes"] == report.bytes_read
    assert found["execute", "scat-block", "write", "bytes"] == report.bytes_written


def test_tasks_have_a_name_in_prometheus(client: distributed.Client) -> None:
    futures = [client.submit(task, i, key=("scat-block-4567abcd", i)) for i in range(3)]
    distributed.wait(futures)
    url = client.dashboard_link.replace("/status", "/metrics")
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    name = 'dask_scheduler_prefix_state_totals_total{state="memory",task_prefix_name="scat-block"}'
    (count,) = [float(line.split()[-1]) for line in lines if line.startswith(name)]
    assert count >= 3


def test_nothing_outside_of_a_task() -> None:
    task(0)
    meter_receipts([])


def test_other_tasks_are_in_no_span_of_ours(client: distributed.Client) -> None:
    run_annotations()
    assert "span" not in dask.get_annotations()
