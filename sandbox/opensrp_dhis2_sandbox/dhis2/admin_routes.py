"""The sandbox's own routes outside /api: seed and show stored values, queue faults of transport.

It knows nothing of DHIS2's rules; a real server has none of this.
"""

from typing import Any

from opensrp_dhis2_sandbox.dhis2.faults import QueuedFaults
from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import DataValue, Key


def admin_routes(server: Dhis2, faults: QueuedFaults, call: Call) -> Reply:
    """Answer /sandbox/state and /sandbox/faults, to a superuser only."""
    if not call.user.is_superuser:
        return envelope_reply(403, "Access is denied")
    if call.path == "/sandbox/faults" and call.method == "POST":
        faults.queue(call.json())
        return Reply(None, 204)
    if call.path == "/sandbox/state" and call.method == "POST":
        with server.store.transaction():
            server.store.clear_values(call.all("period"))
            server.store.put_values(dict(_seed(server, row) for row in call.json()))
            server.store.see_periods(row[1] for row in call.json())
        return Reply(None, 204)
    if call.path == "/sandbox/state" and call.method == "GET":
        return Reply([_shown(key, stored) for key, stored in server.store.values()])
    return envelope_reply(404, "The sandbox has only /sandbox/state and /sandbox/faults")


def _seed(server: Dhis2, row: list[Any]) -> tuple[Key, DataValue]:
    value, comment, follow_up, is_deleted = row[5:9]
    now = server.timestamp()
    return Key(*row[:5]), DataValue(value, comment, follow_up, bool(is_deleted), "sandbox", now, now)


def _shown(key: Key, stored: DataValue) -> list[Any]:
    return [*key, stored.value, stored.comment, stored.follow_up, True if stored.is_deleted else None]
