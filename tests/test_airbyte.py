"""Tables that Airbyte fills, in a database of their own, into raw: complete, in slices, and what is gone from them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from opensrp_dhis2.errors import ConfigurationError, FhirUnavailableError, IncompleteExtractError
from opensrp_dhis2.extract import Extraction, TypeResult
from opensrp_dhis2.extract.airbyte import certify, extract_airbyte, find_airbyte_deletes, sweep_airbyte
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema, Tally
from opensrp_dhis2.extract.deletes import DeleteResult
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


@dataclass
class Source:
    """Tables that Airbyte fills, and the warehouse that reads them."""

    airbyte: Airbyte
    schema: AirbyteSchema
    warehouse: Warehouse

    def run(self) -> TypeResult:
        return extract_airbyte(self.schema, self.warehouse, "Flag", HOW)

    def find_deletes(self) -> DeleteResult:
        return find_airbyte_deletes(self.schema, self.warehouse, "Flag")

    def landed(self) -> dict[str, int]:
        return landed(self.warehouse)

    def rows(self, query: str) -> list[Any]:
        return rows(self.warehouse, query)


@pytest.fixture
def source(empty_database_url: str, warehouse: Warehouse) -> Source:
    airbyte = Airbyte(empty_database_url)
    return Source(airbyte, AirbyteSchema(airbyte.url), warehouse)


def run(schema: AirbyteSchema, warehouse: Warehouse) -> TypeResult:
    return extract_airbyte(schema, warehouse, "Flag", HOW)


def test_first_run_reads_everything_and_the_second_what_came_since_and_the_overlap(source: Source) -> None:
    source.airbyte.write(flag("a"))
    source.airbyte.write(flag("b"), at=START + timedelta(hours=2))
    first = source.run()
    source.airbyte.write(flag("c"), flag("a", 2), at=START + timedelta(days=1))
    second = source.run()
    assert (first.read, first.inserted, first.incomplete) == (2, 2, 0)
    assert (second.read, second.inserted, second.updated, second.unchanged, second.incomplete) == (3, 1, 1, 1, 0)
    assert source.landed() == {"a": 2, "b": 1, "c": 1}


def test_an_instant_is_never_parted_however_many_rows_it_has(source: Source) -> None:
    source.airbyte.write_many(9000, "timestamptz '2026-11-01' + (n / 4000) * interval '1 second'")
    result = source.run()
    assert (result.inserted, result.slices, result.incomplete) == (9000, 3, 0)
    parted = (
        "select count(*) from raw.slice a join raw.slice b on a.window_to > b.window_from and a.slice_id < b.slice_id"
    )
    assert source.rows(parted) == [(0,)]
    read_to = source.rows("select read_to from raw.watermark")
    assert read_to == [(START + timedelta(seconds=2, microseconds=1),)]


def test_rows_of_the_newest_instant_that_come_later_are_read_by_the_next_run(source: Source) -> None:
    source.airbyte.write(flag("a"))
    source.run()
    source.airbyte.write(flag("tie"))
    source.airbyte.write(flag("late"), at=START - timedelta(minutes=50))
    source.run()
    assert source.landed() == {"a": 1, "tie": 1, "late": 1}


def test_what_is_committed_later_than_the_overlap_is_found_by_comparing_ids(source: Source) -> None:
    source.airbyte.write(flag("a"))
    source.run()
    source.airbyte.write(flag("late"), flag("a", 2), at=START - timedelta(days=2))
    source.run()
    assert source.landed() == {"a": 1}
    found = source.find_deletes()
    assert source.landed() == {"a": 2, "late": 1}
    assert found.sweep
    assert (found.deleted, found.sweep.loaded, found.sweep.source_count) == (0, 2, 2)


def test_of_several_versions_in_append_mode_the_newest_wins_in_any_order(source: Source) -> None:
    source.airbyte.write(flag("a", 3), flag("a", 1))
    source.airbyte.write(flag("a", 2), at=START + timedelta(days=1))
    result = source.run()
    assert (result.read, result.incomplete) == (3, 0)
    assert source.landed() == {"a": 3}


def test_every_slice_has_a_certificate_by_the_sources_own_count_and_digest(source: Source) -> None:
    source.airbyte.write_many(5000)
    source.run()
    certified = source.rows(
        "select count(*), sum(source_count), sum(loaded_count), bool_and(source_digest = loaded_digest)"
        " from raw.slice where state = 'certified'",
    )
    assert certified == [(3, 5000, 5000, True)]


def test_what_is_no_resource_of_the_type_is_rejected_counted_and_certified(source: Source) -> None:
    without_meta, patient = flag("no-meta"), flag("p") | {"resourceType": "Patient"}
    del without_meta["meta"]
    source.airbyte.write(flag("a"), without_meta, patient, {"resourceType": "Flag"}, [1], "text", None, {"id": 5})
    result = source.run()
    assert (result.read, result.inserted, result.rejected, result.incomplete) == (8, 1, 7, 0)
    assert source.landed() == {"a": 1}
    assert source.rows("select rejected_count, state from raw.slice") == [(7, "certified")]
    assert source.rows("select count(*) from raw.rejected") == [(7,)]


def test_a_watermark_is_named_by_host_database_and_schema_and_by_no_secret(source: Source) -> None:
    source.airbyte.write(flag("a"))
    source.run()
    ((named,),) = source.rows("select distinct source from raw.watermark")
    assert named == source.schema.source
    named = AirbyteSchema("postgresql+psycopg://reader:hunter2@db.example/echis", "fhir").source
    assert named == "airbyte db.example:5432/echis/fhir"
    assert AirbyteSchema("host=db.example dbname=echis password=hunter2", "fhir").source == named


def test_a_killed_run_is_finished_by_the_next(source: Source) -> None:
    source.airbyte.write_many(5000)
    source.run()
    # as if the second slice had never ended
    execute(source.warehouse, "update raw.slice set state = 'planned' where slice_id = 2")
    execute(source.warehouse, "update raw.watermark set read_to = (select window_to from raw.slice where slice_id = 1)")
    execute(source.warehouse, "delete from raw.flag where id = 'm2500'")
    assert "m2500" not in source.landed()
    source.run()
    assert len(source.landed()) == 5000
    assert source.rows("select count(*) from raw.slice where state <> 'certified'") == [(0,)]


def test_a_table_that_was_overwritten_later_is_read_anew(source: Source) -> None:
    source.airbyte.write(flag("a"), flag("b"))
    source.run()
    source.airbyte.sql("drop table airbyte.flag")
    source.airbyte.sql(TABLE.format("flag"))
    source.airbyte.write(flag("a", 2), flag("c"), at=START + timedelta(days=7))
    source.run()
    source.find_deletes()
    assert source.landed() == {"a": 2, "c": 1}
    assert source.rows("select id from raw.flag where is_deleted") == [("b",)]


def test_what_vanished_gets_a_tombstone_and_what_comes_back_loses_it(source: Source) -> None:
    source.airbyte.write(flag("a"), flag("b"))
    source.run()
    source.airbyte.sql("delete from airbyte.flag where resource ->> 'id' = 'b'")
    gone = source.find_deletes()
    assert (gone.deleted, source.landed()) == (1, {"a": 1})
    source.airbyte.write(flag("b", 3), at=START + timedelta(days=1))
    source.run()
    assert source.find_deletes().deleted == 0
    assert source.landed() == {"a": 1, "b": 3}


def test_a_resource_that_is_refused_now_is_not_taken_for_gone(source: Source) -> None:
    source.airbyte.write(flag("a"))
    source.run()
    source.airbyte.sql("update airbyte.flag set resource = resource - 'meta'")
    assert source.find_deletes().deleted == 0
    assert source.landed() == {"a": 1}


@pytest.mark.parametrize("left", [0, 300])
def test_a_table_that_is_mostly_empty_is_an_error_and_marks_nothing(source: Source, left: int) -> None:
    source.airbyte.write_many(500)
    source.run()
    source.airbyte.sql(f"delete from airbyte.flag where substr(resource ->> 'id', 2)::int > {left}")
    with pytest.raises(IncompleteExtractError, match=rf"{500 - left} of 500 Flag resources here are not in airbyte"):
        source.find_deletes()
    assert len(source.landed()) == 500
    assert sweep_airbyte(source.schema, source.warehouse, "Flag", max_share=1).deleted == 500 - left


@pytest.mark.parametrize("name", ["questionnaireresponse", "questionnaire_response", '"QuestionnaireResponse"'])
def test_a_table_is_found_however_airbyte_named_it(source: Source, name: str) -> None:
    source.airbyte.sql(TABLE.format(name))
    with source.schema.table("QuestionnaireResponse") as table:
        assert table.newest(START) == (0, None)


def test_a_table_that_is_missing_is_named_with_its_schema(source: Source) -> None:
    with pytest.raises(ConfigurationError, match=r"/airbyte\.encounter: it is not there"):
        extract_airbyte(source.schema, source.warehouse, "Encounter", HOW)


def test_two_tables_for_one_type_are_not_guessed_between(source: Source) -> None:
    source.airbyte.sql(TABLE.format('"Flag"'))
    with pytest.raises(ConfigurationError, match="there are Flag and flag"):
        source.run()


def test_a_table_with_other_columns_says_which_it_lacks(source: Source) -> None:
    source.airbyte.sql("create table airbyte.patient (_airbyte_emitted_at timestamptz, resource text)")
    with pytest.raises(
        ConfigurationError,
        match=r"no column resource \(jsonb\) and no _airbyte_extracted_at \(timestamp with time zone\)",
    ):
        extract_airbyte(source.schema, source.warehouse, "Patient", HOW)


def test_a_column_of_type_json_is_refused_since_it_may_hold_what_jsonb_cannot(source: Source) -> None:
    source.airbyte.sql("alter table airbyte.flag alter column resource type json")
    with pytest.raises(ConfigurationError, match=r"no column resource \(jsonb\): .* as jsonb"):
        source.run()


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


def test_a_text_of_any_kind_arrives_as_it_was(source: Source) -> None:
    text = 'tab\t newline\n backslash\\ quote" ü 😀'
    source.airbyte.write(flag("a", note=text, value=msgspec.json.decode(b"12.50")))
    source.run()
    assert source.rows("select resource ->> 'note' from raw.flag") == [(text,)]


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


def test_a_resource_that_was_expunged_and_made_again_is_taken_by_its_later_stamp(source: Source) -> None:
    source.airbyte.write(flag("a", 3), flag("b"))
    source.run()
    source.airbyte.sql("truncate airbyte.flag")
    again = flag("a") | {"meta": {"versionId": "1", "lastUpdated": (START + timedelta(hours=9)).isoformat()}}
    source.airbyte.write(again, flag("b"))
    assert sweep_airbyte(source.schema, source.warehouse, "Flag").loaded == 1
    assert source.rows("select version_id from raw.flag where id = 'a'") == [(1,)]
    assert sweep_airbyte(source.schema, source.warehouse, "Flag").loaded == 0
