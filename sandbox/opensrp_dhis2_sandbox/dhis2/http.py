"""What the sandbox server's handlers hand each other: the server, one call, one reply.

It knows shapes; which path leads to which handler is the application's affair.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from random import Random
from string import ascii_letters, digits
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest, web_message
from opensrp_dhis2_sandbox.dhis2.metadata import Metadata, User
from opensrp_dhis2_sandbox.dhis2.store import Store

JSON_TYPE = "application/json;charset=UTF-8"
VERSIONS = {"2.41": ("2.41.9.1", "7a50918"), "2.43": ("2.43.1", "9cbfbf3")}


@dataclass
class Dhis2:
    """One sandbox server: its metadata, its state, its engine and its clock."""

    metadata: Metadata
    store: Store
    version: str
    clock: Callable[[], datetime]  # of its zone, which it does not tell
    zone: tzinfo = UTC
    random: Random = field(default_factory=Random)

    @property
    def is_atomic(self) -> bool:
        return self.version == "2.43"

    def timestamp(self) -> str:
        return self.clock().isoformat(timespec="milliseconds")

    def epoch_millis(self) -> int:
        """Return the clock's instant as DHIS2 writes it in tokens and job names."""
        return round(self.clock().replace(tzinfo=self.zone).timestamp() * 1000)

    def new_id(self) -> str:
        """Make up an identifier of DHIS2's shape."""
        return self.random.choice(ascii_letters) + "".join(self.random.choices(ascii_letters + digits, k=10))


@dataclass
class Call:
    """One request of a known user."""

    method: str
    path: str
    query: list[tuple[str, str]]
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    peer: str
    user: User
    is_write_lost: bool = False

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return dict(self.query).get(name, default)

    def all(self, name: str) -> list[str]:
        """Return every value of a query parameter, comma-separated ones apart."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]

    def raw_query_without(self, *names: str) -> str:
        """Return the query but for some parameters, ready to be joined to others."""
        kept = [(name, value) for name, value in self.query if name not in names]
        return f"&{urlencode(kept, safe='*')}" if kept else ""

    def json(self) -> Any:
        """Read the body as JSON."""
        try:
            return json.loads(self.body or b"null")
        except ValueError as error:
            raise RefusedRequest(400, f"Unexpected JSON: {error}") from error


@dataclass
class Reply:
    """What goes back: JSON, text or nothing."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def response(self) -> Response:
        """Make the reply ready to be sent."""
        is_json = self.body is not None and not isinstance(self.body, bytes | str)
        headers = ({"content-type": JSON_TYPE} if is_json else {}) | self.headers
        latin = {name: value.encode("latin-1", "replace").decode("latin-1") for name, value in headers.items()}
        return Response(self.content(), self.status, latin)


def envelope_reply(status: int, message: str | None, error_code: str | None = None) -> Reply:
    """Reply with DHIS2's plain envelope."""
    return Reply(web_message(status, message, error_code=error_code), status)


def object_report(status: int, klass: str, uid: str, *, is_atomic: bool, errors: list[Json] | None = None) -> Reply:
    """Reply with the envelope of a metadata change."""
    message = "One or more errors occurred, please see full details in import report." if errors else None
    body: Json = {"uid": uid, "klass": klass, "errorReports": errors or []}
    kind = {"responseType": "ObjectReport"}
    return Reply(web_message(status, message) | {"response": body | kind if is_atomic else kind | body}, status)
