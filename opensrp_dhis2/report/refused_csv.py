"""The values that did not get in, as a CSV file that a spreadsheet opens, for the person who must mend them.

It knows the columns; it refuses to choose the values.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.plain_text import spreadsheet_cell
from opensrp_dhis2.report.html import report_name, write_report_file
from opensrp_dhis2.warehouse.database import Connection

COLUMNS = {  # of a row, and its head
    "data_set": "data_set", "period": "period", "org_unit": "org_unit_code", "org_unit_name": "org_unit",
    "data_element": "data_element_code", "data_element_name": "data_element",
    "category_option_combo": "category_option_combo", "wanted": "value", "there": "in_dhis2_now", "code": "code",
    "sentence": "what_is_wrong", "owner": "who", "remedy": "what_to_do",
}  # fmt: skip
BYTE_ORDER_MARK = "\ufeff"  # else Excel takes UTF-8 for the local code page


def write_refused(
    connection: Connection, run_id: str, target: str, directory: Path, language: str = "en"
) -> Path | None:
    """Write the values of one run that were refused or withheld into a folder; none: there are none.

    Raises: ConfigurationError (terminal) when the folder cannot be written.
    """
    name, words, text = report_name(run_id, ".csv"), catalogue(language), io.StringIO()
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from outbox.run_stopped(%s, %s)", (run_id, target)).fetchall()
    if not rows:
        (directory / name).unlink(missing_ok=True)
        return None
    writer = csv.writer(text, delimiter=words.csv_delimiter)
    writer.writerow(words.columns(*COLUMNS.values()))
    writer.writerows(_cells(row, words) for row in rows)
    return write_report_file(directory, name, BYTE_ORDER_MARK + text.getvalue())


def _cells(row: Mapping[str, Any], words: Catalogue) -> list[str]:
    said = explain(row["code"] or "unexplained_rejection", words.language)
    cells = {
        **row,
        "org_unit_name": row["org_unit_name"] or row["org_unit_id"],
        "data_element_name": row["data_element_name"] or row["data_element_id"],
        "wanted": words("deletion") if row["wanted"] is None else row["wanted"],
        "code": said.code,
        "sentence": said.sentence,
        "owner": said.owner_label,
        "remedy": said.remedy,
    }
    return [spreadsheet_cell(str(cells[column] if cells[column] is not None else "")) for column in COLUMNS]
