"""Thirty days of runs, a night's and a week's, beside one clean load at the end: raw and staging are the same rows.

`make chaos` plays 20 months; CHAOS_SEED=7 plays one of them again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.extract import Extraction, extract, resweep
from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_staging
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.migrations import migrate
from tests.chaos.month import SHARES, TYPES, Month
from tests.conftest import REPORT_TIMEZONE
from tests.support.sql import rows

MONTHS = max(1, int(os.environ.get("CHAOS_POINTS", "10")) // 10)
SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else list(range(1, MONTHS + 1))
DAYS = 30
LAG_SECONDS = 600
HOW = Extraction(lag_seconds=LAG_SECONDS, overlap_seconds=3600, threads=1, validate_share=0)
STAGING = ("encounter", "observation", "observation_component")
RAW = "select id, version_id, last_updated::text, resource::text from raw.{} where not is_deleted order by id"


@dataclass
class Deployment:
    """A client of the source and a warehouse; what its jobs would do in a night and in a week."""

    url: str
    warehouse: Warehouse
    catalog: Catalog
    page_size: int = 500

    @contextmanager
    def opened(self) -> Iterator[FhirClient]:
        """Open a client of one run's own: it reckons on with the clock that the server told it."""
        with FhirClient(self.url, page_size=self.page_size) as client:
            yield client

    def night(self) -> None:
        with self.opened() as client:
            for resource_type in TYPES:
                extract(client, self.warehouse, resource_type, HOW)
                find_deletes(client, self.warehouse, resource_type, lag_seconds=LAG_SECONDS)
        for name in STAGING:
            build_staging(self.warehouse, self.catalog, f"staging.{name}")

    def week(self) -> None:
        with self.opened() as client:
            for resource_type in TYPES:
                resweep(client, self.warehouse, resource_type, HOW)
                sweep(client, self.warehouse, resource_type)
        for name in STAGING:
            build_staging(self.warehouse, self.catalog, f"staging.{name}")

    def rows(self, query: str) -> list[Any]:
        return rows(self.warehouse, query)

    def everything(self) -> dict[str, list[Any]]:
        """Give every row of raw and staging, without the numbers of loads."""
        raw = {f"raw.{name.lower()}": self.rows(RAW.format(name.lower())) for name in TYPES}
        return raw | {name: self.rows(f"select s::text from staging.{name} as s order by 1") for name in STAGING}


@contextmanager
def source(month: Month, faults: Faults) -> Iterator[str]:
    """Serve a month's store, with its clock."""
    with running(create_app(month.store, faults=faults)) as url:
        yield f"{url}/fhir"


@pytest.fixture
def clean(empty_database_url: str) -> Iterator[Warehouse]:
    opened = Warehouse(empty_database_url, report_timezone=REPORT_TIMEZONE)
    migrate(opened, Project().sql_dir)
    yield opened
    opened.close()


def differences(month: Month, kept: Deployment, resource_type: str, *, odd_too: bool) -> list[str]:
    """List what differs between the source and raw, of what changed before the lag; the odd ones only if asked."""
    table, truth = resource_type.lower(), month.truth(resource_type)
    landed = dict(kept.rows(f"select id, resource from raw.{table} where not is_deleted"))
    settled = {
        one for (kind, one), at in month.touched_at.items()
        if kind == resource_type and (odd_too or (kind, one) not in month.odd)
        and (month.now - at).total_seconds() > LAG_SECONDS
    }  # fmt: skip
    return [
        f"{resource_type}/{one} is {_version(truth, one)} at the source and {_version(landed, one)} here"
        for one in sorted(settled)
        if truth.get(one) != landed.get(one)
    ]


def _version(bodies: dict[str, Any], one: str) -> str:
    return str(bodies[one]["meta"]) if one in bodies else "not"


def play(month: Month, kept: Deployment, faults: Faults) -> list[str]:
    """Play the days; give what was wrong after a night, or after a week."""
    problems = []
    for day in range(1, DAYS + 1):
        month.pass_day()
        faults.begin(Plan(), before_answer=month.meddle)
        kept.night()
        for name in TYPES:
            problems += [f"night {day}: {one}" for one in differences(month, kept, name, odd_too=False)]
        if day % 7 == 0 or day == DAYS:
            faults.begin(Plan())
            month.pass_to(month.now + timedelta(hours=2))  # what was written during the night is beyond the lag
            kept.week()
            for name in TYPES:
                problems += [f"week of day {day}: {one}" for one in differences(month, kept, name, odd_too=True)]
            month.odd.clear()
    return problems


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_month_raw_and_staging_are_what_a_clean_load_gives(
    seed: int, warehouse: Warehouse, clean: Warehouse
) -> None:
    month, faults, catalog = Month(seed), Faults(), load_catalog(Project())
    with source(month, faults) as url:
        kept = Deployment(url, warehouse, catalog, page_size=20)
        kept.night()
        problems = play(month, kept, faults)
        kept.night()
        anew = Deployment(url, clean, catalog, page_size=20)
        anew.night()
    print(f"\nseed {seed}: {dict(sorted(month.happened.items()))}")
    assert not problems, f"CHAOS_SEED={seed}: {len(problems)} problems\n" + "\n".join(problems[:20])
    assert kept.everything() == anew.everything(), f"CHAOS_SEED={seed}"
    assert month.happened.keys() >= {*SHARES, "late", "days late"}


def test_a_resource_lost_behind_our_back_is_noticed(warehouse: Warehouse) -> None:
    month = Month(1)
    with source(month, Faults()) as url:
        kept = Deployment(url, warehouse, load_catalog(Project()))
        month.pass_to(month.now + timedelta(hours=1))
        kept.night()
    assert [differences(month, kept, name, odd_too=True) for name in TYPES] == [[], []]
    before = kept.everything()
    kept.rows("delete from raw.encounter where id = 'e0007' returning 1")
    (told,) = differences(month, kept, "Encounter", odd_too=True)
    assert told.startswith("Encounter/e0007 is {")
    assert told.endswith("at the source and not here")
    kept.rows(
        "update staging.observation set value = 0 where id = (select max(id) from staging.observation) returning 1"
    )
    after = kept.everything()
    assert [name for name in before if before[name] != after[name]] == ["raw.encounter", "observation"]
