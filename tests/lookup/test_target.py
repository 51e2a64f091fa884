"""What each cell of an indicator is called in DHIS2: resolved up front, or refused with the file and the code."""

from pathlib import Path

import pytest

from opensrp_dhis2.errors import ViewContractError
from opensrp_dhis2.lookup.target import refresh_targets
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import execute

METADATA = """
insert into lookup.category_combo values ('CcDefault01', null, 'default', true), ('CcSex000001', 'SEX', 'Sex', false);
insert into lookup.category_option_combo values
  ('HllvX50cXC0', 'default', 'default', 'CcDefault01', '{default}', '{x}'),
  ('CocFemale01', null, 'F', 'CcSex000001', '{SEX_F}', '{f}'), ('CocMale0001', null, 'M', 'CcSex000001', '{SEX_M}', '{m}');
insert into lookup.data_element values
  ('DeVisits001', 'VISITS', 'Visits', 'INTEGER', 'SUM', false, 'CcSex000001', null),
  ('DePeople001', 'PEOPLE', 'People', 'INTEGER', 'SUM', false, 'CcSex000001', null);
insert into lookup.data_set values ('DsMonthly01', 'DS_M', 'Monthly', 'Monthly', 'CcDefault01', 0, 0, false, true);
insert into lookup.data_set_element values ('DsMonthly01', 'DeVisits001', 'CcSex000001'),
  ('DsMonthly01', 'DePeople001', 'CcSex000001');
"""
VIEW = """/*---
description: Visits.
grain: one row per visit
data_set: DS_M
measures:
  visits: {{data_element: {element}}}
disaggregation:
  sex: {{category: SEX, options: {{female: SEX_F, male: {male}}}}}
---*/
select null::text as org_unit_id, null::date as event_on, null::text as sex, id as resource_id, 'Encounter' as resource_type
from raw.encounter
"""


def project(folder: Path, element: str = "VISITS", male: str = "SEX_M", period_type: str = "Monthly") -> Project:
    views = folder / "dbt_like_views"
    (views / "indicator").mkdir(parents=True)
    (views / "data_sets.yaml").write_text(f"DS_M: {{period_type: {period_type}}}\n")
    (views / "indicator" / "visits.sql").write_text(VIEW.format(element=element, male=male))
    return Project(folder)


def targets(warehouse: Warehouse, of: Project) -> list[tuple[object, ...]]:
    catalog = load_catalog(of)
    with warehouse.connect() as connection:
        connection.execute(METADATA)
        refresh_targets(connection, catalog.indicators, catalog.data_sets)
        return connection.execute(
            "select measure, disaggregation, data_element_id, category_option_combo_id from lookup.target order by 2"
        ).fetchall()


def test_every_cell_gets_the_combo_of_exactly_its_options(warehouse: Warehouse, tmp_path: Path) -> None:
    assert targets(warehouse, project(tmp_path)) == [
        ("visits", ["female"], "DeVisits001", "CocFemale01"),
        ("visits", ["male"], "DeVisits001", "CocMale0001"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"element": "NO_SUCH"}, "NO_SUCH is in none of the data sets DS_M"),
        ({"male": "SEX_X"}, "no option combo of exactly SEX_X"),
        ({"period_type": "Weekly"}, "DS_M is Monthly in DHIS2 but Weekly in data_sets.yaml"),
    ],
)
def test_a_code_that_dhis2_lacks_is_named_with_its_file(
    warehouse: Warehouse, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(ViewContractError, match=said) as error:
        targets(warehouse, project(tmp_path, **change))
    assert "indicator/visits.sql" in str(error.value)


def test_two_totals_for_one_cell_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    of = project(tmp_path)
    second = tmp_path / "dbt_like_views" / "indicator" / "again.sql"
    second.write_text(VIEW.format(element="VISITS", male="SEX_M"))
    with pytest.raises(ViewContractError, match="both fill data element DeVisits001"):
        targets(warehouse, of)


def test_one_cell_for_two_data_sets_of_a_period_type_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    of = project(tmp_path)
    execute(
        warehouse,
        "insert into lookup.data_set values"
        " ('DsMonthly02', 'DS_N', 'Monthly too', 'Monthly', 'CcDefault01', 0, 0, false, true);"
        "insert into lookup.data_set_element values ('DsMonthly02', 'DeVisits001', 'CcSex000001')",
    )
    (tmp_path / "dbt_like_views" / "data_sets.yaml").write_text(
        "DS_M: {period_type: Monthly}\nDS_N: {period_type: Monthly}\n"
    )
    second = tmp_path / "dbt_like_views" / "indicator" / "again.sql"
    second.write_text(VIEW.format(element="VISITS", male="SEX_M").replace("DS_M", "DS_N"))
    with pytest.raises(ViewContractError, match=r"for data sets DsMonthly0. and DsMonthly0., which are one cell"):
        targets(warehouse, of)
