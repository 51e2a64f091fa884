"""Tables that Airbyte fills, in a database of their own, into raw: complete, in slices, and what is gone from them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from opensrp_dhis2.errors import ConfigurationError, FhirUnavailableError, IncompleteExtractError
from opensrp_dhis2.extract import Extraction, TypeResult
from opensrp_dhis2.extract.airbyte import certify, extract_airbyte, find_airbyte_deletes, sweep_airbyte
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema, Tally
from opensrp_dhis2.warehouse.comparison import Loaded
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import LoadCounts
from tests.support.airbyte import START, TABLE, Airbyte
from tests.support.raw import landed
from tests.support.sql import execute, rows

HOW = Extraction(overlap_seconds=3600, threads=2, validate_share=0)


def flag(one: str, version: int = 1, **more: Any) -> dict[str, Any]:
    stamp = (START + timedelta(minutes=version)).isoformat()
    return {"resourceType": "Flag", "id": one, "meta": {"versionId": str(version), "lastUpdated": stamp}, **more}


@pytest.fixture
def airbyte(empty_database_url: str) -> Airbyte:
    return Airbyte(empty_database_url)


@pytest.fixture
def schema(airbyte: Airbyte) -> AirbyteSchema:
    return AirbyteSchema(airbyte.url)


def run(schema: AirbyteSchema, warehouse: Warehouse) -> TypeResult:
    return extract_airbyte(schema, warehouse, "Flag", HOW)


def test_first_run_reads_everything_and_the_second_what_came_since_and_the_overlap(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"))
    airbyte.write(flag("b"), at=START + timedelta(hours=2))
    first = run(schema, warehouse)
    airbyte.write(flag("c"), flag("a", 2), at=START + timedelta(days=1))
    second = run(schema, warehouse)
    assert (first.read, first.inserted, first.incomplete) == (2, 2, 0)
    assert (second.read, second.inserted, second.updated, second.unchanged, second.incomplete) == (3, 1, 1, 1, 0)
    assert landed(warehouse) == {"a": 2, "b": 1, "c": 1}


def test_an_instant_is_never_parted_however_many_rows_it_has(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write_many(9000, "timestamptz '2026-11-01' + (n / 4000) * interval '1 second'")
    result = run(schema, warehouse)
    assert (result.inserted, result.slices, result.incomplete) == (9000, 3, 0)
    parted = (
        "select count(*) from raw.slice a join raw.slice b on a.window_to > b.window_from and a.slice_id < b.slice_id"
    )
    assert rows(warehouse, parted) == [(0,)]
    read_to = rows(warehouse, "select read_to from raw.watermark")
    assert read_to == [(START + timedelta(seconds=2, microseconds=1),)]


def test_rows_of_the_newest_instant_that_come_later_are_read_by_the_next_run(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"))
    run(schema, warehouse)
    airbyte.write(flag("tie"))
    airbyte.write(flag("late"), at=START - timedelta(minutes=50))
    run(schema, warehouse)
    assert landed(warehouse) == {"a": 1, "tie": 1, "late": 1}


def test_what_is_committed_later_than_the_overlap_is_found_by_comparing_ids(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"))
    run(schema, warehouse)
    airbyte.write(flag("late"), flag("a", 2), at=START - timedelta(days=2))
    run(schema, warehouse)
    assert landed(warehouse) == {"a": 1}
    found = find_airbyte_deletes(schema, warehouse, "Flag")
    assert landed(warehouse) == {"a": 2, "late": 1}
    assert found.sweep
    assert (found.deleted, found.sweep.loaded, found.sweep.source_count) == (0, 2, 2)


def test_of_several_versions_in_append_mode_the_newest_wins_in_any_order(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a", 3), flag("a", 1))
    airbyte.write(flag("a", 2), at=START + timedelta(days=1))
    result = run(schema, warehouse)
    assert (result.read, result.incomplete) == (3, 0)
    assert landed(warehouse) == {"a": 3}


def test_every_slice_has_a_certificate_by_the_sources_own_count_and_digest(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write_many(5000)
    run(schema, warehouse)
    certified = rows(
        warehouse,
        "select count(*), sum(source_count), sum(loaded_count), bool_and(source_digest = loaded_digest)"
        " from raw.slice where state = 'certified'",
    )
    assert certified == [(3, 5000, 5000, True)]


def test_what_is_no_resource_of_the_type_is_rejected_counted_and_certified(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    without_meta, patient = flag("no-meta"), flag("p") | {"resourceType": "Patient"}
    del without_meta["meta"]
    airbyte.write(flag("a"), without_meta, patient, {"resourceType": "Flag"}, [1], "text", None, {"id": 5})
    result = run(schema, warehouse)
    assert (result.read, result.inserted, result.rejected, result.incomplete) == (8, 1, 7, 0)
    assert landed(warehouse) == {"a": 1}
    assert rows(warehouse, "select rejected_count, state from raw.slice") == [(7, "certified")]
    assert rows(warehouse, "select count(*) from raw.rejected") == [(7,)]


def test_a_watermark_is_named_by_host_database_and_schema_and_by_no_secret(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"))
    run(schema, warehouse)
    ((source,),) = rows(warehouse, "select distinct source from raw.watermark")
    assert source == schema.source
    named = AirbyteSchema("postgresql+psycopg://reader:hunter2@db.example/echis", "fhir").source
    assert named == "airbyte db.example:5432/echis/fhir"
    assert AirbyteSchema("host=db.example dbname=echis password=hunter2", "fhir").source == named


def test_a_killed_run_is_finished_by_the_next(airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse) -> None:
    airbyte.write_many(5000)
    run(schema, warehouse)
    # as if the second slice had never ended
    execute(warehouse, "update raw.slice set state = 'planned' where slice_id = 2")
    execute(warehouse, "update raw.watermark set read_to = (select window_to from raw.slice where slice_id = 1)")
    execute(warehouse, "delete from raw.flag where id = 'm2500'")
    assert "m2500" not in landed(warehouse)
    run(schema, warehouse)
    assert len(landed(warehouse)) == 5000
    assert rows(warehouse, "select count(*) from raw.slice where state <> 'certified'") == [(0,)]


def test_a_table_that_was_overwritten_later_is_read_anew(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"), flag("b"))
    run(schema, warehouse)
    airbyte.sql("drop table airbyte.flag")
    airbyte.sql(TABLE.format("flag"))
    airbyte.write(flag("a", 2), flag("c"), at=START + timedelta(days=7))
    run(schema, warehouse)
    find_airbyte_deletes(schema, warehouse, "Flag")
    assert landed(warehouse) == {"a": 2, "c": 1}
    assert rows(warehouse, "select id from raw.flag where is_deleted") == [("b",)]


def test_what_vanished_gets_a_tombstone_and_what_comes_back_loses_it(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"), flag("b"))
    run(schema, warehouse)
    airbyte.sql("delete from airbyte.flag where resource ->> 'id' = 'b'")
    gone = find_airbyte_deletes(schema, warehouse, "Flag")
    assert (gone.deleted, landed(warehouse)) == (1, {"a": 1})
    airbyte.write(flag("b", 3), at=START + timedelta(days=1))
    run(schema, warehouse)
    assert find_airbyte_deletes(schema, warehouse, "Flag").deleted == 0
    assert landed(warehouse) == {"a": 1, "b": 3}


def test_a_resource_that_is_refused_now_is_not_taken_for_gone(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a"))
    run(schema, warehouse)
    airbyte.sql("update airbyte.flag set resource = resource - 'meta'")
    assert find_airbyte_deletes(schema, warehouse, "Flag").deleted == 0
    assert landed(warehouse) == {"a": 1}


@pytest.mark.parametrize("left", [0, 300])
def test_a_table_that_is_mostly_empty_is_an_error_and_marks_nothing(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse, left: int
) -> None:
    airbyte.write_many(500)
    run(schema, warehouse)
    airbyte.sql(f"delete from airbyte.flag where substr(resource ->> 'id', 2)::int > {left}")
    with pytest.raises(IncompleteExtractError, match=rf"{500 - left} of 500 Flag resources here are not in airbyte"):
        find_airbyte_deletes(schema, warehouse, "Flag")
    assert len(landed(warehouse)) == 500
    assert sweep_airbyte(schema, warehouse, "Flag", max_share=1).deleted == 500 - left


@pytest.mark.parametrize("name", ["questionnaireresponse", "questionnaire_response", '"QuestionnaireResponse"'])
def test_a_table_is_found_however_airbyte_named_it(airbyte: Airbyte, schema: AirbyteSchema, name: str) -> None:
    airbyte.sql(TABLE.format(name))
    with schema.table("QuestionnaireResponse") as table:
        assert table.newest(START) == (0, None)


def test_a_table_that_is_missing_is_named_with_its_schema(schema: AirbyteSchema, warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match=r"/airbyte\.encounter: it is not there"):
        extract_airbyte(schema, warehouse, "Encounter", HOW)


def test_two_tables_for_one_type_are_not_guessed_between(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.sql(TABLE.format('"Flag"'))
    with pytest.raises(ConfigurationError, match="there are Flag and flag"):
        run(schema, warehouse)


def test_a_table_with_other_columns_says_which_it_lacks(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.sql("create table airbyte.patient (_airbyte_emitted_at timestamptz, resource text)")
    with pytest.raises(
        ConfigurationError,
        match=r"no column resource \(jsonb\) and no _airbyte_extracted_at \(timestamp with time zone\)",
    ):
        extract_airbyte(schema, warehouse, "Patient", HOW)


def test_a_column_of_type_json_is_refused_since_it_may_hold_what_jsonb_cannot(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.sql("alter table airbyte.flag alter column resource type json")
    with pytest.raises(ConfigurationError, match=r"no column resource \(jsonb\): .* as jsonb"):
        run(schema, warehouse)


@pytest.mark.parametrize(
    "url", ["postgresql://reader:hunter2@127.0.0.1:1/echis", "host=127.0.0.1 port=1 password=hunter2"]
)
def test_a_server_out_of_reach_is_transient_and_its_password_is_not_shown(url: str, warehouse: Warehouse) -> None:
    with pytest.raises(FhirUnavailableError, match="Check FHIR_AIRBYTE_URL") as error:
        run(AirbyteSchema(url), warehouse)
    assert error.value.is_transient
    assert "hunter2" not in str(error.value)


def test_a_url_that_is_none_is_named_without_its_value(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="FHIR_AIRBYTE_URL is not a database URL") as error:
        run(AirbyteSchema("hunter2 at db"), warehouse)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("password", ["Hunt@er2", "Hunt/er2", "1234/er2", "Hu@n/ter2", "Hu:1@nt/er2", "Hun%zter2"])
def test_a_url_whose_password_is_not_encoded_is_refused_and_not_shown(password: str, warehouse: Warehouse) -> None:
    url = f"postgresql://reader:{password}@127.0.0.1:1/echis"
    with pytest.raises(ConfigurationError, match=r"FHIR_AIRBYTE_URL .*percent-encode") as error:
        run(AirbyteSchema(url), warehouse)
    assert not any(part in str(error.value) for part in ("Hu", "er2", "1234"))


def test_a_password_that_is_encoded_and_a_folder_of_sockets_are_taken() -> None:
    schema = AirbyteSchema("postgresql://reader:Hunt%40%2Fer2@/echis?host=/run/a@b")
    assert (schema.password, schema.source) == ("Hunt@/er2", "airbyte /run/a@b:5432/echis/airbyte")


def test_the_schema_may_lie_in_the_warehouse_itself(database_url: str, warehouse: Warehouse) -> None:
    airbyte = Airbyte(database_url)
    airbyte.write(flag("a"))
    assert run(AirbyteSchema(database_url), warehouse).inserted == 1


def test_a_text_of_any_kind_arrives_as_it_was(airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse) -> None:
    text = 'tab\t newline\n backslash\\ quote" ü 😀'
    airbyte.write(flag("a", note=text, value=msgspec.json.decode(b"12.50")))
    run(schema, warehouse)
    assert rows(warehouse, "select resource ->> 'note' from raw.flag") == [(text,)]


@pytest.mark.parametrize(
    ("tally", "counts", "loaded", "state", "missing"),
    [
        (Tally(3, 2, "x"), LoadCounts(read=3), Loaded(2, "x", [], []), "certified", 0),
        (Tally(3, 3, "x"), LoadCounts(read=3, rejected=1), Loaded(2, "y", [], []), "certified", 0),
        (Tally(3, 3, "x"), LoadCounts(read=2), Loaded(2, "y", [], []), "incomplete", 1),
        (Tally(2, 2, "x"), LoadCounts(read=2), Loaded(2, "y", [], []), "incomplete", 1),
        (Tally(2, 2, "x"), LoadCounts(read=2), Loaded(1, "y", ["b"], []), "incomplete", 1),
        (Tally(3, 3, "x"), LoadCounts(read=3, rejected=1), Loaded(1, "y", [], []), "incomplete", 1),
        (Tally(1, 1, "x"), LoadCounts(read=2), Loaded(2, "y", [], []), "incomplete", 1),
    ],
)
def test_a_slice_is_certified_only_when_every_row_is_accounted_for(
    tally: Tally, counts: LoadCounts, loaded: Loaded, state: str, missing: int
) -> None:
    found = certify(tally, counts, loaded, START)
    assert (found.state, found.missing_count) == (state, missing)


def test_a_resource_that_was_expunged_and_made_again_is_taken_by_its_later_stamp(
    airbyte: Airbyte, schema: AirbyteSchema, warehouse: Warehouse
) -> None:
    airbyte.write(flag("a", 3), flag("b"))
    run(schema, warehouse)
    airbyte.sql("truncate airbyte.flag")
    again = flag("a") | {"meta": {"versionId": "1", "lastUpdated": (START + timedelta(hours=9)).isoformat()}}
    airbyte.write(again, flag("b"))
    assert sweep_airbyte(schema, warehouse, "Flag").loaded == 1
    assert rows(warehouse, "select version_id from raw.flag where id = 'a'") == [(1,)]
    assert sweep_airbyte(schema, warehouse, "Flag").loaded == 0
