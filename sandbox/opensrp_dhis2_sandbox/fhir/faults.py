"""What goes wrong between a FHIR server and its reader, drawn by seed: pages that are lost, stale, cut off or refused.

It knows answers as Bundles and nothing of how they came about; a real server has no /sandbox/faults.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from opensrp_dhis2_sandbox.faults import answer_of, hang_up, proxy_page
from opensrp_dhis2_sandbox.fhir.reply import Server
from opensrp_dhis2_sandbox.fhir.store import FhirStore

Entries = list[msgspec.Raw]
REMARK = msgspec.Raw(
    b'{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational"}]},'
    b'"search":{"mode":"outcome"}}'
)
_HEADERS = {"Content-Type": "application/fhir+json;charset=UTF-8"}


class _Resource(msgspec.Struct):
    id: str = ""


class _Entry(msgspec.Struct):
    resource: _Resource = msgspec.field(default_factory=_Resource)


_id_in = msgspec.json.Decoder(_Entry).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entries = msgspec.json.Decoder(Entries).decode


@dataclass(frozen=True)
class Plan:
    """How often each kind meets a search, from 0 to 1; equal seeds and equal requests give equal faults.

    Args: a page with an id of `cannot_give` is an HTTP 500 (also one of ids alone, unless `gives_ids`); one of
        `malformed` makes its page no JSON; ids of `filtered` are kept out of pages, not of counts, by kind `filter`.
    """

    seed: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    cannot_give: frozenset[str] = frozenset()
    gives_ids: bool = True
    malformed: frozenset[str] = frozenset()
    filtered: frozenset[str] = frozenset()


@dataclass
class Faults:
    """A plan and how far it has come; `applied` lists the kinds that changed an answer."""

    plan: Plan = field(default_factory=Plan)
    request_count: int = 0
    applied: list[str] = field(default_factory=list)
    last_entries: Entries = field(default_factory=list)
    past: FhirStore | None = None
    before_answer: Callable[[], None] = lambda: None

    def begin(
        self, plan: Plan, *, past: FhirStore | None = None, before_answer: Callable[[], None] = lambda: None
    ) -> None:
        """Begin anew with a plan. Raises: ValueError for a kind that does not exist.

        Args: `past` is what `stale` answers from, without it from nothing; `before_answer` is called before each answer.
        """
        if unknown := plan.shares.keys() - KINDS:
            raise ValueError(f"no faults are of kind {', '.join(unknown)}: there are {', '.join(sorted(KINDS))}")
        self.plan, self.request_count, self.applied = plan, 0, []
        self.last_entries, self.past, self.before_answer = [], past, before_answer

    def draw(self) -> tuple[str, Random]:
        """Return what is applied to the next request, if anything."""
        self.request_count += 1
        random = Random(f"{self.plan.seed} {self.request_count}")  # noqa: S311 - to be repeated, not a secret
        at = random.random()
        for kind, share in self.plan.shares.items():
            if at < share:
                return kind, random
            at -= share
        return "", random


class FaultyAnswers:
    """Middleware inside the compression: lets the server answer, then corrupts what it said."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app, self._faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_search(scope):
            await self._app(scope, receive, send)
            return
        kind, random = self._faults.draw()
        self._faults.before_answer()
        server: Server = scope["app"].state.server
        store = server.store
        if kind == "expire":
            server.cursors.forget_all()
        if kind == "stale":  # as a cache or a replica that lags
            server.store = self._faults.past or FhirStore()
            self._faults.applied.append(kind)
        try:
            answer = await answer_of(self._app, scope, receive)
        finally:
            server.store = store
        if kind == "hang_up":
            self._faults.applied.append(kind)
            await hang_up(receive)
            return
        corrupted = (
            self._corrupt(scope["query_string"], kind, random, answer.body)
            if answer.status == 200
            else Response(answer.body, answer.status, _HEADERS)
        )
        if corrupted.body != answer.body or (kind == "expire" and answer.status == 410):
            self._faults.applied.append(kind or "poison")
        await corrupted(scope, receive, send)

    def _corrupt(self, query: bytes, kind: str, random: Random, body: bytes) -> Response:
        if kind.startswith("error_"):
            return proxy_page(int(kind[6:]), {"Retry-After": "0"})
        if kind == "truncate":
            return Response(body[: random.randrange(1, len(body))].rstrip(b"}] \n"), 200, _HEADERS)
        if b"_summary" in query:
            return Response(body, 200, _HEADERS)
        return self._corrupt_page(b"_elements" in query, kind, random, body)

    def _corrupt_page(self, has_ids_only: bool, kind: str, random: Random, body: bytes) -> Response:
        plan, bundle = self._faults.plan, _members(body)
        entries = _entries(bundle.get("entry", b"[]"))
        changed = _CORRUPTIONS[kind](self._faults, random, entries) if kind in _CORRUPTIONS else entries
        if not has_ids_only:
            self._faults.last_entries = entries
        ids = [_id_in(entry).resource.id for entry in changed]
        if plan.cannot_give.intersection(ids) and not (has_ids_only and plan.gives_ids):
            return Response(b'{"resourceType":"OperationOutcome"}', 500, _HEADERS)
        if plan.malformed.intersection(ids) and not has_ids_only:
            changed = [
                _garbled(entry) if name in plan.malformed else entry for entry, name in zip(changed, ids, strict=True)
            ]
        if kind == "loop":
            bundle["link"] = msgspec.Raw(bytes(bundle.get("link", b"[]")).replace(b'"self"', b'"next"', 1))
        elif changed == entries:
            return Response(body, 200, _HEADERS)
        bundle.pop("entry", None)
        text = b",".join(map(bytes, changed))
        return Response(b'%s,"entry":[%s]}' % (msgspec.json.encode(bundle)[:-1], text), 200, _HEADERS)


def as_of(store: FhirStore, before_ms: int) -> FhirStore:
    """Copy a store as it was before an instant."""
    copy = FhirStore(store.clock)
    for version in sorted(store.history(), key=lambda version: version.sequence):
        if version.last_updated_ms < before_ms:
            copy.keep(version.resource_type, version.id, version.version_id, version.last_updated_ms, version.body)
    return copy


def _drop(faults: Faults, random: Random, entries: Entries) -> Entries:
    gone = random.randrange(max(1, len(entries)))
    return entries[:gone] + entries[gone + 1 :]


def _repeat_page(faults: Faults, random: Random, entries: Entries) -> Entries:
    return faults.last_entries


def _twice(faults: Faults, random: Random, entries: Entries) -> Entries:
    return entries + entries[: random.randint(1, 3)]


def _reorder(faults: Faults, random: Random, entries: Entries) -> Entries:
    return random.sample(entries, len(entries))


def _filter(faults: Faults, random: Random, entries: Entries) -> Entries:
    return [entry for entry in entries if _id_in(entry).resource.id not in faults.plan.filtered]


def _remark(faults: Faults, random: Random, entries: Entries) -> Entries:
    return [*entries, REMARK]


_CORRUPTIONS: dict[str, Callable[[Faults, Random, Entries], Entries]] = {
    "drop": _drop, "repeat_page": _repeat_page, "twice": _twice, "reorder": _reorder, "filter": _filter,
    "remark": _remark,
}  # fmt: skip
KINDS = _CORRUPTIONS.keys() | {"expire", "truncate", "hang_up", "stale", "loop", "error_500", "error_502", "error_503"}


def _garbled(entry: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(bytes(entry).replace(b'"resourceType"', b'"nul":nul,"resourceType"', 1))


def _is_search(scope: Scope) -> bool:
    path = scope["path"].removeprefix("/fhir").strip("/")
    return scope["method"] == "GET" and scope["path"].startswith("/fhir") and path != "metadata" and "/" not in path


def faults_route(faults: Faults) -> Callable[[Request], Any]:
    """Make the handler of POST /sandbox/faults: a plan as JSON, 204, or 400 with what a plan has."""

    async def begin(request: Request) -> Response:
        try:
            faults.begin(msgspec.json.decode(await request.body(), type=Plan))
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status_code=204)

    return begin
