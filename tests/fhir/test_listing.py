"""Ids and versions without bodies, and pages that the server makes smaller than we ask for."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import read_stamps
from opensrp_dhis2.fhir.unreadable import read_window
from opensrp_dhis2.fhir.window import BEGINNING, Window
from tests.support.clock import AFTER_RECORDINGS
from tests.support.fhir_recording import read_recording
from tests.support.fhir_script import Answer, scripted
from tests.support.fhir_server import fhir_server

EVERYTHING = Window(BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
PAST_MS = 1_790_000_000_000


def test_08b_elements_id_meta_are_asked_for_on_every_page_and_no_summary(shared: Path) -> None:
    ids = read_recording(shared, "08b-elements-id-meta").response["body"]
    with scripted(Answer(ids), Answer({**ids, "link": []})) as script, FhirClient(script.url) as client:
        found = [[(one.id, one.version_id) for one in page] for page in read_stamps(client, "Observation")]
    assert found == [[(entry["resource"]["id"], 1) for entry in ids["entry"]]] * 2
    asked = [dict(parse_qsl(one.query)) for one in script.asked]
    assert [one.get("_elements") for one in asked] == ["id", "id,meta"]
    assert (asked[0]["_sort"], "_summary" in asked[0]) == ("_lastUpdated,_id", False)


@pytest.mark.parametrize("guilty", [frozenset[str](), frozenset({"f00300"})], ids=["all given", "one HTTP 500"])
def test_02m_capped_paging_reads_every_page_by_its_real_size(shared: Path, guilty: frozenset[str]) -> None:
    observed, faults = read_recording(shared, "02m-capped-paging").observed, Faults(Plan(cannot_give=guilty))
    with fhir_server(AFTER_RECORDINGS) as server:
        server.put(sum(observed["pages"]), stamp_ms=PAST_MS)
        app = create_app(server.store, max_page_size=200, faults=faults)
        with running(app) as url, FhirClient(f"{url}/fhir") as client:
            pages = list(read_window(client, "Flag", EVERYTHING))
            assert sum(len(page) for page in read_stamps(client, "Flag")) == 450
        assert {one.id for page in pages for one in page.resources} == server.truth().keys() - guilty
    assert guilty or [len(page) for page in pages] == observed["pages"] == [200, 200, 50]
