"""Recorded exchanges of real DHIS2 servers: read, put in order, adapted to a sandbox server, compared."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PASSWORD = "Contract_2026!"
SERVER_URL = re.compile(r"http://127\.0\.0\.1:809[01]")
TARGET_URL = "http://127.0.0.1:8095"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(\+0000)?")
MADE_UP = re.compile(r"d2p_\w{50}|d2p_\w+<redacted, 54 chars>|\b\d{13}\b|(?<=at index )\d+")
PARSER_PLACE = re.compile(r"\n at \[Source: .*|: Expecting property name.*|: Unexpected end-of-input.*", re.DOTALL)
TRIMMED = re.compile(r"(.)\1*\.\.\. \((\d+) characters, trimmed by the recorder\)")
VOLATILE = {"created", "lastUpdated", "time", "serverDate"}
HEADERS = ("location", "www-authenticate")
SHOWN_LENGTH = 1000
Exchange = dict[str, Any]


def metadata_with_superusers(shared: Path) -> dict[str, Any]:
    """The recorded metadata with the superuser of the recordings, in a country and (as `homeless`) nowhere."""
    document: dict[str, Any] = json.loads((shared / "contracts/dhis2/metadata.json").read_text())
    role = {"id": "UrSuperuser", "name": "Superuser", "authorities": ["ALL"]}
    admin = {"id": "M5zQapPyTZI", "password": PASSWORD, "userRoles": [role], "surname": "admin", "firstName": "admin"}
    unit = [{"id": "OuCountry01"}]
    here = {"organisationUnits": unit, "dataViewOrganisationUnits": unit}
    users = [{**admin, "username": "admin", **here}, {**admin, "id": "AdminNoUnit", "username": "homeless"}]
    document["stages"].append({"userRoles": [role], "users": users})
    return document


def recordings(shared: Path, version: str) -> list[Exchange]:
    """Every exchange of one server in the order of recording."""
    files = (shared / "contracts/dhis2" / version).glob("*.json")
    exchanges = [each for path in files if "request" in (each := json.loads(path.read_text()))]
    return sorted(exchanges, key=lambda each: rank(each["name"]))


def rank(name: str) -> tuple[int, str, int, str]:
    """Sort names as they were numbered: 14c, 14c2, 14d."""
    match = re.fullmatch(r"(\d+)([a-z]*)(\d*)-?(.*)", name)
    assert match
    number, letters, digit, rest = match.groups()
    is_early = rest == "strict-periods" or rest.startswith("put-noauth")  # of 46 and of 54b these came first
    return int(number), letters, int(digit or 0), "" if is_early else rest


def basic(username: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass
class Replay:
    """A server under replay, and what the recordings leave out: ids that it makes up, and where its targets listen."""

    client: httpx.Client
    target_url: str
    ids: dict[str, str] = field(default_factory=dict)

    def send(self, exchange: Exchange, headers: dict[str, str], query: Any = None) -> httpx.Response:
        """Send a recorded request, with its credentials put in."""
        recorded = exchange["request"]
        given = {name: text for name, text in recorded["headers"].items() if name not in {"Authorization", "Cookie"}}
        content = self._content(recorded["body"])
        asked = {"params": query or recorded["query"], "headers": given | headers, "content": content}
        return self.client.request(recorded["method"], self._ours(recorded["path"]), **asked)

    def _content(self, body: Any) -> bytes | None:
        if body is None:
            return None
        text = body if isinstance(body, str) else json.dumps(body)
        full = TRIMMED.sub(lambda match: match[1] * int(match[2]), text)
        return full.replace(TARGET_URL, self.target_url).encode()

    def _ours(self, text: str) -> str:
        for theirs, ours in self.ids.items():
            text = text.replace(theirs, ours)
        return text

    def read(self, query: str) -> Any:
        """Read a state as the recorder did: `GET /api/...?... (as pusher)`."""
        match = re.fullmatch(r"GET (\S+) \(as (\w+)\)", query)
        assert match
        return body_of(self.client.get(match[1], headers={"Authorization": basic(match[2])}))

    def differences(self, exchange: Exchange, reply: httpx.Response) -> list[str]:
        """Name every member of status, headers, body and stored state that differs from the recording."""
        recorded, body = exchange["response"], body_of(reply)
        self._learn_ids(recorded["body"], body)
        found = differ(reply.status_code, recorded["status"], "status")
        for name in HEADERS:
            found += differ(self.plain(reply.headers.get(name)), self.plain(recorded["headers"].get(name)), name)
        found += differ(self.plain(body), self.plain(recorded["body"]), "body")
        for state in exchange.get("state_after", ()):
            if "status" in state:
                found += differ(self.plain(self.read(state["query"])), self.plain(state["body"]), "state")
        return found

    def _learn_ids(self, recorded: Any, seen: Any) -> None:
        if isinstance(recorded, list) and isinstance(seen, list) and all("uid" in one for one in (*recorded, *seen)):
            self.ids |= {theirs["uid"]: ours["uid"] for theirs, ours in zip(recorded, seen, strict=False)}
        for name in ("uid", "id"):
            theirs, ours = (
                (body.get("response") or {}).get(name) if isinstance(body, dict) else None for body in (recorded, seen)
            )
            if theirs and ours:
                self.ids[theirs] = ours

    def plain(self, value: Any) -> Any:
        """Take out of a document what differs from run to run: addresses, instants, made-up ids; cut long texts."""
        if isinstance(value, dict):
            return {name: self.plain(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if not isinstance(value, str):
            return value
        text = self._ours(value).replace(self.target_url, TARGET_URL)
        text = SERVER_URL.sub("<server>", text.replace(str(self.client.base_url).rstrip("/"), "<server>"))
        return PARSER_PLACE.sub("", MADE_UP.sub("<made up>", INSTANT.sub("<instant>", text)))[:SHOWN_LENGTH]


def body_of(reply: httpx.Response) -> Any:
    """Give a reply's body as the recordings write it."""
    is_json = reply.text and "json" in reply.headers.get("content-type", "")
    return reply.json() if is_json else reply.text


def differ(seen: Any, wanted: Any, place: str) -> list[str]:
    """Name each member in which two documents differ; lists are compared without regard to order."""
    if isinstance(seen, dict) and isinstance(wanted, dict):
        return list(_members(seen, wanted, place))
    if isinstance(seen, list) and isinstance(wanted, list) and len(seen) == len(wanted):
        pairs = zip(sorted(seen, key=_order), sorted(wanted, key=_order), strict=True)
        return [line for index, pair in enumerate(pairs) for line in differ(*pair, f"{place}[{index}]")]
    return [] if seen == wanted else [f"{place} is {str(seen)[:200]!r}, recorded {str(wanted)[:200]!r}"]


def _members(seen: dict[str, Any], wanted: dict[str, Any], place: str) -> Iterator[str]:
    for name in sorted((seen.keys() | wanted.keys()) - VOLATILE):
        if name in seen and name in wanted:
            yield from differ(seen[name], wanted[name], f"{place}.{name}")
        else:
            yield f"{place}.{name} is {'missing' if name in wanted else 'too much'}"


def _order(item: Any) -> str:
    if isinstance(item, dict):
        return str(sorted((name, _order(value)) for name, value in item.items() if name not in VOLATILE))
    return str(sorted(map(_order, item))) if isinstance(item, list) else str(item)
