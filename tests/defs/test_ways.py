"""The assets raw/<type> by files and by Airbyte's tables: no FHIR server is asked, and what is missing fails a step."""

import gzip
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.definitions import defs
from tests.defs.conftest import Chain
from tests.support.airbyte import TABLE, Airbyte

LINE = '{"resourceType":"Location","id":"l%d","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00Z"}}\n'
KEY = dg.AssetKey(["raw", "location"])


@pytest.fixture
def nothing_else(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A deployment whose FHIR server is out of reach, and which would count what is there."""
    monkeypatch.setenv("FHIR_BASE_URL", "http://127.0.0.1:1/fhir")
    monkeypatch.setenv("FHIR_EXPECTED_COUNTS", "Location=5")
    return chain


def materialize(chain: Chain) -> Any:
    job = defs().resolve_job_def("extract")
    checks = {dg.AssetCheckKey(KEY, name) for name in ("complete", "fresh")}
    return job.get_subset(asset_selection={KEY}, asset_check_selection=checks).execute_in_process(
        instance=chain.instance, raise_on_error=False
    )


def told(result: Any) -> dict[str, Any]:
    (one,) = result.asset_materializations_for_node("raw__location")
    return {name: value.value for name, value in one.metadata.items()}


def checks(result: Any) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def test_files_are_loaded_once_and_checked(
    nothing_else: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Location.ndjson").write_text("".join(LINE % number for number in range(20)) + "{broken\n")
    monkeypatch.setenv("FHIR_SOURCE", "ndjson")
    monkeypatch.setenv("FHIR_NDJSON_URL", str(tmp_path))
    first, second = materialize(nothing_else), materialize(nothing_else)
    assert checks(first) == checks(second) == {"complete": True, "fresh": True}
    names = ("inserted", "rejected", "files", "files loaded before", "deletions by")
    assert [told(first)[name] for name in names] == [20, 1, 1, 0, "nothing: this source does not tell them"]
    assert [told(second)[name] for name in names[:4]] == [0, 0, 0, 1]
    shown = CliRunner().invoke(main, ["extract", "status"])
    assert shown.exit_code == 0
    assert "Location.ndjson" in shown.output


def test_a_file_that_is_cut_off_fails_the_step_and_the_sweep_says_that_files_tell_nothing(
    nothing_else: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Location.ndjson.gz").write_bytes(gzip.compress((LINE % 1).encode())[:-10])
    monkeypatch.setenv("FHIR_SOURCE", "ndjson")
    monkeypatch.setenv("FHIR_NDJSON_URL", str(tmp_path))
    assert not materialize(nothing_else).success
    assert nothing_else.query("select state from raw.loaded_file") == [("broken",)]
    assert not nothing_else.run("sweep_deletes").success
    assert nothing_else.run("resweep").success


def test_airbytes_tables_are_read_certified_and_swept(
    nothing_else: Chain, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    airbyte = Airbyte(empty_database_url)
    airbyte.sql("drop table airbyte.flag")
    airbyte.sql(TABLE.format("location"))
    airbyte.sql(
        "insert into airbyte.location select n, now() - interval '1 hour', '{}', null, jsonb_build_object('resourceType',"
        " 'Location', 'id', 'l' || n, 'meta', jsonb_build_object('lastUpdated', '2026-01-01T00:00:00Z'))"
        " from generate_series(1, 20) n"
    )
    monkeypatch.setenv("FHIR_SOURCE", "airbyte")
    monkeypatch.setenv("FHIR_AIRBYTE_URL", empty_database_url)
    first = materialize(nothing_else)
    airbyte.sql("delete from airbyte.location where _airbyte_raw_id = '7'")
    second = materialize(nothing_else)
    assert checks(first) == checks(second) == {"complete": True, "fresh": True}
    assert [(told(one)["inserted"], told(one)["slices"], told(one)["deleted"]) for one in (first, second)] == [
        (20, 1, 0),
        (0, 1, 1),
    ]
    assert nothing_else.query("select id from raw.location where is_deleted") == [("l7",)]
