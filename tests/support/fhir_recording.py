"""Reads a recorded exchange with a real HAPI FHIR and compares another server's answer with it, member by member."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

SERVER_ADDRESS = "http://127.0.0.1:8092/fhir"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
# Wording of HAPI that no client reads: lists of parameters and types, durations, and a parser's own complaint.
VOLATILE_TEXT = re.compile(
    r"(Valid (values|search parameters) for this search are: ).*|(Server knows how to handle: ).*|(Took )\d+ms\."
    r"|(HAPI-1861: Failed to parse JSON encoded FHIR content: ).*",
    re.DOTALL,
)
COMPARED_HEADERS = ("content-type", "etag", "location", "content-location", "x-cache", "last-modified", "x-powered-by")


@dataclass
class Recording:
    """One exchange: what was asked, what came back, and how many entries there were before the file was trimmed."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    observed: dict[str, Any]
    entry_count: int | None
    kept_count: int | None

    def replay(self, client: httpx.Client, query: str | None = None) -> httpx.Response:
        """Send the recorded request to another server."""
        asked = self.request
        body = asked["body"]
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        url = asked["path"] + (f"?{asked['query'] if query is None else query}" if asked["query"] else "")
        return client.request(asked["method"], url, headers=asked["headers"], content=content)


def read_recording(shared: Path, name: str) -> Recording:
    """Read a file of contracts/hapi."""
    text = json.loads((shared / "contracts" / "hapi" / f"{name}.json").read_text())
    trimmed = re.search(r"entry (\d+) -> first (\d+)", " ".join(text.get("trimmed", [])))
    counts = (int(trimmed[1]), int(trimmed[2])) if trimmed else (None, None)
    return Recording(name, text.get("request", {}), text.get("response", {}), text.get("observed", {}), *counts)


def assert_same(recording: Recording, answer: httpx.Response, *, is_stamped_now: bool = False) -> None:
    """Hold status, headers and body to the recording; ids that a server makes up and its clock are left out."""
    expected = recording.response
    assert answer.status_code == expected["status"], answer.text
    for name in COMPARED_HEADERS:
        ours, theirs = answer.headers.get(name), expected["headers"].get(name)
        if name == "last-modified" and (is_stamped_now or "Bundle" in answer.text[:60]):
            ours, theirs = ours is not None, theirs is not None
        assert _flat(name, ours) == _flat(name, theirs), name
    if recording.request["method"] != "HEAD" and expected["status"] != 304:
        assert _body(answer.json(), recording, is_stamped_now) == _body(expected["body"], None, is_stamped_now)


def _flat(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return UUID.sub("*", value) if name == "content-location" and "/Bundle/" in value else value


def _body(body: dict[str, Any], trimmed_as: Recording | None, is_stamped_now: bool) -> dict[str, Any]:
    flat = json.loads(json.dumps(body))
    if trimmed_as and trimmed_as.entry_count is not None:
        assert len(flat["entry"]) == trimmed_as.entry_count
        flat["entry"] = flat["entry"][: trimmed_as.kept_count]
    if flat["resourceType"] == "Bundle":
        flat["id"] = flat["meta"]["lastUpdated"] = "*"
        for link in flat.get("link", ()):
            link["url"] = re.sub(r"_getpages=[^&]+", "_getpages=*", link["url"])
    for issue in flat.get("issue", ()):
        issue["diagnostics"] = VOLATILE_TEXT.sub(lambda found: next(filter(None, found.groups())), issue["diagnostics"])
    text = json.dumps(flat, sort_keys=True)
    result: dict[str, Any] = json.loads(INSTANT.sub("*", text) if is_stamped_now else text)
    return result
