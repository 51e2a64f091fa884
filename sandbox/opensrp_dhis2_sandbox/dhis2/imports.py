"""What both import engines take and give: options, circumstances, stored values, the reply envelope.

It knows shapes only; what is accepted and how it is counted is each engine's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from opensrp_dhis2_sandbox.dhis2.metadata import Metadata, User

Json = dict[str, Any]


class Key(NamedTuple):
    """One cell of DHIS2's data value table, by ids."""

    data_element: str
    period: str
    org_unit: str
    category_option_combo: str
    attribute_option_combo: str


class DataValue(NamedTuple):
    """What is stored under a key; a deleted value stays as a tombstone."""

    value: str | None
    comment: str | None
    follow_up: bool | None
    is_deleted: bool
    stored_by: str
    created_at: str
    last_updated_at: str


class Completion(NamedTuple):
    """A data set registered as complete for a period and an org unit."""

    data_set: str
    period: str
    org_unit: str
    attribute_option_combo: str
    completed_on: str


@dataclass(frozen=True)
class Circumstances:
    """Everything outside the payload on which an import depends."""

    metadata: Metadata
    user: User
    now: datetime
    stored: Callable[[Key], DataValue | None]
    lock_exceptions: frozenset[tuple[str, str, str]]
    approvals: frozenset[tuple[str, str, str, str]]

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def timestamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds")


@dataclass
class Summary:
    """The import summary in the making."""

    status: str = "SUCCESS"
    description: str | None = None
    imported: int = 0
    updated: int = 0
    ignored: int = 0
    deleted: int = 0
    conflicts: list[Json] = field(default_factory=list)
    rejected_indexes: list[int] = field(default_factory=list)
    data_set_complete: str | None = None

    def counts(self) -> Json:
        return {name: getattr(self, name) for name in ("imported", "updated", "ignored", "deleted")}


@dataclass
class ImportResult:
    """The summary, what to write, and the HTTP status that goes with it."""

    summary: Summary
    http_status: int = 200
    writes: dict[Key, DataValue] = field(default_factory=dict)
    completion: Completion | None = None


class RefusedRequest(Exception):
    """A request that DHIS2 answers with a plain envelope instead of a summary."""

    def __init__(self, status: int, message: str | None, error_code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.envelope = web_message(status, message, error_code=error_code)


MESSAGES = {
    "SUCCESS": "Import was successful.",
    "ERROR": "An error occurred, please check import summary.",
}


def web_message(status: int, message: str | None, *, word: str | None = None, error_code: str | None = None) -> Json:
    """Build DHIS2's envelope; `word` is OK, WARNING or ERROR and follows from the status when not given."""
    envelope: Json = {"httpStatus": HTTPStatus(status).phrase, "httpStatusCode": status}
    envelope["status"] = word or ("OK" if status < 400 else "ERROR")
    if message is not None:
        envelope["message"] = message
    if error_code:
        envelope["errorCode"] = error_code
    return envelope


def summary_json(summary: Summary, options: Json | None, *, is_atomic: bool) -> Json:
    """Write a summary as the wire has it; the atomic engine writes its type last."""
    body: Json = {} if is_atomic else {"responseType": "ImportSummary"}
    body["status"] = summary.status
    if options is not None:
        body["importOptions"] = options
    if summary.description:
        body["description"] = summary.description
    body |= {
        "importCount": summary.counts(),
        "conflicts": summary.conflicts,
        "rejectedIndexes": summary.rejected_indexes,
    }
    if summary.data_set_complete is not None:
        body["dataSetComplete"] = summary.data_set_complete
    return body | {"responseType": "ImportSummary"} if is_atomic else body


def summary_envelope(result: ImportResult, options: Json | None, *, is_atomic: bool) -> Json:
    """Wrap a summary in the envelope; WARNING reads differently in the two engines."""
    warning = (
        "Import completed with warnings, please check import summary."
        if is_atomic
        else "One more conflicts encountered, please check import summary."
    )
    word = {"SUCCESS": "OK"}.get(result.summary.status, result.summary.status)
    message = MESSAGES.get(result.summary.status, warning)
    envelope = web_message(result.http_status, message, word=word)
    return envelope | {"response": summary_json(result.summary, options, is_atomic=is_atomic)}


def text_or_none(row: Mapping[str, Any], member: str) -> str | None:
    """Read a member as the row engine's JSON reader does: numbers and booleans become texts."""
    value = row.get(member)
    if isinstance(value, dict | list):
        return None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
