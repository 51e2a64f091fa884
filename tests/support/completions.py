"""A sandbox DHIS2 whose completions are asked for through a door that counts and loses, and a ledger to set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.outbox.completion import Completed, Policy, complete_units
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import COUNTRY, metadata, named
from tests.support.dhis2_site import ADMIN, DEFAULT, NOW, open_client
from tests.support.sql import rows

PUSHER = "Basic cHVzaGVyOnNlY3JldA=="
PATH = "/api/completeDataSetRegistrations"
FUNDED = "AocFunded01"
State = tuple[str, str | None]


class Door:
    """Counts what our account asks about completions, and can lose the answers to a method, heard or unheard."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[str] = []
        self.lost: dict[str, bool] = {}  # method -> whether DHIS2 hears it
        self.lose_after: tuple[str, str] | None = None  # from the first of one method on, the other goes unheard too

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = (b"authorization", PUSHER.encode()) in scope.get("headers", ())
        if scope.get("path") != PATH or not is_ours:
            await self._app(scope, receive, send)
            return
        self.asked.append(scope["method"])
        is_heard = self.lost.get(scope["method"])
        if self.lose_after and scope["method"] == self.lose_after[0]:
            self.lost[self.lose_after[1]] = False
        if is_heard is not False:
            await self._app(scope, receive, send if is_heard is None else _swallow)
        if is_heard is not None:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"lost"})


async def _swallow(_: Message) -> None:
    pass


class CompletionSite:
    """A sandbox DHIS2 and a ledger whose states a test sets."""

    def __init__(self, url: str, warehouse: Warehouse, door: Door) -> None:
        self.url, self.warehouse, self.of = url, warehouse, DataSetPeriod(url, "DsMonthly01", "202509")
        self.door = door
        self.client = open_client(url)

    def values(
        self,
        states: dict[str, State | str],
        combo: str = DEFAULT,
        element: str = "DeVisits001",
        wanted: str | None = "1",
    ) -> None:
        """Say where the value of each unit stands; `wanted` None: it is to be deleted."""
        with self.warehouse.connect() as connection:
            for unit, said in states.items():
                state, code = said if isinstance(said, tuple) else (said, None)
                connection.execute(
                    "insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id,"
                    " category_option_combo_id, attribute_option_combo_id, wanted, state, code, run_id, settled_at)"
                    " values (%s, 'DsMonthly01', '202509', %s, %s, %s, %s, %s, %s, %s, 'run', now()) on conflict"
                    " (target, data_set_id, period, data_element_id, org_unit_id, category_option_combo_id,"
                    " attribute_option_combo_id) do update set state = excluded.state, code = excluded.code,"
                    " wanted = excluded.wanted, settled_at = clock_timestamp()",
                    (self.url, unit, element, DEFAULT, combo, None if state == "withdrawn" else wanted, state, code),
                )

    def complete(self, policy: Policy = "when_complete", *, is_period_open: bool = True) -> Completed:
        with take_lease(self.warehouse, self.of.target, "run") as lease:
            return complete_units(
                lease, self.client, self.of, policy=policy, is_period_open=is_period_open, run_id="run"
            )

    def there(self) -> dict[tuple[str, str], str]:
        """Give who registered what, as DHIS2 has it."""
        asked = {"dataSet": "DsMonthly01", "period": "202509", "orgUnit": COUNTRY, "children": "true"}
        found = httpx.get(f"{self.url}{PATH}", params=asked, auth=ADMIN, verify=False).json()
        given = found.get("completeDataSetRegistrations", ())
        return {(row["organisationUnit"], row["attributeOptionCombo"]): row["storedBy"] for row in given}

    def units(self) -> list[str]:
        return sorted(unit for unit, _ in self.there())

    def ledger(self) -> dict[str, tuple[str, str | None]]:
        found = rows(self.warehouse, "select org_unit_id, state, code from outbox.completion")
        return {unit: (state, code) for unit, state, code in found}

    def register_by_hand(self, unit: str) -> None:
        row = {"dataSet": "DsMonthly01", "period": "202509", "organisationUnit": unit}
        self._as_admin("POST", PATH, json={"completeDataSetRegistrations": [row, row]})

    def approve(self, unit: str) -> None:
        self._as_admin("POST", "/api/dataApprovals", params={"ds": "DsMonthly01", "pe": "202509", "ou": unit})

    def strike(self, kind: str, method: str) -> None:
        self._as_admin("POST", "/sandbox/faults", json=[{"kind": kind, "path": PATH, "method": method}])

    def asked_by(self, act: Callable[[], object]) -> list[str]:
        """Give the methods of the requests about completions that an act sends."""
        before = len(self.door.asked)
        act()
        return self.door.asked[before:]

    def _as_admin(self, method: str, path: str, **sent: Any) -> None:
        reply = httpx.request(method, f"{self.url}{path}", auth=ADMIN, verify=False, **sent)
        assert reply.status_code in (200, 204, 409), reply.text  # 409: a period seen for the first time


@contextmanager
def completion_site(warehouse: Warehouse, version: str, **data_set: Any) -> Iterator[CompletionSite]:
    document = metadata()
    stage = document["stages"][1]
    stage["dataSets"][0] |= data_set
    stage["categoryOptions"] = [named("CoFunded001")]
    stage["categoryOptionCombos"] = [
        named(FUNDED, categoryCombo={"id": "CcFunder001"}, categoryOptions=[{"id": "CoFunded001"}])
    ]
    door = Door(create_app(document, version=version, clock=lambda: NOW))
    with running(door) as url:
        opened = CompletionSite(url, warehouse, door)
        with opened.client:
            yield opened
