"""What is read of a resource, and what is refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.fhir.page import Rejected, Resource, outcome_text, read_resource
from tests.support.fhir_script import flag

VALUES_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"  # as recorded: hapi/08a-elements


def tagged(*tags: dict[str, str]) -> dict[str, Any]:
    return {**flag("a"), "meta": {**flag("a")["meta"], "tag": list(tags)}}


def test_a_resource_keeps_its_bytes_and_gives_its_keys() -> None:
    body = msgspec.json.encode(flag("a.b-1", 12))
    found = read_resource("Flag", body)
    assert found == Resource("a.b-1", 12, datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC), body)


@pytest.mark.parametrize("version", ["v7", "", "9" * 5000, "٣"])
def test_a_version_that_is_no_number_is_replaced_by_the_stamp_which_grows_too(version: str) -> None:
    body = flag("a")
    body["meta"]["versionId"] = version
    found = read_resource("Flag", msgspec.json.encode(body))
    assert isinstance(found, Resource)
    assert found.version_id == round(found.last_updated.timestamp() * 1000)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'{"resourceType":"Flag","id":7}', "not JSON"),
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (msgspec.json.encode({**flag("a"), "resourceType": "OperationOutcome"}), "it is a OperationOutcome"),
        (msgspec.json.encode({"id": "a"}), "without resourceType"),
        (msgspec.json.encode({**flag("a"), "id": "../x"}), "no FHIR id"),
        (msgspec.json.encode({**flag("a"), "id": "a" * 65}), "no FHIR id"),
        (msgspec.json.encode({"resourceType": "Flag", "id": "a"}), "no meta.lastUpdated"),
        (msgspec.json.encode(flag("a", at="2026-11-20T10:00:00")), "with a zone"),
        (
            msgspec.json.encode(tagged({"system": VALUES_SYSTEM, "code": "SUBSETTED"})),
            "SUBSETTED",
        ),
    ],
)
def test_what_is_no_usable_resource_is_rejected_with_its_bytes_and_a_reason(body: bytes, reason: str) -> None:
    found = read_resource("Flag", body)
    assert isinstance(found, Rejected)
    assert reason in found.reason
    assert found.body == body


@pytest.mark.parametrize("system", [{}, {"system": "https://moh.example/tags"}, {"system": f"{VALUES_SYSTEM}/"}])
def test_a_tag_that_only_looks_like_the_servers_mark_is_the_clients_own(system: dict[str, str]) -> None:
    assert isinstance(read_resource("Flag", msgspec.json.encode(tagged({**system, "code": "SUBSETTED"}))), Resource)


def test_escaped_backslash_before_u0000_is_text_and_no_nul() -> None:
    body = msgspec.json.encode(flag("a", text="\\u0000"))
    assert b"\\\\u0000" in body
    assert isinstance(read_resource("Flag", body), Resource)


def test_outcome_text_survives_any_shape() -> None:
    assert outcome_text({"issue": [{"diagnostics": "HAPI-1"}]}) == "HAPI-1"
    shapes: list[Any] = [None, [], {}, {"issue": None}, {"issue": ["x"]}, {"issue": [{}]}]
    for odd in shapes:
        assert outcome_text(odd) == "no reason given"


def test_every_resource_that_a_real_server_exported_is_readable(shared: Path) -> None:
    folder = NdjsonFolder(shared / "data" / "hapi-export")
    for resource_type in ("Location", "Group", "QuestionnaireResponse"):
        [file] = folder.files(resource_type)
        with folder.fetched(file) as path:
            pages = list(folder.file_pages(path, resource_type))
        assert sum(len(page.resources) for page in pages) > 0
        assert [page.rejected for page in pages if page.rejected] == []
