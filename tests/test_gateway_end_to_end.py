"""Through OpenSRP's gateway and Keycloak: everything arrives and is certified, or the run says why it must not."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, opensrp_claims
from opensrp_dhis2_sandbox.fhir.gateway import PREFIX

from opensrp_dhis2.defs.deletes import delete_metadata
from opensrp_dhis2.errors import FhirAuthenticationError, FhirError, IncompleteExtractError
from opensrp_dhis2.extract import Extraction, TypeResult, extract
from opensrp_dhis2.extract.deletes import DeleteResult, find_deletes
from opensrp_dhis2.fhir.gateway import check_counts
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.gateway_site import READER, SECRET, Site, gateway_site
from tests.support.sql import rows

HOW = Extraction(lag_seconds=0, overlap_seconds=3600, threads=3, validate_share=0)


@pytest.fixture
def site() -> Iterator[Site]:
    with gateway_site() as running:
        yield running


def read(site: Site, warehouse: Warehouse, judge: Callable[[str], None] | None = None) -> TypeResult:
    with site.client(judge) as client:
        return extract(client, warehouse, "Flag", HOW)


def deleted(site: Site, warehouse: Warehouse) -> DeleteResult:
    with site.client() as client:
        return find_deletes(client, warehouse, "Flag", lag_seconds=0)


def alive(warehouse: Warehouse) -> set[str]:
    return {one for (one,) in rows(warehouse, "select id from raw.flag where not is_deleted")}


def test_everything_arrives_certified_although_tokens_end_in_the_middle(site: Site, warehouse: Warehouse) -> None:
    site.put(300)
    site.before = lambda number: site.keycloak.revoke_all() if number % 4 == 0 else None
    result = read(site, warehouse)
    assert (result.read, result.incomplete, result.missing) == (300, 0, 0)
    assert alive(warehouse) == site.ids()
    assert {state for (state,) in rows(warehouse, "select state from raw.slice")} == {"certified"}
    assert deleted(site, warehouse).deleted == 0
    site.delete(3, 77)
    found = deleted(site, warehouse)
    assert (found.told, found.deleted, found.reason) == (2, 2, None)
    assert alive(warehouse) == site.ids()
    assert site.keycloak.token_count > 3
    assert {path for path in site.paths if not path.startswith(PREFIX)} == {TOKEN_PATH}
    assert site.paths.count(PREFIX) >= 14  # the pages behind the first, whose links name the inner host


def test_a_history_of_several_pages_is_followed_at_the_gateway(site: Site, warehouse: Warehouse) -> None:
    site.put(1300)
    with site.client() as client:
        client.page_size = 650
        extract(client, warehouse, "Flag", HOW)
    deleted(site, warehouse)
    site.delete(*range(1100))
    site.paths.clear()
    assert (deleted(site, warehouse).told, alive(warehouse)) == (1100, site.ids())
    assert site.paths.count(f"{PREFIX}/Flag/_history") == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
def test_a_refused_history_leads_to_the_sweep_and_the_reason_is_shown(
    site: Site, warehouse: Warehouse, status: int
) -> None:
    site.put(60)
    read(site, warehouse)
    deleted(site, warehouse)
    site.delete(5)
    site.gateway.history_status = status
    found = deleted(site, warehouse)
    assert (found.deleted, alive(warehouse)) == (1, site.ids())
    shown = delete_metadata(found)
    assert f"Flag/_history is of no use (HTTP {status})" in shown["deletions by"]
    assert shown["ids at the source"] == 59
    assert rows(warehouse, "select method from raw.delete_search order by 1") == [("sweep",), ("sweep",)]


def test_without_the_role_neither_history_nor_search_mark_anything(site: Site, warehouse: Warehouse) -> None:
    site.put(60)
    read(site, warehouse)
    deleted(site, warehouse)
    site.delete(5)
    site.keycloak.claims = opensrp_claims("WEB_CLIENT")
    with site.client(lambda token: None) as client, pytest.raises(FhirAuthenticationError, match="HTTP 403"):
        find_deletes(client, warehouse, "Flag", lag_seconds=0)
    assert len(alive(warehouse)) == 60


def test_an_android_client_reads_nothing_although_its_extract_would_be_certified(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(60)
    site.keycloak.claims = opensrp_claims("ANDROID_CLIENT", "GET_FLAG")
    with pytest.raises(FhirAuthenticationError, match="ANDROID_CLIENT"):
        read(site, warehouse)
    assert [path for path in site.paths if path.startswith(PREFIX)] == []
    result = read(site, warehouse, judge=lambda token: None)  # were the token opaque
    assert (result.read, result.incomplete, result.missing) == (30, 0, 0)
    with site.client(lambda token: None) as client, pytest.raises(IncompleteExtractError, match="Flag 30 of 60"):
        check_counts(client, {"Flag": 60})


def test_a_role_that_changes_in_the_middle_ends_the_run_at_the_next_token(site: Site, warehouse: Warehouse) -> None:
    site.put(300)

    def change(number: int) -> None:
        if number == 12:
            site.keycloak.claims = opensrp_claims("ANDROID_CLIENT", "GET_FLAG")
            site.keycloak.revoke_all()

    site.before = change
    with pytest.raises(FhirAuthenticationError, match="ANDROID_CLIENT"):
        read(site, warehouse)
    assert rows(warehouse, "select 1 from raw.watermark") == []


@pytest.mark.parametrize(("login", "kind", "said"), [
    ("page", FhirAuthenticationError, "login page"), ("redirect", FhirAuthenticationError, "does not let us in"),
])  # fmt: skip
def test_a_login_before_the_gateway_is_a_clear_error(
    site: Site, warehouse: Warehouse, login: Any, kind: type[FhirError], said: str
) -> None:
    site.put(60)
    site.gateway.login = login
    with pytest.raises(kind, match=said) as caught:
        read(site, warehouse)
    assert "s3cr3t" not in str(caught.value)
    site.gateway.login = None
    assert read(site, warehouse).read == 60


def test_what_commits_late_is_fetched_although_the_gateway_drops_no_cache(site: Site, warehouse: Warehouse) -> None:
    site.put(300, first=10)
    seen = list[int]()

    def commit(number: int) -> None:
        if site.paths[-1] == PREFIX and not seen:
            seen.append(number)
            site.put(3)

    site.before = commit
    result = read(site, warehouse)
    assert (result.incomplete, result.missing, alive(warehouse)) == (0, 0, site.ids())


def test_no_token_secret_or_cursor_stands_in_any_message_or_log(
    site: Site, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said, tokens = list[str](), list[str]()
    site.put(100)
    faults: list[Callable[[], None]] = [
        lambda: site.keycloak.statuses.extend([400] * 9),
        lambda: site.keycloak.statuses.extend([500, 401] * 2),
        lambda: setattr(site.keycloak, "claims", opensrp_claims("ANDROID_CLIENT")),
        lambda: setattr(site.keycloak, "claims", opensrp_claims("WEB_CLIENT")),
        lambda: setattr(site.gateway, "login", "page"),
        lambda: setattr(site.gateway, "login", "redirect"),
    ]
    for fault in faults:
        fault()
        for judge in (None, tokens.append):
            with pytest.raises(FhirError) as caught:
                read(site, warehouse, judge)
            said.append(f"{caught.value} {caught.value!r} {caught.value.url}")
        site.keycloak.statuses, site.gateway.login = [], None
        site.keycloak.claims = opensrp_claims(*READER)
    read(site, warehouse, tokens.append)
    said += [record.getMessage() for record in caplog.records]
    said += [str(row) for row in rows(warehouse, "select * from raw.slice") + rows(warehouse, "select * from raw.load")]
    pieces = {piece for token in tokens for piece in token.split(".")[1:]} | site.cursors()
    assert len(site.cursors()) > 0
    assert len(pieces) > 4
    assert [text for text in said if any(piece in text for piece in pieces)] == []
    assert [text for text in said if re.search(rf"{SECRET}|_getpages|s3cr3t|Bearer ey", text)] == []
