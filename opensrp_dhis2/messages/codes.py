"""Every reason for which a value may not be stored: how far it reaches, whose job it is, and what becomes of it once mended.

It knows DHIS2's codes of both import engines and our own words for what has no code, one line each in codes.toml; the
sentences stand in <language>.toml. When a value is tried again is decided in sql/functions/outbox_refusal.sql.
"""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from opensrp_dhis2.messages.catalogue import catalogue

MOST_TRIES = 7  # days on which a value is tried again though nothing changed that we can see


class Level(StrEnum):
    """How far a code reaches."""

    REQUEST = "request"  # every row, whoever is guilty
    DECODE = "decode"  # names one row and stops the whole request
    GROUP = "group"  # names ids and stops every row of the data set
    VALUE = "value"  # the rows it names, and no other


class Owner(StrEnum):
    """Whose job it is to mend it."""

    US = "us"
    MAPPING = "mapping"
    ADMINISTRATOR = "DHIS2 administrator"
    DATA_OWNER = "data owner"


class Reason(StrEnum):
    """Our own words for what DHIS2 says without a code, or does not say at all."""

    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_LOCKED = "account_locked"
    BAD_REQUEST = "bad_request"
    BEARER_REFUSED = "bearer_refused"
    BEYOND_OPEN_PERIODS = "beyond_open_periods"
    COMPLETION_REFUSED = "completion_refused"
    COUNTS_DISAGREE = "counts_disagree"
    EMPTY_REPLY = "empty_reply"
    FLUSH_FAILED = "flush_failed"
    FORBIDDEN = "forbidden"
    FOREIGN_EDIT = "foreign_edit"
    IMPORT_FAILED = "import_failed"
    NOTHING_COUNTED = "nothing_counted"
    NOT_A_SUMMARY = "not_a_summary"
    NOT_JSON = "not_json"
    OUTSIDE_SUBMISSION_HOURS = "outside_submission_hours"
    PAT_ADDRESS = "pat_address"
    PAT_EXPIRED = "pat_expired"
    PAT_METHOD = "pat_method"
    PAT_MISCOPIED = "pat_miscopied"
    PAT_REFUSED = "pat_refused"
    PAT_UNKNOWN = "pat_unknown"
    REDIRECTED = "redirected"
    REQUEST_TIMEOUT = "request_timeout"
    SERVER_ERROR = "server_error"
    SERVER_SILENT = "server_silent"
    TOO_LARGE = "too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAUTHORIZED = "unauthorized"
    UNEXPLAINED_REJECTION = "unexplained_rejection"
    UNQUOTED_MEMBER = "unquoted_member"
    UNREADABLE_PERIOD = "unreadable_period"
    VALUE_MISSING = "value_missing"
    VALUE_VANISHED = "value_vanished"
    WRITE_LOST = "write_lost"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code in plain words, for the person who must act."""

    code: str
    sentence: str
    owner: Owner
    owner_label: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Code:
    """One line of codes.toml.

    `word`: what 2.43 calls the same cause, which lists and files use, as outbox.word has it. `then`: what is left to do once
    it is mended (nothing: the next report tries again; wait: it does for a week; requeue: a command; None: the remedy says).
    `judged`: outbox.objection finds the cause in our metadata too. `passing`: it may pass without a trace in what we know of
    DHIS2, such as an approval or a fault of the server. `account`: it concerns the account, and so every value.
    """

    owner: Owner
    level: Level | None = None
    word: str | None = None
    then: str | None = None
    account: bool = False
    judged: bool = False
    passing: bool = False


UNKNOWN = Code(Owner.ADMINISTRATOR, then="requeue")


@cache
def codes() -> dict[str, Code]:
    """Return every code that is known."""
    rows = tomllib.loads(Path(__file__).with_name("codes.toml").read_text("utf-8"))
    return {
        name: Code(**row | {"owner": Owner(row["owner"]), "level": Level(row["level"]) if "level" in row else None})
        for name, row in rows.items()
    }


def level_of(code: str | None) -> Level | None:
    """Return how far a code reaches; None for a code that is not known."""
    return codes().get(code or "", UNKNOWN).level


def concerns_account(code: str | None) -> bool:
    """Return whether a code speaks of the account, so that nothing else that it sends will be taken."""
    return codes().get(code or "", UNKNOWN).account


def explain(code: str, language: str = "en") -> Explanation:
    """Return a code in plain words; one that is not known gets words too.

    The sentence names what the engine before 2.43 calls the cause; the remedy ends with what to do after it.
    """
    words, known = catalogue(language), codes().get(code, UNKNOWN)
    sentence, remedy = words.pair("codes", code) or words.pair("codes", "unknown_code") or ("", "")
    parts = [sentence.format(code=code), _other_word(code, known, language)]
    then = words.text("then", known.then, code=known.word or code) if known.then else ""
    owner_label = words.text("owners", known.owner)
    return Explanation(
        code, " ".join(filter(None, parts)), known.owner, owner_label, " ".join(filter(None, (remedy, then)))
    )


def explain_discrepancy(kind: str, owner: Owner, language: str = "en") -> Explanation:
    """Return a kind of discrepancy in plain words. Raises: KeyError for none."""
    words = catalogue(language)
    sentence, remedy = words.pair("discrepancies", kind) or ("", "")
    return Explanation(kind, sentence, owner, words.text("owners", owner), remedy)


def retry_rules() -> tuple[list[str], list[str], int]:
    """Return what the ledger must know of codes: those that our metadata judge, those that pass unseen, and how long."""
    judged = sorted(name for name, code in codes().items() if code.judged)
    passing = sorted(name for name, code in codes().items() if code.passing)
    return judged, passing, MOST_TRIES


def _other_word(code: str, known: Code, language: str) -> str:
    words = catalogue(language)
    if known.word:
        return words.text("engines", "here", code=known.word)
    older = sorted(name for name, other in codes().items() if other.word == code)
    return words.text("engines", "before", codes=", ".join(older)) if older else ""
