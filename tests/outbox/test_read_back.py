"""What is read back after a request without a verdict: what an answer proves, and what cannot be read at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.sandbox.dhis2.app import create_app
from opensrp_dhis2.sandbox.server import running
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import NOW, VERSIONS, Dhis2Site, metadata

Row = tuple[str, str | None, str | None, str, str | None]


def ledger_rows(warehouse: Warehouse) -> list[Row]:
    """Unit, wanted, acknowledged, state and code of every value."""
    with warehouse.connect() as connection:
        return connection.execute(
            "select org_unit_id, wanted, acknowledged, state, code from outbox.value order by data_element_id, 1"
        ).fetchall()


class Proxy:
    """In front of the server: answers a note of its own to GETs of some paths, once it is told to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.notes: dict[str, bytes] = {}  # beginning of a path -> the note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        noted = [note for path, note in self.notes.items() if scope.get("path", "").startswith(path)]
        if not noted or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": noted[0]})


@contextmanager
def behind_a_proxy(warehouse: Warehouse, version: str, made: dict[str, Any]) -> Iterator[tuple[Dhis2Site, Proxy]]:
    proxy = Proxy(create_app(made, version=version, clock=lambda: NOW))
    with running(proxy) as url:
        site = Dhis2Site(url, warehouse)
        with site.client:
            yield site, proxy


@pytest.mark.parametrize("version", VERSIONS)
def test_a_note_of_a_proxy_is_not_taken_for_an_empty_slice(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """39h: an empty result has its list. A deletion that was never heard would be called done."""
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 5})
    with behind_a_proxy(warehouse, version, metadata()) as (dhis2, proxy):
        dhis2.report()
        set_totals({("visits", "OuFacility2"): 5})
        dhis2.strike({"kind": "hang_up_before"})
        proxy.notes = {"/api/dataValueSets": b'{"message":"down for maintenance"}'}
        with pytest.raises(Dhis2UnavailableError, match="without dataValues"):
            dhis2.report("run-2")
        proxy.notes = {}
        dhis2.report("run-3")
        assert dhis2.stored() == {("DeVisits001", "OuFacility2"): "5"}
    assert ledger_rows(warehouse)[0] == ("OuFacility1", None, None, "withdrawn", None)
