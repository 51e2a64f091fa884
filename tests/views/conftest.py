"""Small project folders laid over ours, and raw resources without a server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Connection

Write = Callable[[dict[str, str]], Project]
DATA_SETS = "DS_M: {period_type: Monthly}\n"
STAGING = "/*---\ndescription: d\ngrain: g\n---*/\n"
INDICATOR = """/*---
description: d
grain: g
data_set: DS_M
measures: {births: {data_element: BIRTHS}}
---*/
"""
MEMBER = """select 'OuFacility1' as org_unit_id, p.birth_on as event_on, 'Patient' as resource_type, p.id as resource_id
from staging.patient p"""


@pytest.fixture
def write_project(tmp_path: Path) -> Write:
    """Give a function that writes files of a country's dbt_like_views/ and gives the project over ours."""

    def write(files: dict[str, str]) -> Project:
        for name, text in {"data_sets.yaml": DATA_SETS, **files}.items():
            file = tmp_path / "dbt_like_views" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Project(country_dir=tmp_path)

    return write


def load(connection: Connection, resource_type: str, resources: list[dict[str, Any]], *, table: str = "") -> int:
    """Load resources as one load, the newest version winning, as the extraction does."""
    table = table or resource_type.lower()
    connection.execute("select raw.ensure_table(%s) where to_regclass('raw.' || %s) is null", (table, table))
    found = connection.execute(
        "select load_id from raw.begin_load(%s, 'test', %s, null, null)", (table, resource_type)
    ).fetchone()
    assert found is not None
    for resource in resources:
        meta = resource.get("meta", {})
        connection.execute(
            "insert into incoming values (%s, %s, %s, %s)",
            (
                resource["id"],
                int(meta.get("versionId", 1)),
                meta.get("lastUpdated", "2024-06-01T00:00:00Z"),
                json.dumps(resource),
            ),
        )
    connection.execute(
        "select raw.merge_incoming(%s, %s, %s, 'incoming', false, false)", (table, resource_type, found[0])
    )
    return int(found[0])


def delete(connection: Connection, resource_type: str, ids: list[str]) -> None:
    """Mark resources as deleted at the source, as one load."""
    table = resource_type.lower()
    connection.execute(
        "select raw.mark_deleted(%s, %s, %s, load_id) from raw.begin_load(%s, 'test', %s, null, null)",
        (table, resource_type, ids, table, resource_type),
    )
