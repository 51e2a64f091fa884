"""A country's folder with one indicator of its own."""

from pathlib import Path

VIEW = """/*---
description: Visits.
grain: one row per visit
data_set: CHW_M
measures:
  visits: {{data_element: {element}}}
---*/
{sql}
"""
GOOD_SQL = (
    "select null::text as org_unit_id, null::date as event_on, id as resource_id, 'Encounter' as resource_type\n"
    "from raw.encounter"
)


def overlay(folder: Path, sql: str = GOOD_SQL, element: str = "HH_VISITS", extra: str = "") -> str:
    views = folder / "dbt_like_views" / "indicator"
    views.mkdir(parents=True)
    text = VIEW.format(element=element, sql=sql)
    (views / "household_visits.sql").write_text(text.replace("measures:", f"{extra}measures:"))
    return str(folder)
