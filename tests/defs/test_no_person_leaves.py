"""Nothing of a person leaves: searched for after whole runs and provoked failures, in all that is sent, kept or said."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from opensrp_dhis2_sandbox.district.people import CANARIES
from opensrp_dhis2_sandbox.district.places import named_id
from opensrp_dhis2_sandbox.runs import Run, open_instance, run_job
from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opensrp_dhis2.cli import main
from opensrp_dhis2.cli.privacy_scan import privacy_scan
from tests.defs.conftest import Chain
from tests.support.one_answer import answering

HOUSE = {
    "resourceType": "Location", "id": "house-of-canary", "status": "active", "name": "House of Canary001 0772000111",
    "physicalType": {"coding": [{"code": "ho"}]},
    "partOf": {"reference": f"Location/{named_id('Location', 'Nabweya')}"},
}  # fmt: skip
COMMANDS = (["outbox", "status", "--json"], ["outbox", "list"], ["views", "check"])


def run_scan(*paths: Path) -> Result:
    result = CliRunner().invoke(privacy_scan, [*map(str, paths)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


CANARY = re.compile(  # a position is no part of a time: 1795255861.0888867
    "|".join(rf"(?<![\d.]){re.escape(c)}\d{{0,2}}(?!\d)" if "." in c else re.escape(c) for c in CANARIES)
)


@dataclass
class Relay:
    """Passes what is sent to DHIS2 on, keeps it as it came, and spoils the first value of all."""

    to: str
    received: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        is_packed = request.headers.get("content-encoding") == "gzip"
        plain = gzip.decompress(body) if is_packed else body
        if plain.startswith(b"{") and not any('"dataValues"' in text for text in self.received):
            plain = re.sub(rb'"value": ?"\d+"', b'"value":"many"', plain, count=1)
        self.received.append(f"{request.url} {plain.decode()}")
        headers = {name: value for name, value in request.headers.items() if name in ("authorization", "content-type")}
        async with httpx.AsyncClient(base_url=self.to, timeout=60) as client:
            reply = await client.request(request.method, str(request.url.path), params=request.query_params.multi_items(),
                                          content=plain, headers=headers)  # fmt: skip
        return Response(reply.content, reply.status_code, media_type=reply.headers.get("content-type"))

    @contextmanager
    def listening(self) -> Iterator[str]:
        with running(
            Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST", "PUT", "DELETE"])])
        ) as url:
            yield url


def wrong_pages(fhir_url: str) -> dict[str, tuple[bytes, int]]:
    """Give answers to a search for patients that are all wrong, and all full of names."""
    page = httpx.get(f"{fhir_url}/Patient", params={"_count": 5}).raise_for_status().content
    document = json.loads(page)
    document["link"] = []
    resources = [entry["resource"] for entry in document["entry"]]
    del resources[0]["id"]
    resources[1]["name"][0]["family"] = "Canary\0"
    resources[2]["meta"]["lastUpdated"] = "Canary day"
    return {
        "cut off": (page[: len(page) // 2], 200),
        "no page": (json.dumps(resources[3]).encode(), 200),
        "poison": (json.dumps(document).encode(), 200),
    }


ID = re.compile(rf"[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|{HOUSE['id']}")  # the district's are such


def resource_ids(chain: Chain) -> set[str]:
    """Give the ids of all resources that came, whole or not."""
    tables = chain.query(
        "select table_name from information_schema.columns where table_schema = 'raw' and column_name = 'id'"
    )
    return {found for (table,) in tables for (found,) in chain.query(f"select id from raw.{table}") if found}


def run_on_wrong_pages(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Extract each wrong page, and give what Dagster was told of it."""
    pages = wrong_pages(os.environ["FHIR_BASE_URL"])
    runs = [extract_from(chain, monkeypatch, body.decode(), status) for body, status in pages.values()]
    assert [name for name, run in zip(pages, runs, strict=True) if not run.failures] in ([], ["poison"])
    return [failure for run in runs for failure in run.failures]


def extract_from(chain: Chain, monkeypatch: pytest.MonkeyPatch, body: str, status: int) -> Run:
    with monkeypatch.context() as broken, answering(body, status, "application/fhir+json") as url:
        broken.setenv("FHIR_BASE_URL", f"{url}/fhir")
        broken.setenv("FHIR_RESOURCE_TYPES", "Patient")
        return run_job(chain.instance, "extract", on_step=lambda _: None)


def test_what_a_refusing_server_quotes_of_a_person_is_not_passed_on(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = 'HAPI-1861: Failed to parse JSON encoded FHIR content: Invalid attribute value "Canary001": bad date'
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": said}]}
    run = extract_from(chain, monkeypatch, json.dumps(outcome), 400)
    logged = str([str(entry) for entry in chain.instance.all_logs(run.run_id)])
    assert "HAPI-1861" in logged
    assert "Canary" not in logged


def run_all_with_one_refusal(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Extract and report everything, DHIS2 refusing one value, and give what it received."""
    relay = Relay(chain.dhis2_url)
    with monkeypatch.context() as relayed, relay.listening() as url:
        relayed.setenv("DHIS2_BASE_URL", url)
        chain.run_all()
        said = [CliRunner().invoke(main, words).output for words in COMMANDS]
    assert chain.query("select count(*) > 0 from outbox.history where code is not null") == [(True,)]
    assert sum('"dataValues"' in text for text in relay.received) > 3
    return [*relay.received, *said]


def test_after_whole_runs_and_failures_no_canary_stands_anywhere(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    home = tmp_path / "home"
    chain.fhir.put(HOUSE)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with open_instance(home) as chain.instance:
        said = run_on_wrong_pages(chain, monkeypatch)
        said += run_all_with_one_refusal(chain, monkeypatch)
        runs = chain.instance.get_runs()
        logged = [str(entry) for run in runs for entry in chain.instance.all_logs(run.run_id)]
    said += [*logged, caplog.text, *capfd.readouterr(), str(chain.stored())]
    kept = {file: file.read_bytes() for top in (home, Path(".data")) for file in top.rglob("*") if file.is_file()}
    assert {".html", ".csv", ".db"} <= {file.suffix for file in kept}
    raw = chain.query("select resource::text from raw.patient")
    assert len({found[:4] for (text,) in raw for found in CANARY.findall(text)}) == len(CANARIES)
    assert [(canary, text[:200]) for text in said for canary in CANARY.findall(text)] == []
    assert [(canary, file) for file, held in kept.items() for canary in CANARY.findall(held.decode("latin-1"))] == []

    ids = resource_ids(chain)
    assert HOUSE["id"] in ids
    records = [*logged, *(held.decode("latin-1") for file, held in kept.items() if home in file.parents)]
    assert [ids.intersection(ID.findall(text)) for text in records if not ids.isdisjoint(ID.findall(text))] == []
    assert chain.query("select name from lookup.place where name ~ 'House'") == []
    assert chain.query("select count(*) from lookup.place where name = 'Nabweya'") == [(1,)]

    (tmp_path / "said.txt").write_text("\n".join(said))
    clean = run_scan(tmp_path / "said.txt")
    assert clean.exit_code == 0, clean.output
    assert "\n0 found in" in clean.output
    report = next(file for file in kept if file.suffix == ".html")
    report.write_text(report.read_text().replace("</body>", "<p>Canary007</p></body>"))
    leaking = run_scan()
    assert leaking.exit_code == 1
    assert report.name in leaking.output
    assert "Canary" not in leaking.output
