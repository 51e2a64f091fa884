"""Bulk export as a real HAPI FHIR 8.8 plays it: kick-off, polls, manifest and files."""

import json
import time
from typing import Any

import httpx

from .loader import Hapi
from .reading import names

ASYNC = {"Prefer": "respond-async"}
PATIENCE_SECONDS = 120


def kicked_off(hapi: Hapi, query: str) -> httpx.Response:
    answer = hapi.get(f"$export?{query}", **ASYNC)
    assert answer.status_code == 202, answer.text
    return answer


def manifest(hapi: Hapi, status_url: str) -> tuple[list[httpx.Response], dict[str, Any]]:
    """Poll until the job has ended; give the polls that told to wait, and the manifest."""
    waiting, until = [], time.monotonic() + PATIENCE_SECONDS
    while (answer := hapi.get(status_url)).status_code == 202:
        assert time.monotonic() < until, "the export did not end"
        waiting.append(answer)
        time.sleep(0.2)
    assert answer.status_code == 200, answer.text
    return waiting, answer.json()


def exported(hapi: Hapi, query: str) -> list[dict[str, Any]]:
    _, found = manifest(hapi, kicked_off(hapi, query).headers["Content-Location"])
    files = [hapi.get(one["url"], Accept="application/fhir+ndjson") for one in found["output"]]
    return [json.loads(line) for file in files for line in file.text.splitlines()]


def test_15_a_kick_off_without_prefer_is_refused(hapi: Hapi) -> None:
    answer = hapi.get("$export?_type=Patient")
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


def test_15_an_export_tells_to_wait_then_names_its_files(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(700))
    hapi.put(resource_type, names(100), "v2")
    hapi.delete(resource_type, names(30, first=600))
    status_url = kicked_off(hapi, f"_type={resource_type}").headers["Content-Location"]
    assert "$export-poll-status?_jobId=" in status_url
    waiting, found = manifest(hapi, status_url)
    assert {"x-progress", "retry-after"} <= waiting[0].headers.keys()
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= found.keys()
    assert "deleted" not in found
    lines = [line for one in found["output"] for line in hapi.get(one["url"], Accept="*/*").text.splitlines()]
    bodies = [json.loads(line) for line in lines]
    assert {one["id"]: int(one["meta"]["versionId"]) for one in bodies} == hapi.versions(resource_type)
    assert len(bodies) == 670


def test_15_an_export_since_an_instant_gives_what_changed_from_then(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(20))
    hapi.put(resource_type, names(5, first=20))
    since = max(hapi.stamps(resource_type))
    found = exported(hapi, f"_type={resource_type}&_since={since.replace('+', '%2B')}")
    assert sorted(one["id"] for one in found) == names(5, first=20)


def test_15_an_export_of_nothing_has_a_manifest_without_files(hapi: Hapi, resource_type: str) -> None:
    assert exported(hapi, f"_type={resource_type}") == []


def test_15_an_unknown_job_is_not_found(hapi: Hapi) -> None:
    answer = hapi.get("$export-poll-status?_jobId=11111111-2222-3333-4444-555555555555")
    assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")
