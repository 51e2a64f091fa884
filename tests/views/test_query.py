"""Reading SQL without a database: what it reads, which columns it gives, and what is refused."""

import pytest

from opensrp_dhis2.errors import ViewContractError
from opensrp_dhis2.views.query import parse_query


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("select 1 as a", {}),
        ("select a from raw.patient", {"raw.patient": 1}),
        ("with patient as (\n  select * from raw.patient\n)\nselect a from patient", {"raw.patient": 2}),
        (
            "with t as (select a from raw.x), u as (select a from t)\nselect a from u join raw.y using (a)",
            {"raw.x": 1, "raw.y": 2},
        ),
        ("with recursive t as (select a from raw.x union all select a from t) select a from t", {"raw.x": 1}),
        ("select a from raw.x union all\nselect a from raw.y", {"raw.x": 1, "raw.y": 2}),
        ("select a from raw.x where exists (\nselect 1 from raw.y where raw.y.b = a)", {"raw.x": 1, "raw.y": 2}),
        ("select a from raw.x cross join lateral (\nselect b from raw.y where b = a) t", {"raw.x": 1, "raw.y": 2}),
        ("select a from raw.x cross join lateral jsonb_path_query(r, '$.a') with ordinality as t (c, n)", {"raw.x": 1}),
        ("select (select max(b) from raw.y) as a from raw.x", {"raw.x": 1, "raw.y": 1}),
        ('select a from raw."group"', {"raw.group": 1}),
        ("select 'from raw.z' as a from raw.x -- from raw.w", {"raw.x": 1}),
        ("select a from raw.x\nwhere a in (select a from raw.x)", {"raw.x": 1}),
        ("select distinct on (a) a from raw.x group by grouping sets ((a), ())", {"raw.x": 1}),
        ("select a from (values (1)) as t (a)", {}),
        ("select a from fhir.tags('{}') as t (a)", {}),
    ],
)
def test_what_a_query_reads_is_found_with_its_line(sql: str, reads: dict[str, int]) -> None:
    assert parse_query(sql, path="x.sql").reads == reads


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select a, b as c, t.d, max(e) as f from raw.x t", ("a", "c", "d", "f")),
        ("with t as (select a, b from raw.x) select * from t", ("a", "b")),
        (
            "with t as (select a from raw.x), u as (select t.*, 1 as z from t) select u.*, 2 as y from u",
            ("a", "z", "y"),
        ),
        ("select a as x from raw.x union all select b from raw.y", ("x",)),
        ("select * from raw.x", None),
    ],
)
def test_columns_are_known_without_a_database(sql: str, columns: tuple[str, ...] | None) -> None:
    assert parse_query(sql, path="x.sql").columns == columns


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("\nselect a\nfrom patient", "x.sql:3: relation patient is neither a step"),
        ("with patient as (select * from patient) select * from patient", "x.sql:1: relation patient is neither"),
        ("select 1;\nselect 2", "x.sql: a view is exactly one SELECT"),
        ("create table raw.x as select 1", "x.sql: a view is exactly one SELECT"),
        ("delete from raw.x", "x.sql: a view is exactly one SELECT"),
        ("vacuum", "x.sql: a view is exactly one SELECT"),
        ("-- nothing", "x.sql: a view is exactly one SELECT"),
        ("select a\nfrom raw.x where (", "x.sql:2: this is not SQL that can be read"),
        ("select 'open", "x.sql: this is not SQL that can be read"),
    ],
)
def test_what_is_no_single_select_over_named_schemas_is_refused(sql: str, said: str) -> None:
    with pytest.raises(ViewContractError) as caught:
        parse_query(sql, path="x.sql")
    assert str(caught.value).startswith(said)


def test_a_closing_semicolon_is_taken_off_and_the_rest_stays_as_it_is() -> None:
    sql = "/* a */ select '50%' as a, '{\"b\":true}' as c -- d\n"
    assert parse_query(f"{sql};\n", path="x.sql").sql == sql
