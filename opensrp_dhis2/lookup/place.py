"""FHIR Locations and the DHIS2 org units they are: the country's place.csv in, lookup.place out.

It knows the mapping file's shape; the rules themselves stand in sql/functions/lookup_place.sql.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.warehouse.database import Connection

COLUMNS = ("location_id", "org_unit")
RUNBOOK_COLUMNS = ("location_id", "reporting_dhis2_orgunit_uid")  # the eCHIS runbook's seed file, taken as it is


def read_mapping(path: Path) -> list[tuple[str, str]]:
    """Read place.csv: one row a Location, with the code or id of its org unit; rows without a unit are skipped.

    Raises: ConfigurationError for a missing column, a Location that stands twice, or a file that is not UTF-8.
    """
    try:
        return list(_rows(path))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or ()
        columns = next((wanted for wanted in (COLUMNS, RUNBOOK_COLUMNS) if set(wanted) <= set(header)), None)
        if columns is None:
            raise ConfigurationError(
                f"{path.name}:1: needs the columns {', '.join(COLUMNS)}; it has {', '.join(header)}"
            )
        for row in reader:
            location_id, org_unit = ((row[column] or "").strip() for column in columns)
            if location_id in seen:
                raise ConfigurationError(
                    f"{path.name}:{reader.line_num}: the location_id stands twice; keep one row for each Location"
                )
            seen.add(location_id)
            if location_id and org_unit:
                yield location_id, org_unit


def resolve_places(
    connection: Connection, mapping: list[tuple[str, str]], administrative: Sequence[str] = ()
) -> dict[str, int]:
    """Replace lookup.place; give the number of Locations by the rule that placed them (`none`: unmapped).

    Args: administrative: codes of physicalType or type, or systems of type, whose Locations keep their names; the names
    of other Locations are kept only where they are an org unit themselves.
    """
    connection.execute("delete from lookup.place_mapping")
    with connection.cursor() as cursor:
        cursor.executemany("insert into lookup.place_mapping (location_id, org_unit) values (%s, %s)", mapping)
    return dict(connection.execute("select * from lookup.resolve_places(%s)", (list(administrative),)).fetchall())


def unmapped_places(connection: Connection) -> list[tuple[str, str | None, str]]:
    """Return the Locations that are no org unit and lie in none: id, name where it is kept, and why."""
    return connection.execute(
        "select location_id, name, reason from lookup.place where org_unit_id is null order by reason, location_id"
    ).fetchall()
