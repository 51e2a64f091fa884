"""What a source has, held to a raw table: each kind of difference, what is loaded, and what it means for a person."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from opensrp_dhis2.warehouse.comparison import AtSource, Comparison
from opensrp_dhis2.warehouse.database import Connection, Warehouse

AT = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = """insert into raw.flag (id, version_id, last_updated, resource, is_deleted, load_id) values
 ('same', 2, %(at)s, '{"meta": {"tag": [{"code": "a"}]}}', false, 1), ('ahead', 3, %(at)s, '{}', false, 1),
 ('deleted', 1, %(at)s, null, true, 1), ('old', 1, %(at)s, '{}', false, 1), ('anew', 5, %(at)s, '{}', false, 1),
 ('tagged', 2, %(at)s, '{"meta": {"tag": [{"code": "a"}]}}', false, 1), ('gone', 1, %(at)s, '{}', false, 1),
 ('new', 1, %(late)s, '{}', false, 1), ('restamped', 1, %(at)s, '{}', false, 1)"""
THERE = [
    AtSource("same", 2, AT, "any"),  # replaced below by the tags that it has
    AtSource("ahead", 2, AT - HOUR),
    AtSource("deleted", 1, AT),
    AtSource("old", 2, AT + HOUR),
    AtSource("anew", 1, AT + HOUR),
    AtSource("tagged", 2, AT, hashlib.md5(b"|b", usedforsecurity=False).hexdigest()),
    AtSource("restamped", 1, AT - HOUR),
    AtSource("missing", 1, AT),
    AtSource("missing", 2, AT + HOUR),  # the newest version of an id counts
]


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[Connection]:
    with warehouse.connect() as lent:
        lent.execute("select raw.ensure_table('flag')")
        lent.execute(HERE, {"at": AT, "late": AT + 5 * HOUR})
        yield lent


@pytest.fixture
def comparison(connection: Connection) -> Comparison:
    made = Comparison(connection, "Flag")
    tags = hashlib.md5(b"|a", usedforsecurity=False).hexdigest()
    made.add([THERE[0]._replace(tags_md5=tags), *THERE[1:]])
    return made


def test_each_difference_has_its_kind(comparison: Comparison) -> None:
    found = {each.id: each.kind for each in comparison.differences(is_whole=True)}
    assert found == {
        "ahead": "rolled_back", "anew": "older", "deleted": "missing", "gone": "gone", "missing": "missing", "new": "gone",
        "old": "older", "restamped": "restamped", "tagged": "retagged",
    }  # fmt: skip
    assert comparison.count() == 8


def test_of_some_ids_none_is_gone(comparison: Comparison) -> None:
    found = {each.id: each.version_id for each in comparison.differences(is_whole=False)}
    assert {"gone", "new"}.isdisjoint(found)
    assert (found["missing"], found["old"]) == (2, 1)


def test_what_is_loaded_is_counted_at_its_version_or_later_and_the_rest_is_named(comparison: Comparison) -> None:
    found = comparison.loaded()
    assert (found.count, found.absent_ids, found.rejected_ids) == (4, ["anew", "deleted", "missing", "old"], [])
    assert found.digest == hashlib.md5(b"ahead,restamped,same,tagged", usedforsecurity=False).hexdigest()


def test_ids_are_put_in_order_by_bytes(connection: Connection) -> None:
    connection.execute(
        "insert into raw.flag select id, 1, now(), '{}', false, 1 from unnest(array['B', 'a']) as i (id)"
    )
    made = Comparison(connection, "Flag")
    made.add([AtSource("a", 1), AtSource("B", 1)])
    assert made.loaded().digest == hashlib.md5(b"B,a", usedforsecurity=False).hexdigest()
    assert Comparison(connection, "Flag").loaded().digest == hashlib.md5(b"", usedforsecurity=False).hexdigest()


def test_what_was_refused_since_is_named_as_rejected(connection: Connection, comparison: Comparison) -> None:
    connection.execute(
        "insert into raw.rejected (resource_type, id, reason, body, load_id)"
        " select 'Flag', id, '', '', load_id from (values ('missing', 1), ('old', 1), ('anew', 0)) v (id, load_id)"
    )
    assert comparison.loaded().rejected_ids == ["missing", "old"]


def test_findings_leave_out_what_is_not_due_and_what_was_written_here_meanwhile(comparison: Comparison) -> None:
    found = comparison.findings(AT + 30 * timedelta(minutes=1), AT + 2 * HOUR)
    assert found == {
        "gone": (1, ["gone"]), "missing": (1, ["deleted"]), "not_due": (3, ["anew", "missing", "old"]),
        "stale": (2, ["ahead", "restamped"]),
    }  # fmt: skip


def test_an_id_may_hold_any_text(connection: Connection) -> None:
    made = Comparison(connection, "Flag")
    made.add([AtSource("a\tb\nc\\d", 1)])
    assert [each.id for each in made.differences(is_whole=False)] == ["a\tb\nc\\d"]
