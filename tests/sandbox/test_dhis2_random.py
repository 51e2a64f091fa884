"""Random data value sets, good and bad mixed, answered by real DHIS2: the sandbox answers and stores alike."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from tests.support.dhis2_recording import PASSWORD, metadata_with_superusers

AT_LEAST = 0.99
Case = dict[str, Any]


def read_cases(shared: Path, version: str) -> tuple[datetime, list[Case]]:
    """The server's clock and its cases; a long text is written as <50001 x> in the file."""
    with gzip.open(shared / f"contracts/dhis2/random-{version}.jsonl.gz", "rt") as lines:
        header, *rest = (re.sub(r'"<(\d+) x>"', lambda m: json.dumps("x" * int(m[1])), line) for line in lines)
    return datetime.fromisoformat(json.loads(header)["date"]), [json.loads(line) for line in rest]


@pytest.fixture(scope="module", params=["2.41", "2.43"])
def server(request: pytest.FixtureRequest, shared: Path) -> Iterator[tuple[httpx.Client, list[Case]]]:
    clock, cases = read_cases(shared, request.param)
    app = create_app(metadata_with_superusers(shared), version=request.param, clock=lambda: clock)
    with running(app) as url, httpx.Client(base_url=url, auth=("admin", PASSWORD), timeout=60) as client:
        approval = {"ds": "DsApprove01", "pe": "202609", "ou": "OuFacility1"}
        client.post("/api/dataApprovals", params=approval).raise_for_status()
        yield client, cases


def disagreements(client: httpx.Client, case: Case) -> list[str]:
    """Name what differs for one case: status, summary, counts, conflict codes with rows, stored state."""
    client.post("/sandbox/state", json=case["state_before"]).raise_for_status()
    reply = client.post("/api/dataValueSets", params=case["query"], json=case["body"], auth=(case["user"], PASSWORD))
    seen, wanted = reply.json(), case["reply"]
    facts = {
        "status": (reply.status_code, case["status"]),
        "word": (seen["status"], wanted["status"]),
        "message": (seen.get("message"), wanted.get("message")),
        "summary": (facts_of(seen), facts_of(wanted)),
        "state": (sorted(client.get("/sandbox/state").json(), key=str), sorted(case["state_after"], key=str)),
    }
    return [name for name, (ours, theirs) in facts.items() if ours != theirs]


def facts_of(reply: dict[str, Any]) -> Any:
    """The members of a summary that must agree; only the order of conflicts may differ."""
    summary = reply.get("response") or {}
    conflicts = sorted(json.dumps(each, sort_keys=True) for each in summary.get("conflicts", []))
    rest = {name: summary.get(name) for name in ("status", "importCount", "rejectedIndexes", "dataSetComplete")}
    return rest | {"conflicts": conflicts}


def test_random_data_value_sets_are_answered_and_stored_as_real_servers_did(
    server: tuple[httpx.Client, list[Case]],
) -> None:
    client, cases = server
    differing = {case["case"]: names for case in cases if (names := disagreements(client, case))}
    agreed = 1 - len(differing) / len(cases)
    assert agreed >= AT_LEAST, f"{agreed:.2%} agree; these do not: {differing}"
    assert len(cases) == 1500
