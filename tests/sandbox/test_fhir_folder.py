"""A folder of FHIR files is loaded whole, or the file and line that cannot be are named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.folder import load_folder
from opensrp_dhis2_sandbox.fhir.store import FhirStore

from opensrp_dhis2.errors import ConfigurationError


def line(resource_type: str, resource_id: str, version: int, instant: str = "2026-01-02T03:04:05.678Z") -> str:
    meta = {"versionId": str(version), "lastUpdated": instant}
    return json.dumps({"resourceType": resource_type, "id": resource_id, "meta": meta})


def test_lines_keep_bytes_version_and_stamp(tmp_path: Path) -> None:
    (tmp_path / "Flag.1.ndjson").write_text(f"{line('Flag', 'a', 3)}\n\n")
    with gzip.open(tmp_path / "Flag.2.ndjson.gz", "wt") as stream:
        stream.write(line("Flag", "b", 1))
    store = FhirStore()
    assert load_folder(store, tmp_path) == {"Flag": 2}
    latest = store.latest("Flag", "a")
    assert latest is not None
    assert (latest.version_id, latest.body) == (3, line("Flag", "a", 3).encode())
    assert latest.last_updated_ms == 1767323045678


def test_a_line_without_version_gets_one(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"resourceType":"Flag","id":"a","status":"active"}')
    store = FhirStore()
    load_folder(store, tmp_path)
    latest = store.latest("Flag", "a")
    assert latest is not None
    assert latest.body is not None
    assert json.loads(latest.body)["meta"]["versionId"] == "1"


def test_an_older_version_met_later_does_not_win(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text("\n".join(line("Flag", "a", version) for version in (2, 1, 3)))
    store = FhirStore()
    load_folder(store, tmp_path)
    assert [version.version_id for version in store.versions("Flag", "a")] == [2, 3]


def test_a_transaction_bundle_is_loaded_with_its_own_references(tmp_path: Path) -> None:
    uuid = "0c4a3b12-7e0f-4f6e-9d60-111122223333"
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"urn:uuid:{uuid}", "resource": {"resourceType": "Patient", "id": "p1"}},
        {"resource": {"resourceType": "Flag", "id": "f1", "subject": {"reference": f"urn:uuid:{uuid}"}}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "family.json").write_text(json.dumps(bundle, indent=1))
    store = FhirStore()
    assert load_folder(store, tmp_path) == {"Flag": 1, "Patient": 1}
    flag = store.latest("Flag", "f1")
    assert flag is not None
    assert flag.body is not None
    assert json.loads(flag.body)["subject"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("x.ndjson", f"{line('Flag', 'a', 1)}\n{{oops", "x.ndjson:2"),
        ("x.ndjson", '{"resourceType":"Flag"}', "x.ndjson:1"),
        ("x.ndjson", line("Flag", "a", 1, "yesterday"), "x.ndjson:1"),
        ("x.json", '{"no":"type"}', "x.json"),
        ("x.ndjson.gz", "not gzip", "x.ndjson.gz"),
        ("x.txt", "nothing of ours", "no FHIR files"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, content: str, place: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=place):
        load_folder(FhirStore(), tmp_path)


def test_the_real_export_is_loaded_whole(shared: Path) -> None:
    folder = shared / "data" / "hapi-export"
    store = FhirStore()
    counts = load_folder(store, folder)
    lines = sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in folder.glob("*.gz"))
    assert sum(counts.values()) == lines > 66_000
