"""A personal access token that ends: each run warns of it, a check shows it, and an expired one is called expired."""

import dagster as dg
import httpx
import pytest

from tests.defs.conftest import MONTHS, NOW, Chain

DAY = 86_400_000


def use_token(chain: Chain, monkeypatch: pytest.MonkeyPatch, expires_in_days: float) -> None:
    """Make a token of the pipeline's own account; it ends by the sandbox's clock."""
    expire = int(NOW.timestamp() * 1000 + expires_in_days * DAY)
    made = httpx.post(f"{chain.dhis2_url}/api/apiToken", json={"expire": expire}, auth=("pipeline", "district"))
    monkeypatch.setenv("DHIS2_AUTH", "pat")
    monkeypatch.setenv("DHIS2_TOKEN", made.json()["response"]["key"])


def told(chain: Chain, run_id: str) -> list[str]:
    return [
        entry.user_message for entry in chain.instance.all_logs(run_id) if "personal access token" in entry.user_message
    ]


def expiry_check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [found] = [one for one in result.get_asset_check_evaluations() if one.check_name == "token_expiry"]
    return found


def test_a_token_that_ends_in_five_days_is_warned_of_in_every_run(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_token(chain, monkeypatch, 4.5)
    extract = chain.run("extract")
    assert extract.success
    check = expiry_check(extract)
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert "in 4 days: make a new one in DHIS2" in str(check.metadata["warning"].value)
    report = chain.run("report_chw_m", MONTHS[-1])
    assert report.success
    for run in (extract, report):
        assert any("The personal access token of DHIS2_TOKEN ends on" in line for line in told(chain, run.run_id))


def test_a_token_that_lasts_is_no_warning_and_one_that_has_expired_is_called_so(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_token(chain, monkeypatch, 60)
    extract = chain.run("extract")
    assert expiry_check(extract).passed
    assert told(chain, extract.run_id) == []
    use_token(chain, monkeypatch, -1)
    failed = chain.run("report_chw_m", MONTHS[-1])
    failures = [str(event.step_failure_data.user_failure_data) for event in failed.all_events if event.is_step_failure]
    assert "The personal access token has expired. Make a new token" in failures[0]
