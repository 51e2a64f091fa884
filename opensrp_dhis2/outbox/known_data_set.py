"""What DHIS2 said of a data set when its metadata were last read, and which periods it takes by that: pure but for one read.

It knows rules; it refuses to know values.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from opensrp_dhis2.dhis2.periods import Period, period_of
from opensrp_dhis2.errors import MetadataNotFoundError
from opensrp_dhis2.warehouse.database import Connection


@dataclass(frozen=True)
class KnownDataSet:
    """A data set as lookup.data_set has it."""

    data_set_id: str
    open_future_periods: int
    expiry_days: float
    has_input_periods: bool


def known_data_set(connection: Connection, code: str) -> KnownDataSet:
    """Find a data set by its code.

    Raises: MetadataNotFoundError when DHIS2's metadata lack it.
    """
    row = connection.execute(
        "select data_set_id, open_future_periods, expiry_days, has_input_periods from lookup.data_set where code = %s",
        (code,),
    ).fetchone()
    if row is None:
        raise MetadataNotFoundError(
            f"data set {code} is not in lookup.data_set: run the job `extract`, which reads DHIS2's metadata, first"
        )
    return KnownDataSet(*row)


def is_open(period: Period, data_set: KnownDataSet, today: date) -> bool:
    """Return whether DHIS2 takes values of a period today, by the data set's future periods and expiry days.

    Input periods are left to DHIS2: 2.43.0 and 2.43.1 read them the wrong way round.
    """
    if data_set.has_input_periods:
        return True
    return not is_ahead(period, data_set, today) and not is_expired(period, data_set, today)


def is_ahead(period: Period, data_set: KnownDataSet, today: date) -> bool:
    """Return whether the period ends after the last one that is open for entry."""
    first_closed = period_of(period.period_type, today)
    for _ in range(data_set.open_future_periods):
        first_closed = period_of(period.period_type, first_closed.end_on + timedelta(days=1))
    return period.end_on >= first_closed.end_on


def is_expired(period: Period, data_set: KnownDataSet, today: date) -> bool:
    return 0 < data_set.expiry_days < (today - period.end_on).days


def closing_code(
    period: Period, data_set: KnownDataSet, today: date, *, may_edit_expired: bool, has_group_import: bool
) -> str | None:
    """Return the code with which DHIS2 refuses the period's values today; None: it takes them.

    An account that may edit expired periods is held back by older servers only where the period lies ahead.
    """
    if is_open(period, data_set, today):
        return None
    is_too_early = is_ahead(period, data_set, today)
    if may_edit_expired and (has_group_import or not is_too_early):
        return None
    return "E8030"
