"""The search for what must not leave finds every kind of it, in every wrapping, and shows none of it."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from opensrp_dhis2.cli.privacy_scan import _secrets
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.privacy.long_number import long_numbers
from opensrp_dhis2.privacy.scan import Needles, Scan, read_needles, scan_paths, scan_tables
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.raw_pages import table_name
from tests.views.conftest import load

PATIENT = {
    "id": "11111111-aaaa-bbbb-cccc-000000000001",
    "identifier": [{"value": "NIN-CM9012"}, {"value": "11111111-aaaa-bbbb-cccc-000000000001"}],
    "name": [{"family": "Nakató", "given": ["Hope", "Odongtho"]}],
    "telecom": [{"value": "+256 772 000111"}],
    "address": [{"text": "behind the blue mosque", "extension": [
        {"extension": [{"url": "latitude", "valueDecimal": 1.083117}, {"url": "x", "valueDecimal": 1.5}]}]}],
}  # fmt: skip
ANSWERS = {"id": "q1", "item": [{"item": [{"answer": [{"valueString": "she said her uncle knows"}]}]}]}
KINDS = {
    "name": "Odongtho",
    "phone": "+256-772-000111",
    "identifier": "NIN-CM9012",
    "address": "behind the blue mosque",
    "position": "1.083117",
    "free text": "she said her uncle knows",
    "secret DHIS2_PASSWORD": "correct-horse",
    "cursor": "http://h/fhir?_getpages=5c4a-11ee&_offset=20",
    "token": "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
}


@pytest.fixture
def needles(warehouse: Warehouse) -> Needles:
    """The words of one patient who lives at Hope Clinic, and one secret."""
    with warehouse.connect() as connection:
        load(connection, "Patient", [PATIENT])
        load(connection, "QuestionnaireResponse", [ANSWERS])
        connection.execute("insert into lookup.org_unit values ('OuClinic001', 'HC', 'Hope Clinic', 4, '/OuClinic001')")
    return read_needles(warehouse, {"DHIS2_PASSWORD": "correct-horse"}, [])


def kinds_of(needles: Needles, text: str) -> list[str]:
    return [kind for kind, _ in needles.found_in(text)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_private_word_is_found(needles: Needles, kind: str) -> None:
    assert kinds_of(needles, f"value <b>{KINDS[kind]}</b>, refused") == [kind]


@pytest.mark.parametrize(
    "text",
    [json.dumps({"note": "\nNakató\t"}), json.dumps("Nakató", ensure_ascii=False), "a_Nakató.csv", "/p?name=Nakat%C3%B3",
     "<td>Nakat&#243;</td>", "Nakató's", "NAKATÓ", "nakató", json.dumps(json.dumps({"n": "Nakató"})),
     "/p?name=Nakat%25C3%25B3"],
)  # fmt: skip
def test_a_name_is_found_however_json_html_or_a_url_writes_it(needles: Needles, text: str) -> None:
    assert kinds_of(needles, text) == ["name"]


@pytest.mark.parametrize(
    "text",
    ["+256772000111", "256772000111", "+256 772 000 111", "(256) 772-000.111", "12 256 772 000 111 12", "0772000111",
     "0772 000 111", "772000111", "tel:772-000-111"],
)  # fmt: skip
def test_a_phone_number_is_found_in_any_grouping(needles: Needles, text: str) -> None:
    assert kinds_of(needles, text) == ["phone"]


def test_a_name_that_is_a_known_word_in_small_letters_is_looked_for_as_it_is_written(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text("mark = grace")
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p1", "name": [{"family": "Mark", "given": ["Odongtho"]}]}])
    needles = read_needles(warehouse, {}, [tmp_path / "program.py"])
    assert [kinds_of(needles, text) for text in ("Mark", "mark", "ODONGTHO")] == [["name"], [], ["name"]]


@pytest.mark.parametrize(
    ("resource_type", "resource", "word"),
    [
        ("RelatedPerson", {"name": [{"family": "Namubiru"}]}, "Namubiru"),
        ("RelatedPerson", {"telecom": [{"value": "+256772000999"}]}, "+256772000999"),
        ("Patient", {"contact": [{"name": {"text": "Akello Florence"}}]}, "Akello Florence"),
        ("Patient", {"extension": [{"url": "m", "valueString": "Auma of Kyebando"}]}, "Auma of Kyebando"),
    ],
)
def test_the_words_of_every_person_are_looked_for(
    warehouse: Warehouse, resource_type: str, resource: dict[str, object], word: str
) -> None:
    with warehouse.connect() as connection:
        load(connection, resource_type, [{"id": "a1", **resource}], table=table_name(resource_type))
    assert len(kinds_of(read_needles(warehouse, {}, []), word)) == 1


def test_a_status_url_of_an_export_is_found(needles: Needles) -> None:
    url = "https://h/fhir/$export-poll-status?_jobId=0f6d8c3e-93a4-4f1d-8f35-1c5e4a6b7c8d"
    assert kinds_of(needles, url) == kinds_of(needles, url.replace("=", "%3D")) == ["cursor"]


def test_every_secret_of_the_settings_is_looked_for_also_within_a_url() -> None:
    names = ("FHIR_PASSWORD", "FHIR_TOKEN", "FHIR_CLIENT_SECRET", "DHIS2_TOKEN", "DHIS2_CLIENT_SECRET")
    urls = {
        "WAREHOUSE_URL": "postgresql://u:a%40b/secret1@h/d",
        "FHIR_AIRBYTE_URL": "postgresql://u:a%40secret2@h/d",
        "FHIR_NDJSON_URL": "simplecache::ftp://u:a%40secret3@h/x",
    }
    found = _secrets(Settings.from_mapping({name: f"{name} is it" for name in names} | urls))
    assert found.keys() >= {*names, *(f"{name}'s password" for name in urls), "DHIS2_CLIENT_SECRET as sent"}
    assert {found[f"{name}'s password"] for name in urls} == {"a@b/secret1", "a@secret2", "a@secret3"}


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("House of Odong 0701234567", "0701234567"), ("+254 712 345-678", "254712345678"), ("701234567", "701234567"),
        ("NIN 900112345678", "900112345678"), ("q=0701234567&x=1", "0701234567"), ("(0701) 234 567", "0701234567"),
        ('{"note": "ring 0701-234567"}', "0701234567"), ("1234567", "1234567"),
    ],
)  # fmt: skip
def test_a_long_number_is_found_though_nobodys_record_has_it(needles: Needles, text: str, digits: str) -> None:
    assert list(long_numbers(text)) == [digits]
    assert kinds_of(needles, text) == ["long number"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T02:55:00.123456+03:00", "2026-12-01 02:55:00", "20261201", "20261201T0255", "202612", "2026-W48",
        "1795255861.0888867", "1795255861", "1795255861088", "5f0c9a52-8f0e-5d7e-9b52-6a3c1f2d4e10",
        "12345678-1234-1234-1234-123456789012", "Ou123456789", "1,234,567 resources", "1.083117", "sha256:1234567f",
        '{"pid": 1234567, "dagster/row_count": 1234567}', "row_count=1234567", "127.0.0.1:45678", "/Location/1234567",
        '"storage_id": 1234567', "pid 4194304", "[4194304] LOG: started",
        "extract - 4194304 - STEP_START", "12 of 34 values", "0 0 1000 10",
    ],
)  # fmt: skip
def test_a_time_an_id_or_a_count_is_no_long_number(text: str) -> None:
    assert list(long_numbers(text)) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8"])
def test_a_name_is_found_in_text_of_windows(needles: Needles, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "page.txt").write_bytes("first line\nwritten by Nakató\n".encode(encoding))
    scan = Scan()
    scan_paths(scan, needles, [tmp_path])
    assert [(found.column, found.kind) for found in scan.findings] == [("line 2", "name")]


@pytest.mark.parametrize(
    "text", ["", "Hope Clinic: 12", "Nakatóng", "1.5", "256 772", PATIENT["id"], "behind the mosque"]
)
def test_what_is_no_ones_is_not_found(needles: Needles, text: str) -> None:
    assert kinds_of(needles, text) == []
    assert needles.known == {"name": 1}  # Hope, who shares her name with a clinic


def test_no_finding_shows_the_word_nor_enough_to_guess_it(needles: Needles, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("\n<td>Nakató</td>\n")
    scan = Scan()
    scan_paths(scan, needles, [tmp_path])
    [finding] = scan.findings
    assert (finding.place, finding.column, finding.kind) == (str(tmp_path / "page.html"), "line 2", "name")
    assert len(finding.digest) == 6
    assert "Nakat" not in str(scan)


@pytest.mark.parametrize(
    "table", ["outbox.batch", "lookup.org_unit", "indicator.leaking", "indicator.shown", "outbox.blob"]
)
def test_a_word_in_a_table_that_others_read_is_found(warehouse: Warehouse, needles: Needles, table: str) -> None:
    plant = {
        "outbox.batch": "insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id, note)"
        " values ('t', 'd', '202401', 'DELETE', 0, 'r', 'refused: Odongtho')",
        "lookup.org_unit": "insert into lookup.org_unit values ('Ou1', 'NIN-CM9012x', 'n', 1, '/+256772000111')",
        "indicator.leaking": "create materialized view indicator.leaking as select array['NIN-CM9012'] as who",
        "indicator.shown": "create view indicator.shown as select text 'Odongtho' as who",
        "outbox.blob": "create table outbox.blob as select convert_to('Nakató', 'UTF8') as body",
    }
    found = {
        "outbox.batch": ("note", "name"),
        "indicator.leaking": ("who", "identifier"),
        "lookup.org_unit": ("path", "phone"),
        "indicator.shown": ("who", "name"),
        "outbox.blob": ("body", "name"),
    }
    with warehouse.connect() as connection:
        connection.execute(plant[table].encode())
        scan = Scan()
        scan_tables(scan, needles, connection)
    where = {(f.place, f.column, f.kind) for f in scan.findings}
    assert where == {(table, *found[table])}  # an org unit's own code, NIN-CM9012x, may stand there


def test_packed_files_and_sqlite_are_read_and_a_broken_one_is_said(needles: Needles, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"Odongtho"))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"Odongtho")[:-6])
    with sqlite3.connect(tmp_path / "events.db") as connection:
        connection.execute("create table event_logs (id integer, event text)")
        connection.execute("insert into event_logs values (1, ?)", (json.dumps({"user": "Odongtho"}),))
    connection.close()
    scan = Scan()
    scan_paths(scan, needles, [tmp_path])
    assert {(Path(f.place).name, f.column) for f in scan.findings} == {
        ("events.db:event_logs", "event"),
        ("log.gz", "line 1"),
    }
    assert [line.rpartition("/")[2] for line in scan.unread] == ["cut.gz: EOFError"]
    assert not scan.is_clean


def test_a_search_for_nobody_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="run the job `extract` first"):
        read_needles(warehouse, {"FHIR_TOKEN": "not-a-person"}, [])
