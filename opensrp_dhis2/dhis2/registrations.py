"""Telling DHIS2 that a data set is complete for a unit and a period: calls of their own, after the values.

It knows the requests and what their answers prove; when something is complete is for others to say.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opensrp_dhis2.dhis2.client import ORG_UNITS_PER_READ, Dhis2Client
from opensrp_dhis2.dhis2.imports.summary import ImportCount, read_summary
from opensrp_dhis2.dhis2.models import Reply, Verdict
from opensrp_dhis2.dhis2.reply import Json, check_readable, read_envelope
from opensrp_dhis2.errors import Dhis2Error
from opensrp_dhis2.messages.codes import Reason

PATH = "completeDataSetRegistrations"
REGISTRATIONS_PER_REQUEST = 500
MAX_SPLIT_REQUESTS = 40  # enough to find two guilty ones among 500, and an end where all fail


@dataclass(frozen=True, slots=True)
class Completion:
    """One registration: this data set is complete."""

    data_set: str
    period: str
    org_unit: str
    attribute_option_combo: str


@dataclass(frozen=True, slots=True)
class CompletionVerdict:
    """What became of one: STORED, DELETED, REFUSED, or UNKNOWN where not even a read-back tells."""

    verdict: Verdict
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    """The summary of one request. A conflict is no refusal by itself: missing compulsory fields may only be noted."""

    counts: ImportCount | None
    conflicts: tuple[tuple[str, str], ...]  # what it is about, and DHIS2's words

    @property
    def is_empty(self) -> bool:
        return self.counts is not None and self.counts.taken == self.counts.ignored == 0


Verdicts = dict[Completion, CompletionVerdict]
STORED = CompletionVerdict(Verdict.STORED)


def register(client: Dhis2Client, completions: Sequence[Completion]) -> Verdicts:
    """Register completions in requests of up to 500; repeating it changes nothing but the date of completion.

    2.43 fails the first time in a period that it has never seen, so what fails as a whole is sent once more, and then
    in halves. Where counters do not name the refused ones, the registrations are read back.
    Raises: Dhis2UnavailableError (transient): read back before asking again; another Dhis2Error (terminal).
    Source: recordings 30f to 30q.
    """
    verdicts: Verdicts = {}
    for first in range(0, len(completions), REGISTRATIONS_PER_REQUEST):
        verdicts |= _register_some(client, completions[first : first + REGISTRATIONS_PER_REQUEST])
    return verdicts


def _register_some(client: Dhis2Client, completions: Sequence[Completion]) -> Verdicts:
    answer = _post(client, completions)
    if answer.is_empty:
        answer = _post(client, completions)
    verdicts: Verdicts = {}
    parts, split_requests = [(completions, answer)], 0
    while parts:
        part, answer = parts.pop()
        if answer.is_empty and len(part) > 1 and split_requests < MAX_SPLIT_REQUESTS:
            middle = len(part) // 2
            parts += [(half, _post(client, half)) for half in (part[middle:], part[:middle])]
            split_requests += 2
        else:
            verdicts |= _settled(client, part, answer)
    return verdicts


def _post(client: Dhis2Client, completions: Sequence[Completion]) -> CompletionAnswer:
    rows = [
        {
            "dataSet": completion.data_set,
            "period": completion.period,
            "organisationUnit": completion.org_unit,
            "attributeOptionCombo": completion.attribute_option_combo,
            "completed": True,
        }
        for completion in completions
    ]
    reply = client.send_json("POST", PATH, json.dumps({PATH: rows}).encode())
    answer = read_answer(reply)
    if answer.counts is None:
        check_readable(reply, client.base_url, PATH)
    return answer


def read_answer(reply: Reply) -> CompletionAnswer:
    """Read the summary of a request, without counters where there is none."""
    summary = read_summary(reply) if reply.status in (200, 409) else None
    envelope = read_envelope(reply)
    found = envelope.response.get("conflicts") if envelope else None
    conflicts = tuple((str(row.get("object")), str(row.get("value"))) for row in found or () if isinstance(row, dict))
    return CompletionAnswer(summary.counts if summary else None, conflicts)


def judge(answer: CompletionAnswer, completions: Sequence[Completion]) -> Verdicts:
    """Say what became of each registration as far as the counters prove it; UNKNOWN asks for a read-back: pure."""
    counts, named = answer.counts, {about for about, _ in answer.conflicts}
    refused = [completion for completion in completions if completion.org_unit in named]
    if counts is None or counts.taken + counts.ignored != len(completions):
        reason = Reason.NOTHING_COUNTED if answer.is_empty else Reason.COUNTS_DISAGREE
        return dict.fromkeys(completions, CompletionVerdict(Verdict.UNKNOWN, reason))
    if counts.ignored in (0, len(completions)):
        refused = list(completions) if counts.ignored else []
    elif len(refused) != counts.ignored or len(answer.conflicts) != counts.ignored:
        return dict.fromkeys(completions, CompletionVerdict(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE))
    return dict.fromkeys(completions, STORED) | {completion: _refusal(answer, completion) for completion in refused}


def _settled(client: Dhis2Client, completions: Sequence[Completion], answer: CompletionAnswer) -> Verdicts:
    """Judge, and let what DHIS2 holds speak where its answer does not."""
    verdicts = judge(answer, completions)
    if all(verdict.verdict is not Verdict.UNKNOWN for verdict in verdicts.values()):
        return verdicts
    there = read_registrations(client, completions)
    absent = [completion for completion in completions if completion not in there]
    is_refusal = answer.counts is not None and answer.counts.ignored == len(absent)
    return {
        completion: STORED
        if completion in there
        else _refusal(answer, completion)
        if is_refusal
        else verdicts[completion]
        for completion in completions
    }


def _refusal(answer: CompletionAnswer, completion: Completion) -> CompletionVerdict:
    own = [text for about, text in answer.conflicts if about == completion.org_unit]
    said = own or [text for _, text in answer.conflicts]
    return CompletionVerdict(Verdict.REFUSED, Reason.COMPLETION_REFUSED, "; ".join(dict.fromkeys(said))[:500] or None)


def delete_registrations(
    client: Dhis2Client, completions: Iterable[tuple[Completion, str | None, Sequence[str]]]
) -> Verdicts:
    """Delete registrations, and read back what is left: DHIS2 says the same of what was never there.

    By DELETE, one unit a request. `completed: false` would leave a registration that a reader may count (30m), and
    goes in without a look at expiry and approval; DELETE answers 409 there.
    Args: `completions` with their category combo and category options, or None and nothing for the default combo.
    Raises: Dhis2UnavailableError (transient): ask again, it changes nothing more; another Dhis2Error (terminal).
    Source: recordings 30i, 30j, 30m.
    """
    asked = {completion: _delete(client, completion, combo, options) for completion, combo, options in completions}
    there = read_registrations(
        client, [completion for completion, said in asked.items() if said.verdict is Verdict.UNKNOWN]
    )
    kept = CompletionVerdict(Verdict.REFUSED, Reason.COMPLETION_REFUSED, "DHIS2 keeps it without a word")
    return {
        completion: said
        if said.verdict is Verdict.REFUSED
        else kept
        if completion in there
        else CompletionVerdict(Verdict.DELETED)
        for completion, said in asked.items()
    }


def _delete(
    client: Dhis2Client, completion: Completion, combo: str | None, options: Sequence[str]
) -> CompletionVerdict:
    params = {"ds": completion.data_set, "pe": completion.period, "ou": completion.org_unit}
    reply = client.send("DELETE", PATH, params=params | ({"cc": combo, "cp": ";".join(options)} if combo else {}))
    envelope = read_envelope(reply)
    if reply.status == 409 and envelope:
        return CompletionVerdict(Verdict.REFUSED, envelope.error_code or Reason.COMPLETION_REFUSED, envelope.message)
    if reply.status != 204:
        check_readable(reply, client.base_url, PATH)
    return CompletionVerdict(Verdict.UNKNOWN)


def read_registrations(client: Dhis2Client, completions: Iterable[Completion]) -> dict[Completion, str]:
    """Return those of the completions that stand in DHIS2, with the user name of who registered each.

    Raises: as `Dhis2Client.get_json`.
    """
    units: dict[tuple[str, str], set[str]] = {}
    for completion in completions:
        units.setdefault((completion.data_set, completion.period), set()).add(completion.org_unit)
    found: dict[Completion, str] = {}
    for (data_set, period), among in units.items():
        ordered = sorted(among)
        for first in range(0, len(ordered), ORG_UNITS_PER_READ):
            asked = {"dataSet": data_set, "period": period, "orgUnit": ordered[first : first + ORG_UNITS_PER_READ]}
            found |= {
                _completion(client, row): str(row.get("storedBy"))
                for row in _rows(client, asked)
                if row.get("completed") is not False
            }
    return found


def _rows(client: Dhis2Client, asked: Mapping[str, object]) -> list[Json]:
    """Read registrations, of which DHIS2 says `{}` when it finds none; another object without them is no answer."""
    body = client.get_json(PATH, asked)
    rows = body.get(PATH, None if body else [])
    if not isinstance(rows, list):
        raise client.not_an_answer(PATH, PATH)
    return rows


def _completion(client: Dhis2Client, row: Json) -> Completion:
    try:
        return Completion(row["dataSet"], row["period"], row["organisationUnit"], row["attributeOptionCombo"])
    except KeyError as error:
        raise Dhis2Error(
            f"DHIS2 at {client.base_url} gave a completion without {error}: report it with the server's version",
            url=f"{client.base_url}/api/{PATH}",
        ) from error
