"""The rows of slices: planned together, certified one by one, and the watermark only where no gap is."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.state import Certificate, Slice

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOBODY = "d41d8cd98f00b204e9800998ecf8427e"


def plan(connection: Connection, *days: int, kind: state.Kind = "window") -> list[Slice]:
    """Plan slices that end at these days, the first of them at the epoch."""
    cuts = [(EPOCH + DAY * a, EPOCH + DAY * b, 10) for a, b in itertools.pairwise(days)]
    return state.plan(connection, "http://a", "Flag", kind, timedelta(), cuts)


def certify(connection: Connection, *done: Slice) -> datetime | None:
    for one in done:
        state.finish(connection, one.slice_id, Certificate("certified", 10, NOBODY, 10, NOBODY))
    return state.read_to(connection, "http://a", "Flag")


def test_the_watermark_moves_over_certified_slices_without_a_gap(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        first, second, third = plan(connection, 0, 10, 20, 30)
        assert certify(connection, third) is None
        assert certify(connection, first) == EPOCH + 10 * DAY
        state.finish(connection, second.slice_id, Certificate("incomplete", 10, "x", 9, "y", missing_ids=["a"]))
        assert state.read_to(connection, "http://a", "Flag") == EPOCH + 10 * DAY
        overlapping = plan(connection, 25, 40)
        assert certify(connection, *overlapping) == EPOCH + 10 * DAY
        assert certify(connection, second) == EPOCH + 40 * DAY


def test_a_resweep_moves_no_watermark(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        assert certify(connection, *plan(connection, 0, 10)) == EPOCH + 10 * DAY
        assert certify(connection, *plan(connection, 5, 20, kind="resweep")) == EPOCH + 10 * DAY


def test_a_watermark_from_before_there_were_slices_is_gone_on_from(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        state.move_watermark(connection, "http://a", "Flag", EPOCH + 100 * DAY)
        assert state.unfinished(connection, "http://a", "Flag", "window") == []
        assert certify(connection, *plan(connection, 99, 120)) == EPOCH + 120 * DAY


def test_slices_are_planned_all_or_none_and_those_unfinished_are_found_again(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        plan(connection, 0, 10, 10)
    with warehouse.connect() as connection:
        assert state.unfinished(connection, "http://a", "Flag", "window") == []
        planned = plan(connection, 0, 10, 20, 30)
        certify(connection, planned[1])
        state.finish(connection, planned[2].slice_id, Certificate("loaded", 10, "x", 9, "y"))
        found = state.unfinished(connection, "http://a", "Flag", "window")
        assert [(one.slice_id, one.state) for one in found] == [
            (planned[0].slice_id, "planned"),
            (planned[2].slice_id, "loaded"),
        ]
        assert state.unfinished(connection, "http://b", "Flag", "window") == []
        assert state.unfinished(connection, "http://a", "Flag", "resweep") == []


@pytest.mark.parametrize(
    "untrue",
    [
        Certificate("certified", 10, NOBODY, 9, NOBODY),
        Certificate("certified", 10, NOBODY, 10, "another"),
        Certificate("certified", 10, NOBODY, 10, NOBODY, missing_ids=["a"]),
    ],
)
def test_postgres_keeps_no_certificate_that_is_not_true(warehouse: Warehouse, untrue: Certificate) -> None:
    with warehouse.connect() as connection:
        [planned] = plan(connection, 0, 10)
        with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
            state.finish(connection, planned.slice_id, untrue)
        assert state.read_to(connection, "http://a", "Flag") is None


def test_status_tells_what_is_left_and_shortfalls_name_twenty_ids(warehouse: Warehouse) -> None:
    missing = [f"f{number:03}" for number in range(30)]
    with warehouse.connect() as connection:
        first, second, _ = plan(connection, 0, 10, 20, 30)
        certify(connection, first)
        state.finish(connection, second.slice_id, Certificate("incomplete", 40, "x", 10, "y", missing_ids=missing))
        [row] = state.status(connection, "http://a", ["Flag"])
        [short] = state.incomplete(connection, "http://a", "Flag")
        assert state.status(connection, "http://a", ["Patient"]) == []
    assert row["read_to"] == EPOCH + 10 * DAY
    assert [row[name] for name in ("certified_count", "unfinished_count", "remaining_count")] == [1, 1, 10]
    assert [row["incomplete_count"], row["missing_count"]] == [1, 30]
    assert (short["missing_count"], short["missing_ids"]) == (30, missing[:20])


def test_forgotten_slices_are_planned_from_the_beginning(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        certify(connection, *plan(connection, 0, 10))
        state.forget(connection, "http://a", "Flag")
        stands = state.progress(connection, "http://a", "Flag")
        assert (stands.read_to, stands.planned_to) == (None, None)


def test_two_slices_that_end_at_once_move_the_watermark_over_both(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        first, second = plan(connection, 0, 10, 20)

    def finish_second() -> None:
        with warehouse.connect() as other:
            certify(other, second)

    with ThreadPoolExecutor(1) as pool:
        with warehouse.connect() as one:
            certify(one, first)
            job = pool.submit(finish_second)
            waiting = "select from pg_locks where locktype = 'advisory' and not granted"
            while not job.done() and one.execute(waiting).fetchone() is None:
                pass
        job.result()
    with warehouse.connect() as connection:
        assert state.read_to(connection, "http://a", "Flag") == EPOCH + DAY * 20


def test_the_watermark_of_each_type_and_source_moves_forwards_only(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        assert state.read_to(connection, "http://a", "Flag") is None
        state.move_watermark(connection, "http://a", "Flag", EPOCH + DAY)
        state.move_watermark(connection, "http://a", "Flag", EPOCH)
        assert state.read_to(connection, "http://a", "Flag") == EPOCH + DAY
        assert state.read_to(connection, "http://b", "Flag") is None
        assert state.read_to(connection, "http://a", "Patient") is None
        state.forget(connection, "http://a", "Flag")
        state.move_watermark(connection, "http://a", "Flag", EPOCH)
        assert state.read_to(connection, "http://a", "Flag") == EPOCH
