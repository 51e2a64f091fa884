"""Bad input to a job: the failed step says what, where and the remedy; the next good run goes on from the last one."""

from pathlib import Path

import dagster as dg
import pytest
from opensrp_dhis2_sandbox.runs import Run, run_job

from tests.defs.conftest import MONTHS, Chain
from tests.support.one_answer import answering
from tests.support.overlay import overlay


@pytest.fixture(autouse=True)
def one_type_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Location")


def failures(chain: Chain, job: str) -> list[str]:
    keys = [MONTHS[-1]] if job.startswith("report_") else []
    run: Run = run_job(chain.instance, job, keys, on_step=lambda _: None)
    logged = " ".join(str(entry) for entry in chain.instance.all_logs(run.run_id))
    assert "wrong-secret" not in logged
    assert not run.is_success
    assert run.failures
    return run.failures


PAGE = '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Location", "id": "a"'


@pytest.mark.parametrize(
    ("body", "status", "content_type", "said"),
    [
        ("<html>log in</html>", 200, "text/html", "no FHIR Bundle"),
        (PAGE, 200, "application/fhir+json", "was cut off 3 times"),
        ("no", 401, "text/plain", "FHIR_AUTH"),
    ],
)
def test_a_fhir_server_that_talks_nonsense_fails_the_step_and_moves_no_watermark(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    status: int,
    content_type: str,
    said: str,
) -> None:
    monkeypatch.setenv("FHIR_AUTH", "basic")
    monkeypatch.setenv("FHIR_USERNAME", "reader")
    monkeypatch.setenv("FHIR_PASSWORD", "wrong-secret")
    with answering(body, status, content_type) as url:
        monkeypatch.setenv("FHIR_BASE_URL", f"{url}/fhir")
        found = failures(chain, "extract")
    assert any(said in failure and url in failure for failure in found), found
    assert chain.query("select count(*) from raw.watermark") == [(0,)]


@pytest.mark.parametrize(
    ("body", "status", "content_type", "said"),
    [
        ("<html>log in</html>", 200, "text/html", "text/html"),
        ('{"version": "2.43', 200, "application/json", "breaks off"),
        ("<html>down</html>", 500, "text/html", "500"),
        ("no", 401, "text/plain", "DHIS2_AUTH"),
    ],
)
def test_a_dhis2_that_talks_nonsense_fails_the_step_and_leaves_its_metadata_as_they_were(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    status: int,
    content_type: str,
    said: str,
) -> None:
    with answering(body, status, content_type) as url:
        monkeypatch.setenv("DHIS2_BASE_URL", url)
        monkeypatch.setenv("DHIS2_PASSWORD", "wrong-secret")
        [failure] = failures(chain, "extract")
    assert said in failure
    assert url in failure
    assert chain.query("select count(*) from lookup.server") == [(0,)]


@pytest.mark.parametrize(("status", "retry_count"), [(500, 3), (401, 0), (404, 0)])
def test_only_what_may_pass_by_itself_is_tried_again(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, status: int, retry_count: int
) -> None:
    with answering("no", status) as url:
        monkeypatch.setenv("FHIR_BASE_URL", f"{url}/fhir")
        failures(chain, "extract")
    [run] = chain.instance.get_runs()
    events = [entry.dagster_event for entry in chain.instance.all_logs(run.run_id)]
    retried = [e.step_key for e in events if e and e.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY]
    assert retried == ["raw__location"] * retry_count


def test_after_a_run_that_could_not_read_or_send_the_next_goes_on_where_the_last_good_one_stood(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FHIR_RESOURCE_TYPES")
    assert chain.run("extract").success
    state = "select * from raw.watermark order by 1, 2", "select * from indicator.value order by 1, 2, 3, 4, 5, 6"
    before = [chain.query(query) for query in state]
    read_to = chain.query("select max(read_to) from raw.watermark")
    with monkeypatch.context() as broken, answering("<html>", 200) as url:
        broken.setenv("FHIR_PASSWORD", "wrong-secret")
        broken.setenv("FHIR_AUTH", "basic")
        broken.setenv("DHIS2_PASSWORD", "wrong-secret")
        assert any("FHIR_USERNAME" in failure for failure in failures(chain, "extract"))
        assert any("DHIS2_AUTH" in failure for failure in failures(chain, "report_chw_m"))
        broken.setenv("DHIS2_BASE_URL", url)
        failures(chain, "report_chw_m")
    assert [chain.query(query) for query in state] == before
    assert chain.query("select count(*) from outbox.batch where state = 'sending'") == [(0,)]
    assert chain.stored() == []
    assert chain.run("extract").success
    assert chain.query("select max(read_to) from raw.watermark") > read_to
    assert chain.run("report_chw_m", MONTHS[-1]).success
    assert chain.query("select sum(sent), sum(accepted) from outbox.delivery where accepted > 0") == [
        (len(chain.stored()), len(chain.stored()))
    ]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("FHIR_BASE_URL", "http://127.0.0.1:9/fhir", "FHIR_BASE_URL"),
        ("DHIS2_BASE_URL", "http://127.0.0.1:9", "127.0.0.1:9"),
        ("DHIS2_PASSWORD", "wrong-secret", "password"),
        ("DHIS2_AUTH", "pat", "DHIS2_TOKEN"),
        ("FHIR_AUTH", "basic", "FHIR_PASSWORD"),
        ("WAREHOUSE_URL", "postgresql://u:wrong-secret@127.0.0.1:9/none", "127.0.0.1:9"),
    ],
)
def test_a_server_that_is_not_there_or_does_not_let_us_in_is_told(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(setting, value)
    found = " ".join(failures(chain, "extract"))
    assert said in found
    assert "wrong-secret" not in found
    assert chain.query("select count(*) from outbox.value") == [(0,)]


def test_a_data_test_whose_other_relation_is_not_built_yet_says_so(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Patient")
    with answering("no", 404) as url:
        monkeypatch.setenv("FHIR_BASE_URL", f"{url}/fhir")
        found = failures(chain, "extract")
    [told] = [failure for failure in found if failure.startswith("staging/group_member_data_tests")]
    assert 'relation "staging.patient" does not exist: build that one first' in told
    assert "group_member.sql" in told


@pytest.mark.parametrize("element", ["NO_SUCH", "FEVER_TESTED"])
def test_a_code_that_dhis2_does_not_know_fails_before_anything_is_sent(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    element: str,
) -> None:
    monkeypatch.setenv("PROJECT_DIR", overlay(tmp_path / "country", element=element))
    [failure] = failures(chain, "extract")
    assert element in failure
    assert "household_visits.sql" in failure


def test_a_data_set_that_dhis2_does_not_have_is_told(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "country"
    overlay(folder)
    (folder / "dbt_like_views" / "data_sets.yaml").write_text("NO_SET: {period_type: Monthly}\n")
    monkeypatch.setenv("PROJECT_DIR", str(folder))
    found = " ".join(failures(chain, "extract"))
    assert "NO_SET" in found
    assert "data_sets.yaml" in found


def test_a_place_file_from_another_world_is_told(chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "place.csv").write_bytes("location_id,org_unit\nvillage,Thiès\n".encode("cp1252"))
    monkeypatch.setenv("PROJECT_DIR", str(tmp_path))
    [failure] = failures(chain, "extract")
    assert "place.csv is not UTF-8" in failure
