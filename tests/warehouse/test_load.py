"""Pages into raw tables, on a real Postgres."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensrp_dhis2.errors import WarehouseUnavailableError
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.load import Load, LoadCounts, table_name
from tests.support.sql import execute, rows

AT = datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A resource, or with a reason a refused one."""

    id: str
    version_id: int = 1
    body: bytes = b'{"v": 1}'
    reason: str = "a reason"
    last_updated: datetime = AT


@pytest.fixture
def flags(warehouse: Warehouse) -> Warehouse:
    """A warehouse with an empty raw.flag."""
    execute(warehouse, "select raw.ensure_table('flag')")
    return warehouse


def load(warehouse: Warehouse, *pages: Sequence[Row], rejected: Sequence[Row] = ()) -> LoadCounts:
    with warehouse.connect() as connection:
        begun = Load(connection, "Flag", source="test")
        for page in pages:
            begun.add(page, rejected)
        return begun.counts()


def stored(warehouse: Warehouse) -> dict[str, tuple[int, Any]]:
    found = rows(warehouse, "select id, version_id, resource from raw.flag where not is_deleted")
    return {one: (version_id, resource) for one, version_id, resource in found}


def kept(warehouse: Warehouse) -> list[Any]:
    return rows(warehouse, "select id, version_id, resource from raw.superseded order by id, version_id")


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [("Patient", "patient"), ("QuestionnaireResponse", "questionnaire_response")],
)
def test_table_name_is_the_type_in_snake_case(resource_type: str, name: str) -> None:
    assert table_name(resource_type) == name


def test_ensure_table_can_be_called_again_and_gives_the_promised_columns(flags: Warehouse) -> None:
    with flags.connect() as connection:
        connection.execute("select raw.ensure_table('flag')")
    columns = "select column_name, data_type, is_nullable from information_schema.columns where table_name = 'flag'"
    assert rows(flags, f"{columns} order by ordinal_position") == [
        ("id", "text", "NO"),
        ("version_id", "bigint", "NO"),
        ("last_updated", "timestamp with time zone", "NO"),
        ("resource", "jsonb", "YES"),
        ("is_deleted", "boolean", "NO"),
        ("load_id", "bigint", "NO"),
    ]


def test_only_a_higher_version_replaces_a_row_and_the_old_one_is_kept(flags: Warehouse) -> None:
    load(flags, [Row("a", 9, b'{"v": 9}'), Row("b", 2, b'{"v": 2}'), Row("c", 2, b'{"v": 2}')])
    counts = load(flags, [Row("a", 10, b'{"v": 10}'), Row("b", 2, b'{"v": "other"}'), Row("c", 1), Row("d")])
    assert (counts.read, counts.inserted, counts.updated, counts.unchanged, counts.rejected) == (4, 1, 1, 2, 0)
    assert stored(flags) == {"a": (10, {"v": 10}), "b": (2, {"v": 2}), "c": (2, {"v": 2}), "d": (1, {"v": 1})}
    assert kept(flags) == [("a", 9, {"v": 9})]


def test_loading_the_same_again_changes_nothing(flags: Warehouse) -> None:
    page = [Row(f"r{number}", number) for number in range(1, 50)]
    first, second = load(flags, page), load(flags, page, page)
    assert (first.inserted, second.unchanged, second.inserted, second.updated) == (49, 98, 0, 0)
    assert rows(flags, "select distinct load_id from raw.flag") == [(first.load_id,)]
    assert kept(flags) == []


def test_highest_version_wins_within_one_page(flags: Warehouse) -> None:
    counts = load(
        flags, [Row("a", 2, b'{"v": 2}'), Row("a", 10, b'{"v": 10}'), Row("a", 9), Row("a", 10, b'{"v": 10}')]
    )
    assert stored(flags) == {"a": (10, {"v": 10})}
    assert (counts.read, counts.inserted, counts.unchanged) == (4, 1, 3)


def test_numbers_keep_their_text(flags: Warehouse) -> None:
    load(flags, [Row("a", 1, b'{"v": [12.50, 0.1234567890123456789, 1234567890123456789012345, 100]}')])
    (text,) = rows(flags, "select resource::text from raw.flag")
    assert text == ('{"v": [12.50, 0.1234567890123456789, 1234567890123456789012345, 100]}',)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"v": "\\u0000"}',
        b'{"v": "\\ud800"}',
        b'{"v": 1e999999}',
        b'{"v": "\x00"}',
        b'{"v": "\xff"}',
        b'{"v": ',
        b"",
        b'{"v": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=["nul", "lone surrogate", "huge number", "nul byte", "no utf-8", "cut off", "empty", "too deep"],
)
def test_a_bad_resource_among_good_ones_is_rejected_and_the_rest_is_loaded(flags: Warehouse, bad: bytes) -> None:
    page = (
        [Row(f"r{number}") for number in range(7)] + [Row("bad", 1, bad)] + [Row(f"s{number}") for number in range(4)]
    )
    counts = load(flags, page, [Row("t")])
    assert (counts.read, counts.inserted, counts.rejected) == (13, 12, 1)
    assert "bad" not in stored(flags)
    ((resource_id, reason, body, load_id),) = rows(flags, "select id, reason, body, load_id from raw.rejected")
    assert (resource_id, bytes(body), load_id) == ("bad", bad, counts.load_id)
    assert reason.startswith("Postgres refuses it: ")


def test_a_version_beyond_a_bigint_is_rejected(flags: Warehouse) -> None:
    counts = load(flags, [Row("a", 10**30), Row("b")])
    assert (counts.inserted, counts.rejected, list(stored(flags))) == (1, 1, ["b"])


def test_what_the_reader_refused_is_kept_with_its_reason_and_only_once(flags: Warehouse) -> None:
    refused = [Row("x", body=b"\xff\x00not text", reason="it is a Patient")]
    counts = [load(flags, [Row("a")], rejected=refused) for _ in range(2)]
    assert [(one.read, one.rejected) for one in counts] == [(2, 1), (2, 1)]
    found = rows(flags, "select resource_type, id, reason, body from raw.rejected")
    assert [(*one[:3], bytes(one[3])) for one in found] == [("Flag", "x", "it is a Patient", b"\xff\x00not text")]


def test_an_error_rolls_everything_of_the_load_back(flags: Warehouse) -> None:
    def load_and_fail() -> None:
        with flags.connect() as connection:
            Load(connection, "Flag", source="test").add([Row("a")], [Row("x")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        load_and_fail()
    assert stored(flags) == {}
    assert rows(flags, "select count(*) from raw.load union all select count(*) from raw.rejected") == [(0,), (0,)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc\\\"'\t\n\r", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=json_values, is_ascii=st.booleans(), indent=st.sampled_from([None, "\t", 1]))
def test_any_json_arrives_as_it_was(flags: Warehouse, value: Any, is_ascii: bool, indent: str | int | None) -> None:
    body = json.dumps({"v": value}, ensure_ascii=is_ascii, indent=indent)
    with flags.connect() as connection:
        connection.execute("truncate raw.flag")
    assert load(flags, [Row("a", 1, body.replace("\n", "\r\n").encode())]).inserted == 1
    assert stored(flags)["a"][1] == {"v": value}


def test_tombstones_keep_the_old_body_and_a_resource_that_comes_back_is_alive(flags: Warehouse) -> None:
    load(flags, [Row("a", 3, b'{"v": 3}'), Row("b")])
    with flags.connect() as connection:
        begun = Load(connection, "Flag", source="test").counts().load_id
        marked = "select raw.mark_deleted('flag', 'Flag', %s, %s)"
        assert connection.execute(marked, (["a", "nobody"], begun)).fetchone() == (1,)
        assert connection.execute(marked, (["a"], begun)).fetchone() == (0,)
    deleted = "select id, resource, load_id from raw.flag where is_deleted"
    assert rows(flags, deleted) == [("a", None, begun)]
    assert kept(flags) == [("a", 3, {"v": 3})]

    counts = load(flags, [Row("a", 3, b'{"v": 3}')])
    assert (counts.updated, stored(flags)["a"]) == (1, (3, {"v": 3}))


def test_a_reader_that_locks_the_table_waits_for_every_load_number_below_the_greatest(flags: Warehouse) -> None:
    with flags.connect() as writer:
        Load(writer, "Flag", source="test").add([Row("a")])
        with pytest.raises(WarehouseUnavailableError, match="55P03"), flags.connect() as reader:
            reader.execute("lock table raw.flag in share mode nowait")
    with flags.connect() as reader:
        reader.execute("lock table raw.flag in share mode nowait")
        assert reader.execute(
            "select max(load_id) >= (select max(load_id) from raw.flag) from raw.load"
        ).fetchone() == (True,)


def test_loads_side_by_side_of_the_same_ids_lose_no_version(flags: Warehouse) -> None:
    ids, versions, start = [f"r{number:03}" for number in range(200)], range(1, 7), Barrier(6)

    def load_version(version_id: int) -> None:
        page = [Row(one, version_id, b'{"v": %d}' % version_id) for one in (ids if version_id % 2 else ids[::-1])]
        with flags.connect() as connection:
            begun = Load(connection, "Flag", source="test")
            start.wait()
            begun.add(page)

    with ThreadPoolExecutor(6) as pool:
        for job in [pool.submit(load_version, version_id) for version_id in versions]:
            job.result()
    assert {version_id for version_id, _ in stored(flags).values()} == {6}
    counted = "select sum(inserted_count), sum(inserted_count + updated_count + unchanged_count) from raw.load"
    assert rows(flags, counted) == [(200, 1200)]
    ((updated,),) = rows(flags, "select sum(updated_count) from raw.load")
    assert rows(flags, "select count(*), count(distinct (id, version_id)) from raw.superseded") == [(updated, updated)]


def test_a_connection_lent_for_one_transaction_can_load_two_types(flags: Warehouse) -> None:
    def load_two(connection: Connection) -> list[int]:
        connection.execute("select raw.ensure_table('patient')")
        both = [Load(connection, resource_type, source="test") for resource_type in ("Flag", "Patient")]
        for one in both:
            one.add([Row("a")])
        return [one.counts().inserted for one in both]

    with flags.connect() as connection:
        assert load_two(connection) == [1, 1]


def test_what_is_loaded_is_compressed_as_its_table_says(flags: Warehouse) -> None:
    """With lz4, where this Postgres was built with it; TEST_DATABASE_URL names one, for the embedded one was not."""
    load(flags, [Row("large", body=b'{"v": "%b"}' % (b"again and " * 400))])
    [(says, is_compressed)] = rows(
        flags,
        "select coalesce(nullif(attcompression::text, ''), left(current_setting('default_toast_compression'), 1)),"
        " (select pg_column_compression(resource) from raw.flag)"
        " from pg_attribute where attrelid = 'raw.flag'::regclass and attname = 'resource'",
    )
    assert {"l": "lz4", "p": "pglz"}[says] == is_compressed
