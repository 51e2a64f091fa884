"""Recorded imports judged offline: what the reply says of each row, what the rules forecast, and what the state shows.

It knows cases, cells and verdicts, and takes DHIS2's rules from the sandbox's engines; it refuses to know HTTP.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from opensrp_dhis2.dhis2.models import DataValue, SentValue, Verdict
from opensrp_dhis2_sandbox.dhis2 import atomic_checks, atomic_engine, row_checks, row_engine
from opensrp_dhis2_sandbox.dhis2.atomic_decode import apply_payload_options
from opensrp_dhis2_sandbox.dhis2.imports import Circumstances, Json, Key, RefusedRequest, text_or_none
from opensrp_dhis2_sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID, User
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions, read_options, with_payload_schemes
from opensrp_dhis2_sandbox.dhis2.periods import parse_period
from opensrp_dhis2_sandbox.recording import Case, Server, State

# member of a row -> collection that it names; the order is that of a cell
_PARTS = {
    "dataElement": "dataElements",
    "period": "",
    "orgUnit": "organisationUnits",
    "categoryOptionCombo": "categoryOptionCombos",
    "attributeOptionCombo": "categoryOptionCombos",
}
_SHARED = frozenset({"period", "orgUnit", "attributeOptionCombo"})  # the header may give them for all rows
_HEADER_TEXTS = (*_SHARED, "dataSet")


class Wanted(NamedTuple):
    """What a row asks for: a content in a cell, or its absence; a row that names no cell has no key."""

    key: Key | None
    value: str | None
    is_deletion: bool
    is_droppable_zero: bool


class JudgedRow(NamedTuple):
    """A row's verdicts by the reply and by the rules, and those that the state allows, the fittest first."""

    interpreted: Verdict
    forecast: Verdict
    allowed: tuple[Verdict, ...]


def judge(case: Case, server: Server) -> list[JudgedRow]:
    """Judge every row of a case by the reply alone, by the rules alone, and by the state afterwards."""
    options = _options(case, server)
    wanted = [_wanted(row, case.body, options, server) for row in case.rows]
    interpreted = _interpreted(case, wanted, options, server)
    forecast = forecast_state(case, options, server)
    rows_of = Counter(row.key for row in wanted)
    judged = []
    for row, said in zip(wanted, interpreted, strict=True):
        allowed = allowed_verdicts(row, case.before, case.after)
        if rows_of[row.key] > 1:  # the change may be another row's
            allowed = (*allowed, Verdict.REFUSED)
        foreseen = Verdict.UNKNOWN if forecast is None else allowed_verdicts(row, case.before, forecast)[0]
        judged.append(JudgedRow(Verdict.REFUSED if said is Verdict.BLOCKED else said, foreseen, allowed))
    return judged


def is_like_ours(case: Case, server: Server) -> bool:
    """Return whether the product could send this request: with its options, each cell once, and no blank text."""
    options = _options(case, server)
    wanted = [_wanted(row, case.body, options, server) for row in case.rows]
    cells = Counter(row.key for row in wanted if row.key)
    has_blank = any(not (row.value or "").strip() and not row.is_deletion for row in wanted)
    return _has_our_options(case, options) and max(cells.values(), default=1) == 1 and not has_blank


def allowed_verdicts(wanted: Wanted, before: State, after: State) -> tuple[Verdict, ...]:
    """List the verdicts on a row that agree with what stood and what stands, the one that says most first.

    A state cannot show more: a row that was refused while its cell held the same value already looks unchanged.
    """
    if wanted.key is None:
        return (Verdict.REFUSED,)
    stood, stands = before.get(wanted.key), after.get(wanted.key)
    if stands is not None and not stands.is_deleted:
        if wanted.is_deletion or stands.value != wanted.value:
            return (Verdict.REFUSED,)
        return (Verdict.STORED,) if stood != stands else (Verdict.UNCHANGED, Verdict.STORED, Verdict.REFUSED)
    if not wanted.is_deletion and not wanted.is_droppable_zero:
        return (Verdict.REFUSED,)
    gone = Verdict.DELETED if wanted.is_deletion else Verdict.DROPPED
    return (gone,) if stood is not None and not stood.is_deleted else (gone, Verdict.REFUSED)


def _options(case: Case, server: Server) -> ImportOptions | None:
    """Read the options of query and payload together; None when DHIS2 would refuse them."""
    try:
        options = read_options(case.query, is_atomic=server.is_atomic)
        if not server.is_atomic:
            return with_payload_schemes(case.body, options)
        apply_payload_options(case.body, options)
    except RefusedRequest:
        return None
    return options


def _wanted(row: Any, body: Json, options: ImportOptions | None, server: Server) -> Wanted:
    if not isinstance(row, dict):
        return Wanted(None, None, is_deletion=False, is_droppable_zero=False)
    key, value = _cell(row, body, options or ImportOptions(), server), text_or_none(row, "value")
    is_deletion = row.get("deleted") is True or (options is not None and options.strategy == "DELETE")
    if key is None:
        return Wanted(None, value, is_deletion, is_droppable_zero=False)
    element = server.metadata.objects["dataElements"][key.data_element]
    normalise = atomic_checks.normalise if server.is_atomic else row_checks.normalise
    is_zero = is_droppable_zero(
        value,
        value_type=element["valueType"],
        aggregation_type=element.get("aggregationType", ""),
        is_zero_significant=bool(element.get("zeroIsSignificant")),
    )
    return Wanted(key, normalise(value, element["valueType"]), is_deletion, is_zero and not server.is_atomic)


def _cell(row: Json, body: Json, options: ImportOptions, server: Server) -> Key | None:
    """Find the cell of a row by ids; None when a part of it is not in the metadata."""
    parts: list[str | None] = []
    for member, (own, shared) in _given(row, body).items():
        if own is None and shared is None and member.endswith("OptionCombo"):
            parts.append(DEFAULT_OPTION_COMBO_ID)
        elif server.is_atomic:
            parts.append(_find(member, own or shared, options, server))
        else:  # a header that can be read wins
            parts.append(_find(member, shared, options, server) or _find(member, own, options, server))
    return Key(*(part for part in parts if part)) if all(parts) else None


def _given(row: Json, body: Json) -> dict[str, tuple[str | None, str | None]]:
    """Return each part of a cell as the row has it and as the header has it."""
    return {name: (text_or_none(row, name), text_or_none(body, name) if name in _SHARED else None) for name in _PARTS}


def _find(member: str, text: str | None, options: ImportOptions, server: Server) -> str | None:
    text = text if server.is_atomic or text is None else text.strip()
    if not text:
        return None
    if member == "period":
        period = parse_period(text)
        return period.iso if period else None
    # before 2.43 one scheme serves both combos
    named = member if server.is_atomic else member.replace("attribute", "category")
    return server.metadata.find_id(_PARTS[member], options.scheme(f"{named}IdScheme"), text)


def _interpreted(case: Case, wanted: list[Wanted], options: ImportOptions | None, server: Server) -> list[Verdict]:
    if not _has_our_options(case, options):
        return [Verdict.UNKNOWN] * len(wanted)
    sent = [_sent(row, case.body, each, server) for row, each in zip(case.rows, wanted, strict=True)]
    return [row.verdict for row in interpret(case.reply, sent, server.version).rows]


def _sent(row: Any, body: Json, wanted: Wanted, server: Server) -> SentValue:
    """Write a row as our client would send it: by ids where they are found, else by what stood there."""
    row = row if isinstance(row, dict) else {}
    found = (own or shared if server.is_atomic else shared or own for own, shared in _given(row, body).values())
    key = wanted.key or Key(*(text or "" for text in found))
    return SentValue(DataValue(*key, text_or_none(row, "value"), wanted.is_deletion), wanted.is_droppable_zero)


def forecast_state(case: Case, options: ImportOptions | None, server: Server) -> State | None:
    """Return the state that the rules foresee from metadata, state before, user and clock.

    None where the rules do not reach: an unknown user, or a body of another kind than plain rows.
    """
    user = server.metadata.users.get(case.user)
    if user is None or not _is_plain(case.body):
        return None
    if options is None or _is_dry_run(case, options) or not user.has("F_DATAVALUE_ADD"):
        return case.before
    import_values = atomic_engine.import_values if server.is_atomic else row_engine.import_values
    try:
        return {**case.before, **import_values(case.body, options, _circumstances(case, user, server)).writes}
    except RefusedRequest:
        return case.before


def _has_our_options(case: Case, options: ImportOptions | None) -> bool:
    """Return whether the product asks so: it tries nothing out, and creates, changes and deletes."""
    if options is None:
        return True  # DHIS2 refuses it, whoever sends it
    return not _is_dry_run(case, options) and options.strategy in ("CREATE_AND_UPDATE", "DELETE")


def _is_dry_run(case: Case, options: ImportOptions) -> bool:
    return options["dryRun"] is True or case.body.get("dryRun") is True


def _circumstances(case: Case, user: User, server: Server) -> Circumstances:
    return Circumstances(
        metadata=server.metadata,
        user=user,
        now=server.now,
        stored=case.before.get,
        lock_exceptions=frozenset(),
        approvals=frozenset(),
    )


def _is_plain(body: Json) -> bool:
    """Tell a body whose rows have plain members, as this project and most others send; the rules take no other."""
    rows = body.get("dataValues")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return False
    header = {name: value for name, value in body.items() if name != "dataValues"}
    return all(isinstance(body.get(name), str | None) for name in _HEADER_TEXTS) and not any(
        isinstance(value, dict | list) for owner in (header, *rows) for value in owner.values()
    )


@dataclass
class Score:
    """How rows came out by one way of judging; a false claim says `stored` of what is not."""

    right_count: int = 0
    wrong_count: int = 0
    unknown_count: int = 0
    false_claim_count: int = 0

    @property
    def row_count(self) -> int:
        return self.right_count + self.wrong_count + self.unknown_count

    def add(self, said: Verdict, allowed: tuple[Verdict, ...]) -> bool:
        """Count one verdict and say whether it is wrong."""
        if said is Verdict.UNKNOWN:
            self.unknown_count += 1
            return False
        self.right_count += said in allowed
        self.wrong_count += said not in allowed
        self.false_claim_count += said is Verdict.STORED and said not in allowed
        return said not in allowed
