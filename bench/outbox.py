"""Speed of the outbox: payloads built in SQL beside fetching the rows, and the push beside posting the same bytes.

It measures ratios within one run, against a canned DHIS2 that answers as slowly as a quick real one.
"""

import gzip
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from bench.load import fresh_warehouse, result
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import DataValue, SentValue, ServerVersion
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.delivery import push
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.pacing import Pace
from opensrp_dhis2.outbox.request import Sender
from opensrp_dhis2.warehouse.database import Warehouse

VALUE_COUNT = 1_000_000
PUSHED_COUNT = 100_000
BATCH_SIZE = 1000
ANSWER_SECONDS = 0.03 + 100e-6 * BATCH_SIZE  # what 2.43 was measured to need, less than half of it
OF = DataSetPeriod("http://bench", "DsBench0001", "202509")
VERSION = ServerVersion.parse("2.43.1")
BATCHES = """
insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id)
select %(target)s, %(data_set_id)s, %(period)s, 'CREATE_AND_UPDATE', 1000, 'bench'
from generate_series(1, ceil(%(count)s / 1000.0)::integer)
"""
LEDGER = """
insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,
  attribute_option_combo_id, wanted, state, batch_id, row_index, run_id)
select %(target)s, %(data_set_id)s, %(period)s, 'Ou' || lpad((n %% 12500)::text, 9, '0'),
  'De' || lpad((n / 12500)::text, 9, '0'), 'HllvX50cXC0', 'HllvX50cXC0', (n %% 97)::text, %(state)s,
  case when %(state)s = 'sending' then 1 + n / 1000 end, n %% 1000, 'bench'
from generate_series(0, %(count)s - 1) n
"""
ROWS = """
select data_set_id, data_element_id, period, org_unit_id, category_option_combo_id, attribute_option_combo_id, wanted
from outbox.value order by data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id
"""


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure payloads and pushes; a scale of 1 takes about a minute and a half."""
    with fresh_warehouse() as warehouse:
        payloads = _payloads(warehouse, int(VALUE_COUNT * scale))
    with fresh_warehouse() as warehouse, canned_dhis2() as url:
        return [payloads, *_pushes(warehouse, url, int(PUSHED_COUNT * scale))]


def _fill(warehouse: Warehouse, count: int, state: str) -> None:
    with warehouse.connect() as connection:
        connection.execute(BATCHES if state == "sending" else "select 1", {**OF._asdict(), "count": count})
        connection.execute(LEDGER, {**OF._asdict(), "count": count, "state": state})
        connection.commit()
        connection.execute("analyze outbox.value")


def _payloads(warehouse: Warehouse, count: int) -> dict[str, Any]:
    _fill(warehouse, count, "sending")
    with warehouse.connect() as connection:
        started = time.perf_counter()
        assert len(connection.execute(ROWS).fetchall()) == count
        fetching = time.perf_counter() - started
        batches = ledger.unsettled_batches(connection, OF.target)
        started = time.perf_counter()
        built = sum(len(ledger.payload(connection, batch)) for batch in batches)
        building = time.perf_counter() - started
    assert built > 150 * count
    return result(
        f"payloads of {count:,} values in SQL, values/s; fetching their rows", count / building, count / fetching, 2.5
    )


def _pushes(warehouse: Warehouse, url: str, count: int) -> list[dict[str, Any]]:
    _fill(warehouse, count, "pending")
    with Dhis2Client(url) as client, httpx.Client(base_url=url) as raw:
        started = time.perf_counter()
        with take_lease(warehouse, OF.target, "bench") as lease:
            delivery = push(Sender(lease, client, VERSION, "bench"), OF, Pace(BATCH_SIZE), lambda: True)
        pushing = time.perf_counter() - started
        assert delivery.accepted == count
        values = [{"dataElement": f"De{n:09d}", "period": "202509", "orgUnit": "Ou000000001", "value": "5",
                   "categoryOptionCombo": "HllvX50cXC0", "attributeOptionCombo": "HllvX50cXC0"}
                  for n in range(BATCH_SIZE)]  # fmt: skip
        body = json.dumps({"dataSet": OF.data_set_id, "dataValues": values}).encode()
        sent = [SentValue(DataValue(f"De{n:09d}", "202509", "Ou000000001", "HllvX50cXC0", "HllvX50cXC0", "5"))
                for n in range(BATCH_SIZE)]  # fmt: skip
        started = time.perf_counter()
        for _ in range(count // BATCH_SIZE):
            raw.post("/api/dataValueSets", content=body, headers={"Content-Type": "application/json"})
        posting = time.perf_counter() - started
        started = time.perf_counter()
        for _ in range(count // BATCH_SIZE):
            interpret(client.post_data_value_set(body), sent, VERSION)
        sending = time.perf_counter() - started
    return [
        result("push by the client, values/s; raw POST of the same bytes", count / sending, count / posting, 0.90),
        result("push with the ledger, values/s; raw POST of the same bytes", count / pushing, count / posting, 0.60),
    ]


@contextmanager
def canned_dhis2() -> Iterator[str]:
    """Serve a DHIS2 that takes every value, after the time that a real one would need."""

    stored: defaultdict[str, list[dict[str, str]]] = defaultdict(list)  # by org unit

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            units = parse_qs(urlsplit(self.path).query).get("orgUnit", [])
            self._answer({"dataValues": [row for unit in units for row in stored[unit]]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            for row in json.loads(plain)["dataValues"]:
                stored[row["orgUnit"]].append(row)
            time.sleep(ANSWER_SECONDS)
            self._answer(_success(plain.count(b'"dataElement"')))

        def _answer(self, said: dict[str, Any]) -> None:
            answer = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def _success(count: int) -> dict[str, Any]:
    counts = {"imported": 0, "updated": count, "ignored": 0, "deleted": 0}
    return {"httpStatus": "OK", "httpStatusCode": 200, "status": "OK", "message": "Import was successful.",
            "response": {"responseType": "ImportSummary", "status": "SUCCESS", "importCount": counts, "conflicts": [],
                         "rejectedIndexes": [], "importOptions": {"dryRun": False}}}  # fmt: skip
