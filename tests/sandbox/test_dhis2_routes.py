"""Routes as recorded on real DHIS2 2.41 and 2.43: kept, masked, wiped and run against a real target."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from tests.support.dhis2_recording import Exchange, Replay, basic, differ, metadata_with_superusers, recordings
from tests.support.route_target import Target

CLOCK = datetime.fromisoformat("2026-11-21T02:51:00")
FOLDERS = {"2.41": "2.41.9.1", "2.43": "2.43.1"}
BOTH = {
    "57b-run-refused": "the operating system's own words",
    "57d-run-dns": "the operating system's own words",
    "57f-subpath-non-wildcard": "names the route by its internal number",
}
KNOWN = {"2.41": BOTH, "2.43": BOTH | {"55b4-run-wild-query-utf8": "our HTTP client always encodes what is not ASCII"}}
# The recorder kept one of two values of the same query parameter.
FULL_QUERIES = {"55b5-run-wild-query-repeat": [("x", "1"), ("x", "2")]}
# 56d, 56e: a target that is slow for seconds; 56f: a long answer.
UNSENT = re.compile("56[def]-")


def reached(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep what matters of calls that reached the target: method, path, body, credentials and X- headers."""
    return [
        {name: call[name] for name in ("method", "path", "body")}
        | {name.lower(): text for name, text in call["headers"].items() if re.match("(?i)authorization$|x-", name)}
        for call in calls
    ]


def without_echo(exchange: Exchange) -> Exchange:
    """Take the echo of the call out of a recorded answer; the call itself is compared where it arrived."""
    body = exchange["response"]["body"]
    is_echo = isinstance(body, dict) and "echo" in body
    return {**exchange, "response": {**exchange["response"], "body": {"echo": "seen"}}} if is_echo else exchange


def route_exchanges(shared: Path, version: str) -> list[Exchange]:
    every = recordings(shared, FOLDERS[version])
    return [each for each in every if re.match("5[1-9]", each["name"]) and not UNSENT.match(each["name"])]


@pytest.mark.parametrize("version", ["2.41", "2.43"])
def test_recorded_route_requests_get_the_recorded_answers(version: str, shared: Path) -> None:
    target = Target()
    found: dict[str, list[str]] = {}
    app = create_app(metadata_with_superusers(shared), version=version, clock=lambda: CLOCK)
    with running(target.app) as target_url, running(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        replay = Replay(client, target_url)
        for exchange in route_exchanges(shared, version):
            target.calls.clear()
            client.cookies.clear()
            user = exchange["request"]["headers"]["Authorization"].partition(" ")[2].strip("<>")
            reply = replay.send(exchange, {"Authorization": basic(user)}, FULL_QUERIES.get(exchange["name"]))
            lines = replay.differences(without_echo(exchange), reply)
            if "reached_target" in exchange:
                lines += differ(reached(target.calls), reached(exchange["reached_target"]), "target")
            if lines:
                found[exchange["name"]] = lines
    assert {name: lines[:4] for name, lines in found.items() if name not in KNOWN[version]} == {}
    assert sorted(found) == sorted(KNOWN[version]), "a known difference is gone: take it off the list"


@pytest.mark.parametrize(("version", "status", "has_body"), [("2.41", 503, True), ("2.43", 504, False)])
def test_a_target_that_does_not_answer_in_time_is_given_up(
    version: str, status: int, has_body: bool, shared: Path
) -> None:
    target = Target()
    app = create_app(metadata_with_superusers(shared), version=version, clock=lambda: CLOCK)
    with running(target.app) as target_url, running(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        route = {"name": "hang", "code": "hang", "url": f"{target_url}/hang", "responseTimeoutSeconds": 1}
        headers = {"Authorization": basic("routeadm")}
        assert client.post("/api/routes", json=route, headers=headers).status_code == 201
        reply = client.get("/api/routes/hang/run", headers=headers)
    assert (reply.status_code, bool(reply.content)) == (status, has_body)
