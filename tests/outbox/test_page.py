"""The report page, the CSV and the Markdown of a run: complete, self-contained, safe to open, and the same twice."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.messages.catalogue import catalogue
from opensrp_dhis2.report.html import BAR_WIDTH, report_name, segments, tone, write_page
from opensrp_dhis2.report.refused_csv import write_refused
from opensrp_dhis2.report.run import Standings, headline, read_run, run_markdown
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.harmful import HARMFUL, harmful_in
from tests.support.report_ledger import HOSTILE, RUN, TARGET, deliver, seed

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart: its text, its tags, and whether every tag that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def ledger(warehouse: Warehouse) -> Warehouse:
    with warehouse.connect() as connection:
        seed(connection)
    return warehouse


def page_of(warehouse: Warehouse, folder: Path, language: str = "en", run_id: str = RUN) -> str:
    with warehouse.connect() as connection:
        return write_page(connection, run_id, TARGET, folder, language).read_text(encoding="utf-8")


def test_the_page_needs_no_other_file_and_runs_nothing(ledger: Warehouse, tmp_path: Path) -> None:
    html = page_of(ledger, tmp_path / "made" / "anew")
    tags = Page(html).tags
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in tags}
    assert [a["href"] for _, a in tags if "href" in a] == ["run-7.csv"]
    assert not [a for _, a in tags if "src" in a or any(name.startswith("on") for name in a)]
    assert "@import" not in html
    assert "url(" not in html


def test_the_page_tells_where_the_values_stand_and_what_to_do(ledger: Warehouse, tmp_path: Path) -> None:
    text = Page(page_of(ledger, tmp_path)).text
    assert "3 of 9 values are in DHIS2" in text
    assert "1 Cannot be sent: period closed" in text
    assert (
        "3 values The org unit does not exist or is not assigned to the data set. (Before 2.43: E7636.) E8022" in text
    )
    assert text.index("DHIS2 administrator") < text.index("Data owner")  # who has most to do comes first
    assert "Org unit In To be mended Main reason" in text  # what waits is not in DHIS2 either
    assert "Béni Dispensary F2 Kiambu 3 of 4" in text
    assert "Mother and child DS_M 202509 2025-09-01 – 2025-09-30" in text
    assert "Values that DHIS2 took 71" in text
    assert "2025-10-08 01:30" in text  # half past ten in the evening of the day before, in UTC


def test_names_from_outside_stay_text(ledger: Warehouse, tmp_path: Path) -> None:
    html = page_of(ledger, tmp_path)
    assert HOSTILE not in html
    assert HOSTILE in Page(html).text


def test_the_page_is_the_same_when_it_is_written_again(ledger: Warehouse, tmp_path: Path) -> None:
    assert page_of(ledger, tmp_path) == page_of(ledger, tmp_path)


def test_a_run_that_did_nothing_has_a_page(ledger: Warehouse, tmp_path: Path) -> None:
    assert "No value is due" in Page(page_of(ledger, tmp_path, run_id="run-0")).text


def test_a_run_that_broke_off_before_it_kept_what_it_did_has_its_periods(ledger: Warehouse, tmp_path: Path) -> None:
    with ledger.connect() as connection:
        connection.execute(
            "insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id)"
            " values (%s, 'DsMonthly01', '202510', 'CREATE_AND_UPDATE', 1, 'run-8')",
            (TARGET,),
        )
        connection.execute(
            "update outbox.value set batch_id = (select max(batch_id) from outbox.batch), row_index = 0"
            " where period = '202510' and state = 'pending'"
        )
    text = Page(page_of(ledger, tmp_path, run_id="run-8")).text
    assert "0 of 2 values are in DHIS2" in text
    assert "1 Sent in this run" in text  # as the ledger shows it
    assert "202510" in text


def test_the_trend_ends_with_the_run_itself_and_holds_twenty(ledger: Warehouse) -> None:
    with ledger.connect() as connection:
        for day in range(9, 31):
            deliver(connection, f"run-{day}", "DsMonthly01", "202509", day, accepted=day)
        trend = read_run(connection, "run-29", TARGET).trend
    assert [one.run_id for one in trend] == [f"run-{day}" for day in range(10, 30)]


def test_the_forecast_score_is_on_the_page_where_there_is_one(ledger: Warehouse, tmp_path: Path) -> None:
    assert "How right the forecast was" not in page_of(ledger, tmp_path)
    with ledger.connect() as connection:
        connection.execute(
            "insert into outbox.forecast_score (run_id, target, data_set_id, period, right_count, wrong_count,"
            " open_count, by_predicted_outcome, made_at) values (%s, %s, 'DsMonthly01', '202509', 1999, 1, 0, '{}', now())",
            (RUN, TARGET),
        )
    assert "202509 1,999 1 99.9" in Page(page_of(ledger, tmp_path)).text  # not 100: one was wrong


def test_the_page_speaks_french(ledger: Warehouse, tmp_path: Path) -> None:
    html = page_of(ledger, tmp_path, "fr")
    assert '<html lang="fr">' in html
    text = Page(html).text
    assert "3 valeurs sur 9 sont dans DHIS2" in text
    assert "The org unit" not in text


def test_one_value_among_a_million_can_be_seen_on_the_bar() -> None:
    laid = segments(Standings({"delivered": 1_000_000, "refused": 1, "withdrawn": 50}))
    assert [one.name for one in laid] == ["delivered", "refused"]
    assert laid[1].width >= 3
    assert sum(one.width for one in laid) == pytest.approx(BAR_WIDTH, abs=0.5)


@pytest.mark.parametrize(
    ("counts", "said", "colour"),
    [
        ({"delivered": 2, "dropped": 1, "withdrawn": 4}, "Every value is in DHIS2: 3", "good"),
        ({"delivered": 2, "pending": 1}, "2 of 3 values are in DHIS2", "open"),
        ({"delivered": 2, "pending": 1, "closed": 1}, "2 of 4 values are in DHIS2", "bad"),
        ({"withdrawn": 1}, "No value is due in these periods", "good"),
    ],
)
def test_the_headline_is_green_only_when_all_is_in(counts: dict[str, int], said: str, colour: str) -> None:
    assert headline(Standings(counts), catalogue("en")) == said
    assert tone(Standings(counts)) == colour


def test_the_csv_lists_each_value_that_a_person_must_mend(ledger: Warehouse, tmp_path: Path) -> None:
    with ledger.connect() as connection:
        path = write_refused(connection, RUN, TARGET, tmp_path)
    assert path is not None
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert {(row["org unit"], row["value"], row["code"]) for row in rows} == {
        (HOSTILE, "5", "E8022"),
        ("Béni Dispensary", "3", "E8022"),
        ("Béni Dispensary", "9", "E8022"),
        ("Béni Dispensary", "-4", "E8122"),
        ("Alpha Health Centre", "8", "E8030"),
    }
    assert {row["data element"] for row in rows} == {"'=cmd|calc", "First visits"}
    assert {row["category option combo"] for row in rows} == {"default", "Female"}


def test_the_csv_says_what_dhis2_holds_now_and_calls_a_deletion_one(ledger: Warehouse, tmp_path: Path) -> None:
    with ledger.connect() as connection:
        connection.execute(
            "update outbox.value set wanted = null, acknowledged = '4' where state = 'refused';"
            "update outbox.value set acknowledged = '2' where org_unit_id = 'OuFacility3' and state = 'withheld';"
            "insert into outbox.discrepancy (target, data_set_id, period, org_unit_id, data_element_id,"
            " category_option_combo_id, attribute_option_combo_id, kind, wanted, acknowledged, stored, is_deleted, run_id)"
            " select target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,"
            " attribute_option_combo_id, 'foreign_edit', wanted, acknowledged, '77', false, 'r' from outbox.value"
            " where org_unit_id = 'OuFacility3' and state = 'withheld'"
        )
        english = write_refused(connection, RUN, TARGET, tmp_path)
        assert english is not None
        rows = list(csv.DictReader(io.StringIO(english.read_text(encoding="utf-8-sig"), newline="")))
        french = write_refused(connection, RUN, TARGET, tmp_path, "fr")
    assert {(row["value"], row["in DHIS2 now"], row["code"]) for row in rows} == {
        ("(to be deleted)", "4", "E8122"),
        ("5", "77", "E8022"),  # as reconcile found it
        ("3", "", "E8022"),
        ("9", "", "E8022"),
        ("8", "7", "E8030"),
    }
    assert french is not None
    assert "(à supprimer);4;E8122" in french.read_text(encoding="utf-8-sig")


def test_there_is_no_csv_once_nothing_is_to_be_mended(ledger: Warehouse, tmp_path: Path) -> None:
    with ledger.connect() as connection:
        path = write_refused(connection, RUN, TARGET, tmp_path)
        connection.execute("update outbox.value set state = 'delivered', acknowledged = wanted, code = null")
        assert write_refused(connection, RUN, TARGET, tmp_path) is None
    assert path is not None
    assert not path.exists()


@pytest.mark.parametrize("name", HARMFUL)
def test_no_name_of_dhis2_reaches_a_page_a_csv_or_markdown_raw(ledger: Warehouse, tmp_path: Path, name: str) -> None:
    with ledger.connect() as connection:
        for table in ("org_unit", "data_element", "data_set"):
            connection.execute(f"update lookup.{table} set name = %s, code = code || %s".encode(), (name, name))
        path = write_refused(connection, RUN, TARGET, tmp_path)
        shown = [run_markdown(connection, RUN, TARGET), page_of(ledger, tmp_path)]
    assert path is not None
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not [cell for row in rows for cell in row if cell.strip().startswith(("=", "\uff1d"))]
    for text in (*shown, *(cell for row in rows for cell in row)):
        assert harmful_in(text.replace("\n", "")) == []
    assert not any("\n" in cell for row in rows for cell in row)


def test_the_markdown_says_the_same_as_the_page(ledger: Warehouse) -> None:
    with ledger.connect() as connection:
        said = run_markdown(connection, RUN, TARGET)
    assert said.startswith("**3 of 9 values are in DHIS2**")
    assert "| Held back before sending | 3 |" in said
    assert "| 1 | E8030 |" in said


def test_a_run_id_cannot_lead_out_of_the_folder() -> None:
    assert report_name("../../etc/passwd", ".html") == "______etc_passwd.html"


def test_a_folder_that_cannot_be_written_is_named(ledger: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with ledger.connect() as connection, pytest.raises(ConfigurationError, match="DATA_DIR"):
        write_page(connection, RUN, TARGET, tmp_path / "file")


def test_what_reconcile_found_is_on_the_page(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.connect() as connection:
        seed(connection)
        connection.execute(
            "insert into outbox.discrepancy (target, data_set_id, period, org_unit_id, data_element_id,"
            " category_option_combo_id, attribute_option_combo_id, kind, wanted, acknowledged, stored, is_deleted, run_id)"
            " select target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,"
            " attribute_option_combo_id, 'foreign_edit', wanted, acknowledged, '77', false, 'r' from outbox.value"
            " where state = 'delivered' limit 2"
        )
        page = Page(write_page(connection, RUN, TARGET, tmp_path).read_text())
    assert "Somebody changed the value in DHIS2 after we had delivered it." in " ".join(page.words)
