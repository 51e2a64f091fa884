"""Every total of the district of 21 November 2026, held to a file: a change of a number shows in the diff."""

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opensrp_dhis2_sandbox.district.write import write_district

from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.defs.conftest import chain_over

GOLDEN = ROOT / "tests" / "golden" / "district_totals.csv"
COLUMNS = ("indicator", "measure", "period", "org_unit_id", "disaggregation", "value")
TOTALS = """
select indicator, measure, period, org_unit_id, array_to_string(disaggregation, ' '), trim_scale(value)::text
from indicator.value join lookup.period using (period_type, period)
where end_on < '2026-11-21' order by 1, 2, 3, 4, 5"""


def test_the_districts_totals_are_those_of_the_golden_file(
    tmp_path: Path, database_url: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    write_district(tmp_path, today=now.date())
    with chain_over(tmp_path, database_url, warehouse, monkeypatch, now) as chain:
        assert chain.run("extract").success
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([COLUMNS, *chain.query(TOTALS)])
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(written.getvalue())
    assert written.getvalue().splitlines() == GOLDEN.read_text().splitlines()
