"""No reply whatever makes a value stored, deleted or dropped that the server did not count."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import Reply, SentValue, ServerVersion, Verdict
from tests.support.import_reply import a_reply, a_value

OLD, NEW = ServerVersion.parse("2.41.9.1"), ServerVersion.parse("2.43.1")
DONE = {Verdict.STORED, Verdict.UNCHANGED, Verdict.DELETED, Verdict.DROPPED}

COUNTER = st.one_of(st.integers(-2, 12), st.none(), st.booleans(), st.text(max_size=2), st.floats(0, 9))
CONFLICT = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {
            "errorCode": st.sampled_from(
                ["E7611", "E7619", "E7601", "E8020", "E8022", "E8104", "E8122", "E9999", None, 7]
            ),
            "indexes": st.one_of(st.none(), st.lists(st.one_of(st.integers(-2, 12), st.text(max_size=1)), max_size=8)),
            "objects": st.one_of(
                st.none(), st.fixed_dictionaries({"args": st.sampled_from(["DsMonthly01-[OuFacilit01]", "3-x", "", 5])})
            ),
        }
    ),
)
SUMMARY = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["SUCCESS", "WARNING", "ERROR", None]),
        "importCount": st.fixed_dictionaries(dict.fromkeys(("imported", "updated", "ignored", "deleted"), COUNTER)),
        "conflicts": st.one_of(st.none(), st.lists(CONFLICT, max_size=3)),
        "rejectedIndexes": st.one_of(st.none(), st.lists(st.integers(-2, 12), max_size=6)),
    },
    optional={"description": st.text(max_size=5), "importOptions": st.just({"dryRun": False})},
)
SENT = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["5", "0", " ", None]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=9,
).map(
    lambda rows: [
        a_value(number, value=value, is_deleted=is_deleted, is_droppable_zero=is_zero and value == "0")
        for number, value, is_deleted, is_zero in rows
    ]
)


@settings(max_examples=600, deadline=None)
@given(
    status=st.sampled_from([200, 201, 302, 400, 401, 409, 500, 502]),
    summary=SUMMARY,
    sent=SENT,
    version=st.sampled_from([OLD, NEW, None]),
)
def test_every_reply_is_read_into_as_many_verdicts_as_values_and_never_trusted_beyond_200_and_409(
    status: int, summary: dict[str, Any], sent: list[SentValue], version: ServerVersion | None
) -> None:
    envelope = {"httpStatus": "x", "httpStatusCode": status, "status": "OK", "response": summary}
    read = interpret(Reply(status, json.dumps(envelope).encode(), "application/json"), sent, version)
    assert len(read.rows) == len(sent)
    assert status in (200, 409) or not DONE & read.tally().keys()


@settings(max_examples=600, deadline=None)
@given(
    status=st.sampled_from([200, 409]),
    said=st.sampled_from([("ERROR", True), ("ERROR", False), ("WARNING", False), (None, True), (None, False)]),
    summary=SUMMARY,
    counts=st.one_of(st.just((0, 0, 0, 0)), st.tuples(*[st.integers(0, 4)] * 4)),
    sent=SENT,
    version=st.sampled_from([OLD, OLD, NEW, None]),
)
def test_an_import_that_failed_has_stored_deleted_and_dropped_nothing_that_is_certain(
    status: int,
    said: tuple[str | None, bool],
    summary: dict[str, Any],
    counts: tuple[int, int, int, int],
    sent: list[SentValue],
    version: ServerVersion | None,
) -> None:
    """A failed import of zeros counts what a good one counts; and a WARNING has its conflicts in every recording."""
    names = ("imported", "updated", "ignored", "deleted")
    members = {**summary, "status": said[0], "importCount": dict(zip(names, counts, strict=True)), "description": "x"}
    members |= {} if said[1] else {"conflicts": []}
    envelope = {"httpStatus": "x", "httpStatusCode": status, "status": "ERROR", "response": members}
    reply = Reply(status, json.dumps(envelope).encode(), "application/json")
    assert not DONE & interpret(reply, sent, version).tally().keys()


@settings(max_examples=600, deadline=None)
@given(summary=SUMMARY, sent=SENT, version=st.sampled_from([OLD, NEW, None]))
def test_only_an_old_server_drops_and_only_a_zero_that_means_nothing(
    summary: dict[str, Any], sent: list[SentValue], version: ServerVersion | None
) -> None:
    envelope = {"httpStatus": "x", "httpStatusCode": 200, "status": "OK", "response": summary}
    read = interpret(Reply(200, json.dumps(envelope).encode(), "application/json"), sent, version)
    dropped = [one for one, row in zip(sent, read.rows, strict=True) if row.verdict is Verdict.DROPPED]
    assert all(one.is_droppable_zero and not one.data_value.is_deleted for one in dropped)
    assert version is OLD or not dropped


@settings(max_examples=1500, deadline=None)
@given(
    status=st.sampled_from([200, 200, 409, 201, 500]),
    size=st.integers(1, 4),
    refused=st.sets(st.integers(0, 3)),
    counts=st.tuples(*[st.integers(-1, 4)] * 4),
    description=st.sampled_from([None, "Import process completed successfully"]),
    version=st.sampled_from([OLD, NEW, None]),
)
def test_plain_values_are_stored_exactly_when_every_one_of_them_is_counted(
    status: int,
    size: int,
    refused: set[int],
    counts: tuple[int, int, int, int],
    description: str | None,
    version: ServerVersion | None,
) -> None:
    named = sorted(index for index in refused if index < size)
    conflicts = [{"errorCode": "E7619", "objects": {}, "indexes": [index]} for index in named]
    members = {"conflicts": conflicts, **({"description": description} if description else {})}
    read = interpret(a_reply(status, counts, **members), [a_value(n) for n in range(size)], version)
    imported, updated, ignored, deleted = counts
    left, unexplained = size - len(named), ignored - len(named)
    if version is OLD and description:
        is_right = imported + updated + unexplained == left and unexplained >= 0 and deleted == 0
    else:
        is_right = imported + updated + deleted == left and unexplained == 0
    is_right = is_right and min(counts) >= 0 and status in (200, 409)
    done = sum(row.verdict in DONE for row in read.rows)
    assert done == (left if is_right else 0)


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, 400), version=st.sampled_from([OLD, NEW]))
def test_a_truncated_reply_makes_nothing_stored(cut: int, version: ServerVersion) -> None:
    whole = a_reply(200, (0, 2, 0, 0), description="Import process completed successfully")
    cut = min(cut, len(whole.body) - 1)
    read = interpret(Reply(200, whole.body[:cut], "application/json"), [a_value(0), a_value(1)], version)
    assert read.tally() == {Verdict.UNKNOWN: 2}


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60), status=st.integers(100, 599))
def test_no_bytes_whatever_make_a_value_stored(body: bytes, status: int) -> None:
    assert not DONE & interpret(Reply(status, body), [a_value()], None).tally().keys()
