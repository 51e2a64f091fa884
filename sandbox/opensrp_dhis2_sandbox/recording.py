"""A recording of imports as a file of cases: what was sent, what was answered, and what stood before and after.

It knows the form of the file; it refuses to judge what it reads.
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from opensrp_dhis2.dhis2.models import Reply, ServerVersion
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2_sandbox.dhis2.imports import DataValue, Json, Key
from opensrp_dhis2_sandbox.dhis2.metadata import Metadata

State = Mapping[Key, DataValue]  # tombstones included

_LONG_TEXT = re.compile(r'"<(\d+) x>"')  # how the recordings write a text of 50,001 letters


class Case(NamedTuple):
    """One recorded import with the state before and after it; rows of a strange body are none."""

    number: int
    mutations: tuple[str, ...]
    user: str
    query: dict[str, str]
    body: Json
    reply: Reply
    before: State
    after: State

    @property
    def rows(self) -> list[Any]:
        found = self.body.get("dataValues")
        return found if isinstance(found, list) else []


@dataclass(frozen=True)
class Server:
    """The server that a recording was made on: its metadata, its version and its clock."""

    metadata: Metadata
    version: ServerVersion
    now: datetime

    @property
    def is_atomic(self) -> bool:
        return self.version.import_engine == "atomic"


def read_recording(path: Path, metadata: Json) -> tuple[Server, Iterator[Case]]:
    """Read a file of recorded cases: its first line names the server, each other line is a case.

    Raises: ConfigurationError (terminal) when a line is not what it should be.
    """
    lines = _lines(path)
    header = next(lines, {})
    try:
        version, now = ServerVersion.parse(header["server"]), datetime.fromisoformat(header["date"])
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"{path}, line 1 must be an object with `server` and `date` of the recording"
        ) from None
    return Server(Metadata(metadata), version, now.replace(tzinfo=None)), _cases(path, lines)


def _lines(path: Path) -> Iterator[Json]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                found = json.loads(_LONG_TEXT.sub(lambda match: json.dumps("x" * int(match[1])), line))
                if not isinstance(found, dict):
                    raise ConfigurationError(f"{path}, line {number} is no JSON object: one case a line is wanted")
                yield found
    except (OSError, EOFError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as one JSON object a line, plain or gzipped: {error}"
        ) from None


def _cases(path: Path, lines: Iterator[Json]) -> Iterator[Case]:
    for number, line in enumerate(lines, 2):
        try:
            yield _case(line)
        except (KeyError, TypeError, ValueError):
            text = f"{path}, line {number} is no recorded case: it lacks a member, or a state has rows of another shape"
            raise ConfigurationError(text) from None


def _case(line: Json) -> Case:
    answer, body = line["reply"], line["body"]
    content = answer if isinstance(answer, str) else json.dumps(answer) if answer is not None else ""
    return Case(
        number=line["case"],
        mutations=tuple(str(each) for each in line.get("mutations") or ()),
        user=line["user"],
        query={name: str(text) for name, text in (line["query"] or {}).items()},
        body=body if isinstance(body, dict) else {},
        reply=Reply(line["status"], content.encode(), "application/json"),
        before=_state(line["state_before"]),
        after=_state(line["state_after"]),
    )


def _state(rows: list[list[Any]]) -> dict[Key, DataValue]:
    return {
        Key(*row[:5]): DataValue(value, comment, follow_up, bool(is_deleted), "", "", "")
        for row in rows
        for value, comment, follow_up, is_deleted in [row[5:9]]
    }
