"""The store numbers, stamps, tags and keeps resources as HAPI does."""

import json
from typing import Any

import msgspec
from opensrp_dhis2_sandbox.fhir.store import FhirStore, Version

from .conftest import FhirSandbox, MovingClock


def resource(version: Version) -> Any:
    assert version.body is not None
    return json.loads(version.body)


def test_numbers_keep_their_text_through_a_write() -> None:
    store = FhirStore()
    version = store.put(b'{"resourceType":"Flag","id":"a","x":12.50,"y":0.1234567890123456789,"z":{"w":1.0e2}}')
    assert version.body is not None
    for text in (b"12.50", b"0.1234567890123456789", b"1.0e2"):
        assert text in version.body


def test_numbers_keep_their_text_through_the_server(fhir: FhirSandbox) -> None:
    fhir.store.put(b'{"resourceType":"Flag","id":"a","x":12.50}')
    for query in ("", "&_pretty=false", "&_elements=x"):
        assert b"12.50" in fhir.client.get(f"/fhir/Flag?_sort=_id{query}").content


def test_an_equal_put_makes_no_version_and_a_new_tag_does() -> None:
    clock = MovingClock()
    store = FhirStore(clock)
    flag = {"resourceType": "Flag", "id": "a", "meta": {"tag": [{"system": "s", "code": "old"}]}}
    first = store.put(flag)
    clock.move(1)
    assert store.put({**flag, "meta": {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}}) is first
    second = store.put({**flag, "meta": {"tag": [{"system": "s", "code": "new"}]}})
    assert [tag["code"] for tag in resource(second)["meta"]["tag"]] == ["new", "old"]
    assert (second.version_id, second.last_updated_ms - first.last_updated_ms) == (2, 1000)


def test_a_deleted_id_returns_with_a_gap_and_without_its_tags() -> None:
    store = FhirStore()
    store.put({"resourceType": "Flag", "id": "a", "meta": {"tag": [{"system": "s", "code": "old"}]}})
    deleted = store.delete("Flag", "a")
    again = store.put({"resourceType": "Flag", "id": "a"})
    assert deleted is not None
    assert (deleted.version_id, deleted.is_deleted, again.version_id) == (2, True, 4)
    assert "tag" not in resource(again)["meta"]
    assert [version.version_id for version in store.history("Flag")] == [4, 2, 1]


def test_deleting_twice_or_the_unknown_changes_nothing() -> None:
    store = FhirStore()
    store.put({"resourceType": "Flag", "id": "a"})
    assert store.delete("Flag", "a") is store.delete("Flag", "a")
    assert store.delete("Flag", "never") is None
    assert store.current("Flag") == []


def test_a_transaction_writes_all_or_nothing_under_one_stamp(fhir: FhirSandbox) -> None:
    fhir.put("x", 1)

    def entry(method: str, url: str, **more: Any) -> dict[str, Any]:
        return {"request": {"method": method, "url": url}, **more}

    good = [
        entry("PUT", "Flag/a", resource={"resourceType": "Flag", "id": "a"}),
        entry("POST", "Patient", resource={"resourceType": "Patient"}, fullUrl="urn:uuid:1b9d6bcd"),
        entry("POST", "Flag", resource={"resourceType": "Flag", "subject": {"reference": "urn:uuid:1b9d6bcd"}}),
        entry("DELETE", "Flag/x-0000"),
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    refused = fhir.client.post("/fhir", json={**bundle, "entry": [*good, entry("GET", "Flag/a")]})
    assert refused.status_code == 400
    assert [version.id for version in fhir.store.current("Flag")] == ["x-0000"]
    answer = fhir.client.post("/fhir", json={**bundle, "entry": good}).json()
    statuses = [one["response"]["status"] for one in answer["entry"]]
    assert statuses == ["201 Created", "201 Created", "201 Created", "204 No Content"]
    flags = fhir.store.current("Flag")
    assert len(flags) == 2
    subjects = [resource(version).get("subject") for version in flags]
    assert {"reference": "Patient/1b9d6bcd"} in subjects
    stamps = {version.last_updated_ms for kind in ("Flag", "Patient") for version in fhir.store.current(kind)}
    assert len(stamps) == 1


def test_resources_written_over_http_are_read_back(fhir: FhirSandbox) -> None:
    made = fhir.client.post("/fhir/Patient", json={"resourceType": "Patient", "active": True})
    assert made.status_code == 201
    body = made.json()
    assert fhir.get(f"/fhir/Patient/{body['id']}") == body
    stale = fhir.client.put(
        f"/fhir/Patient/{body['id']}", json={**body, "active": False}, headers={"If-Match": 'W/"9"'}
    )
    assert stale.status_code == 409
    changed = fhir.client.put(f"/fhir/Patient/{body['id']}", json={**body, "active": False}).json()
    assert (changed["active"], changed["meta"]["versionId"]) == (False, "2")
    assert fhir.client.delete(f"/fhir/Patient/{body['id']}").status_code == 200
    assert fhir.client.get(f"/fhir/Patient/{body['id']}").status_code == 410


def test_a_body_that_is_no_bundle_is_refused(fhir: FhirSandbox) -> None:
    for content in (b"{", b'{"resourceType":"Bundle","type":"batch"}', b"[]"):
        answer = fhir.client.post("/fhir", content=content)
        assert answer.status_code == 400
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_what_the_store_gives_is_what_it_was_given() -> None:
    store = FhirStore()
    body = msgspec.json.encode(
        {"resourceType": "Flag", "id": "a", "meta": {"versionId": "7"}, "period": {"start": "?"}}
    )
    store.keep("Flag", "a", 7, 1_000, body)
    latest = store.latest("Flag", "a")
    assert latest is not None
    assert (latest.body, latest.version_id, latest.last_updated_ms) == (body, 7, 1_000)
