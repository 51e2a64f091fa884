"""The command `outbox reconcile` against a sandbox: as tables, as JSON and as Markdown."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli.forecast import outbox_forecast
from opensrp_dhis2.cli.reconcile import outbox_reconcile
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.country import COMBOS, ELEMENTS, MARCH, Country, country
from tests.support.english import english_left
from tests.support.foreign import OURS, THEIRS, post


@pytest.fixture
def here(warehouse: Warehouse) -> Iterator[Country]:
    with country(warehouse, "2.43") as opened:
        yield opened


@pytest.fixture
def environment(here: Country, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    views = tmp_path / "dbt_like_views"
    views.mkdir()
    (views / "data_sets.yaml").write_text("PERF: {period_type: Monthly}\n")
    for name, value in {
        "DHIS2_BASE_URL": here.url, "DHIS2_AUTH": "basic", "DHIS2_USERNAME": "pusher", "DHIS2_PASSWORD": "secret",
        "WAREHOUSE_URL": database_url, "PROJECT_DIR": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("option", "said"), [("--json", '"foreign_edit": 1'), ("--markdown", "## PERF 202403"), ("", "777")]
)
def test_the_command_shows_what_was_found(here: Country, option: str, said: str) -> None:
    here.fill(units=OURS[:1])
    here.report()
    post(here, {(ELEMENTS[0], OURS[0], COMBOS[0]): "777"})
    result = CliRunner().invoke(outbox_reconcile, ["PERF", MARCH.id, *filter(None, [option])], catch_exceptions=False)
    assert result.exit_code == 0
    assert said in result.output
    if option == "--json":
        assert json.loads(result.output)["rows"][0]["stored"] == "777"


@pytest.mark.usefixtures("environment")
def test_the_command_lets_strangers_stand_that_it_has_listed(here: Country) -> None:
    here.fill(units=OURS[:1])
    here.report()
    post(here, {(ELEMENTS[0], THEIRS[0], COMBOS[0]): "4"})
    asked = ["PERF", MARCH.id, "--json"]
    first, second, third = (
        CliRunner().invoke(outbox_reconcile, [*asked, *more], catch_exceptions=False)
        for more in (["--accept-strangers"], ["--accept-strangers", "--org-unit", THEIRS[0]], [])
    )
    assert "0 values that others entered are let stand" in first.stderr  # none was listed yet
    assert json.loads(first.stdout)["found"]["unknown_value"] == 1
    assert "1 values that others entered are let stand" in second.stderr
    assert [json.loads(one.stdout)["found"]["unknown_value"] for one in (second, third)] == [0, 0]
    assert CliRunner().invoke(outbox_reconcile, [*asked, "--org-unit", THEIRS[0]]).exit_code == 2


@pytest.mark.usefixtures("environment")
def test_the_commands_speak_the_language_of_the_settings(here: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    here.fill(units=OURS[:1])
    here.report()
    post(here, {(ELEMENTS[0], OURS[0], COMBOS[0]): "777", (ELEMENTS[0], THEIRS[0], COMBOS[0]): "4"})
    monkeypatch.setenv("REPORT_LANGUAGE", "fr")
    for command, more in ((outbox_reconcile, []), (outbox_reconcile, ["--markdown"]), (outbox_forecast, [])):
        result = CliRunner().invoke(command, ["PERF", MARCH.id, *more], catch_exceptions=False)
        assert result.exit_code == 0
        assert "dans DHIS2" in result.stdout
        assert english_left(result.stdout, "fr") == []
