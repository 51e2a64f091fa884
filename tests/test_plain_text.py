"""Texts of others, made safe for a terminal, a spreadsheet, a Markdown table and a line of JSON."""

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from opensrp_dhis2.cli import main
from opensrp_dhis2.cli.console import PlainTable
from opensrp_dhis2.errors import HttpError
from opensrp_dhis2.plain_text import json_line, markdown_table, one_line, plain_lines, spreadsheet_cell
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.support.harmful import HARMFUL, harmful_in
from tests.support.report_ledger import TARGET, seed


@given(st.text())
def test_no_control_character_is_left_in_a_line(text: str) -> None:
    assert harmful_in(one_line(text)) == []
    assert set(harmful_in(plain_lines(text))) <= {"\n", "\t"}
    assert harmful_in(json_line({"name": text})) == []


@given(st.text())
def test_a_line_of_json_gives_the_text_back(text: str) -> None:
    assert json.loads(json_line({"name": text})) == {"name": text}


@given(st.lists(st.text(), min_size=1))
def test_a_row_of_a_csv_stays_one_row(cells: list[str]) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([spreadsheet_cell(cell) for cell in cells])
    assert written.getvalue().count("\n") == 1
    assert len(next(csv.reader(io.StringIO(written.getvalue())))) == len(cells)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_a_markdown_table_has_its_rows_and_cells_and_no_markup_of_theirs(rows: list[tuple[str, str]]) -> None:
    html = MarkdownIt("commonmark").enable("table").render(markdown_table(("a", "b"), rows, numbers=(1,)))
    assert html.count("<tr>") == len(rows) + 1
    assert html.count("<td") == 2 * len(rows)
    assert not re.search("<(a|img|code|strong|script)[ >]", html)


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"), ("+256 700", "'+256 700"), ("@home", "'@home"), ("-A1", "'-A1"), ("\t=x", "' =x"),
        ("-12", "-12"), ("-0.5", "-0.5"), ("-2+3", "'-2+3"), ("-1\n", "'-1 "), ("12", "12"), ("", ""),
        (" =1", "' =1"), ("\uff1d1", "'\uff1d1"), ("\u3000\uff0b1", "'\u3000\uff0b1"), ("\u200b=1", "'=1"),
        ("\x1b=1", "'\ufffd=1"), ("a\r\nb", "a b"),
    ],
)  # fmt: skip
def test_a_spreadsheet_takes_no_cell_for_a_formula(cell: str, safe: str) -> None:
    assert spreadsheet_cell(cell) == safe


def test_other_scripts_stay_as_they_are() -> None:
    for name in ("Béni", "مركز صحي", "کمپ‌ها", "ស្រុក", "👩‍⚕️", "l’hôpital"):
        assert one_line(name) == plain_lines(name) == spreadsheet_cell(name) == name


@pytest.mark.parametrize("name", [*HARMFUL, "[red]Health[/]", "[link=x]y"])
def test_a_table_at_a_terminal_shows_the_marks_of_a_name_and_obeys_none(name: str) -> None:
    table, written = PlainTable("name"), io.StringIO()
    table.add_row(name)
    Console(file=written, force_terminal=True, no_color=True, width=200, markup=True).print(table)
    assert harmful_in(re.sub(r"\x1b\[\d*m|\n", "", written.getvalue())) == []
    assert "[red]" not in name or name in written.getvalue()


@pytest.mark.parametrize("name", HARMFUL)
def test_no_name_reaches_a_terminal_raw(warehouse: Warehouse, database_url: str, name: str) -> None:
    with warehouse.connect() as connection:
        seed(connection)
        connection.execute("update lookup.org_unit set name = %s", (name,))
        connection.execute("update outbox.value set reason = %s where code is not null", (name,))
    environment = {"WAREHOUSE_URL": database_url, "DHIS2_BASE_URL": TARGET}
    for words in (["list"], ["list", "--json"], ["show", "1"], ["status"], ["show", "--org-unit", name]):
        result = CliRunner().invoke(main, ["outbox", *words], env=environment, color=True)
        assert harmful_in(re.sub(r"\x1b\[\d*m|\n", "", result.output)) == []


def test_a_message_that_quotes_a_server_has_no_control_character() -> None:
    assert str(HttpError("it says \x1b]0;x\x07\nnext", url="u")) == "it says \ufffd]0;x\ufffd\nnext"


def test_commands_print_through_the_functions_that_make_text_plain() -> None:
    guilty = {
        path.name
        for path in (ROOT / "opensrp_dhis2/cli").glob("*.py")
        if re.search(r"click\.s?echo\(|click\.secho\(|(?<!Plain)Table\(|json\.dumps", path.read_text())
    }
    assert guilty == {"console.py", "routes.py"}  # which make them, and which hands an answer over as it came
