"""sql/: tables once, functions whenever they change, and every earlier warehouse carried over."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opensrp_dhis2.errors import MigrationError
from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.migrations import migrate
from tests.conftest import ROOT

OLD_SCHEMAS = sorted((ROOT / "tests/data/schemas").glob("*.sql.gz"))
# what there is, whatever the order of columns in which it came
SHAPE = """
select 'column', concat_ws('.', table_schema, table_name, column_name),
  concat_ws(' ', data_type, is_nullable, column_default, is_identity, generation_expression)
from information_schema.columns where table_schema = any (%(schemas)s)
union all
select 'constraint', conrelid::regclass::text, pg_get_constraintdef(oid)
from pg_constraint where connamespace::regnamespace::text = any (%(schemas)s)
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace::regnamespace::text = any (%(schemas)s)
union all
select 'view', oid::regclass::text, pg_get_viewdef(oid)
from pg_class where relkind = 'v' and relnamespace::regnamespace::text = any (%(schemas)s)
union all
select 'function', oid::regprocedure::text, pg_get_functiondef(oid)
from pg_proc where pronamespace::regnamespace::text = any (%(schemas)s)
union all
select 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
union all
select 'grant', concat_ws('.', table_schema, table_name), concat_ws(' ', grantee, privilege_type)
from information_schema.role_table_grants where table_schema = any (%(schemas)s)
union all
select 'migration', name, checksum from warehouse.migration"""
# in the words of before sql/tables/0011
OLD_ROWS = """
insert into raw.slice (source, resource_type, kind, window_from, window_to, clock_ahead, planned_count, state, source_count,
  source_digest, landed_count, landed_digest)
values ('s', 'Flag', 'window', 'epoch', '2020-01-01', '0', 7, 'planned', null, null, null, null),
  ('s', 'Flag', 'window', 'epoch', '2020-01-01', '0', 7, 'landed', 7, 'x', 7, 'x'),
  ('s', 'Flag', 'window', 'epoch', '2020-01-01', '0', 7, 'certified', 7, 'x', 7, 'x'),
  ('s', 'Flag', 'window', 'epoch', '2020-01-01', '0', 7, 'short', 7, 'x', 6, 'y');
insert into raw.export_job (source, resource_types) values ('s', '{Flag}');
insert into raw.export_file (export_job_id, kind, resource_type, state, landed_count)
select export_job_id, 'output', 'Flag', f.state, f.lines
from raw.export_job, (values ('planned', 0), ('landed', 5), ('failed', 0)) f (state, lines);
insert into raw.delete_search (source, resource_type, way, until_at, source_count, deleted_count, load_id)
values ('s', 'Flag', 'history', now(), 0, 0, 1)"""
SCHEMAS = ["raw", "staging", "member", "indicator", "lookup", "outbox", "fhir", "warehouse"]


def shape(warehouse: Warehouse) -> list[tuple[str, ...]]:
    """Everything that sql/ makes, sorted."""
    with warehouse.connect() as connection:
        return sorted(connection.execute(SHAPE, {"schemas": SCHEMAS}).fetchall())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sql/ of one table and one function."""
    for name in ("tables", "functions"):
        (tmp_path / name).mkdir()
    (tmp_path / "tables" / "0001_a.sql").write_text("create schema raw; create table raw.a (x integer);")
    (tmp_path / "functions" / "one.sql").write_text(function("1"))
    return tmp_path


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Warehouse]:
    """An empty database."""
    opened = Warehouse(empty_database_url)
    yield opened
    opened.close()


def function(body: str, returns: str = "integer") -> str:
    return f"create or replace function raw.one() returns {returns} language sql as 'select {body}';"


def one(connection: Connection) -> object:
    row = connection.execute("select raw.one()").fetchone()
    return row and row[0]


def test_tables_are_applied_once_and_functions_with_them(empty: Warehouse) -> None:
    assert migrate(empty, Project().sql_dir) == [
        *sorted(path.name for path in Project().sql_dir.glob("tables/*.sql")), "functions",
    ]  # fmt: skip
    assert migrate(empty, Project().sql_dir) == []


@pytest.mark.parametrize(("body", "returns"), [("2", "integer"), ("''two''", "text")])
def test_a_changed_function_is_made_anew_also_where_it_returns_something_else(
    empty: Warehouse, folder: Path, body: str, returns: str
) -> None:
    migrate(empty, folder)
    (folder / "functions" / "one.sql").write_text(function(body, returns))
    assert migrate(empty, folder) == ["functions"]
    with empty.connect() as connection:
        assert one(connection) == (2 if body == "2" else "two")
    assert migrate(empty, folder) == []


def test_a_function_on_which_a_countrys_view_rests_is_replaced_in_its_place(empty: Warehouse, folder: Path) -> None:
    migrate(empty, folder)
    with empty.connect() as connection:
        connection.execute("create view public.theirs as select raw.one() as x")
    (folder / "functions" / "one.sql").write_text(function("2"))
    migrate(empty, folder)
    with empty.connect() as connection:
        assert connection.execute("select x from public.theirs").fetchall() == [(2,)]


def test_a_function_that_is_no_longer_there_goes(empty: Warehouse, folder: Path) -> None:
    migrate(empty, folder)
    (folder / "functions" / "one.sql").write_text(function("1").replace("raw.one", "raw.other"))
    migrate(empty, folder)
    with empty.connect() as connection:
        assert connection.execute("select to_regproc('raw.one')").fetchall() == [(None,)]


def edit(folder: Path) -> None:
    (folder / "tables" / "0001_a.sql").write_text("select 2")


def unlink(folder: Path) -> None:
    (folder / "tables" / "0001_a.sql").unlink()


def write_wrong(folder: Path) -> None:
    (folder / "tables" / "0002_b.sql").write_text("selec 1")


def write_wrong_function(folder: Path) -> None:
    (folder / "functions" / "two.sql").write_text("creat function")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit, "0001_a.sql was edited"),
        (unlink, "which is not in"),
        (write_wrong, "tables/0002_b.sql does not apply"),
        (write_wrong_function, "functions/two.sql does not apply"),
    ],
)
def test_an_edited_missing_or_wrong_file_is_refused_and_nothing_of_it_kept(
    empty: Warehouse, folder: Path, change: Callable[[Path], None], said: str
) -> None:
    migrate(empty, folder)
    change(folder)
    with pytest.raises(MigrationError, match=said):
        migrate(empty, folder)
    with empty.connect() as connection:
        assert one(connection) == 1


@pytest.mark.parametrize("old", OLD_SCHEMAS, ids=lambda path: path.name.split(".")[0])
def test_an_earlier_warehouse_is_carried_over(empty: Warehouse, warehouse: Warehouse, old: Path) -> None:
    with empty.connect() as connection:
        connection.execute(gzip.decompress(old.read_bytes()))
        connection.execute("insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id)"
                           " values ('t', 's', '202401', 'DELETE', 0, 'r')")  # fmt: skip
        connection.execute(OLD_ROWS)
    migrate(empty, Project().sql_dir)
    assert shape(empty) == shape(warehouse)
    with empty.connect() as connection:
        assert connection.execute("select run_id from outbox.batch").fetchall() == [("r",)]
        slices = connection.execute(
            "select state, loaded_count, loaded_digest from raw.slice order by slice_id"
        ).fetchall()
        assert slices == [("planned", None, None), ("loaded", 7, "x"), ("certified", 7, "x"), ("incomplete", 6, "y")]
        files = connection.execute("select state, loaded_count from raw.export_file order by export_file_id").fetchall()
        assert files == [("planned", 0), ("loaded", 5), ("failed", 0)]
        assert connection.execute("select method from raw.delete_search").fetchall() == [("history",)]


OLD_WORDS = """
insert into outbox.discrepancy (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,
  attribute_option_combo_id, kind, there, is_deleted, run_id)
select 't', 's', '202401', 'u', kind, 'c', 'a', kind, '5', false, 'r'
from unnest(array['foreign_edit', 'silent_drop', 'default_combo', 'orphan', 'stranger', 'behind']) kind;
insert into outbox.completion (target, data_set_id, period, org_unit_id, attribute_option_combo_id, state, basis, run_id)
select 't', 's', '202401', state, 'a', state, '', 'r'
from unnest(array['wanted', 'registered', 'found', 'unwanted', 'taken_back', 'refused']) state;
insert into outbox.forecast (target, data_set_id, period, value_id, fate, run_id)
values ('t', 's', '202401', 1, 'same', 'r');
"""


@pytest.mark.parametrize("old", OLD_SCHEMAS, ids=lambda path: path.name.split(".")[0])
def test_the_words_of_earlier_rows_are_carried_over(empty: Warehouse, old: Path) -> None:
    with empty.connect() as connection:
        connection.execute(gzip.decompress(old.read_bytes()))
        connection.execute(OLD_WORDS)
    migrate(empty, Project().sql_dir)
    with empty.connect() as connection:
        kinds = connection.execute("select data_element_id, kind, stored from outbox.discrepancy").fetchall()
        states = connection.execute("select org_unit_id, state from outbox.completion").fetchall()
        outcomes = connection.execute("select predicted_outcome from outbox.forecast").fetchall()
    kept = {"foreign_edit": "foreign_edit", "default_combo": "default_combo"}
    assert {old: kind for old, kind, _ in kinds} == kept | {
        "silent_drop": "missing_in_dhis2", "orphan": "stale_value", "stranger": "unknown_value",
        "behind": "ledger_outdated",
    }  # fmt: skip
    assert {stored for _, _, stored in kinds} == {"5"}
    assert dict(states) == {"wanted": "wanted", "registered": "registered", "refused": "refused"} | {
        "found": "registered_by_other",
        "unwanted": "to_delete",
        "taken_back": "deleted",
    }
    assert outcomes == [("same",)]


def test_a_warehouse_of_an_unknown_checkout_is_refused_in_words(empty: Warehouse) -> None:
    with empty.connect() as connection:
        connection.execute(gzip.decompress(OLD_SCHEMAS[0].read_bytes()))
        connection.execute("update warehouse.migration set checksum = 'edited' where name = '0004_lookup.sql'")
    with pytest.raises(MigrationError, match="made by a checkout from before 30 November 2026"):
        migrate(empty, Project().sql_dir)


def test_the_files_that_an_earlier_warehouse_counts_as_applied_are_not_edited(empty: Warehouse, tmp_path: Path) -> None:
    shutil.copytree(Project().sql_dir, tmp_path / "sql")
    (tmp_path / "sql/tables/0001_raw.sql").write_text("select 1")
    migrate(empty, Project().sql_dir)
    with pytest.raises(MigrationError, match=r"0001_raw\.sql was edited"):
        migrate(empty, tmp_path / "sql")
