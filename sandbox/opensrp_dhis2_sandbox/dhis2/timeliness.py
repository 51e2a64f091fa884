"""Says whether a data set takes values for a period, an org unit and an option combo today.

It knows both engines' clocks and windows; which error follows is the engines' affair.
"""

from datetime import date, timedelta

from opensrp_dhis2_sandbox.dhis2.imports import Circumstances
from opensrp_dhis2_sandbox.dhis2.metadata import DataSet, OptionCombo, OrgUnit
from opensrp_dhis2_sandbox.dhis2.periods import Period, latest_open


def is_expired(data_set: DataSet, period: Period, today: date) -> bool:
    """Return whether the expiry days after the period's end are over; 0 or less never expires."""
    return data_set.expiry_days > 0 and today > period.end_on + timedelta(days=data_set.expiry_days)


def is_locked(data_set: DataSet, period: Period, org_unit_id: str, where: Circumstances) -> bool:
    """Return whether expiry closes the period, minding lock exceptions and F_EDIT_EXPIRED."""
    return (
        is_expired(data_set, period, where.today)
        and not where.user.has("F_EDIT_EXPIRED")
        and (data_set.id, period.iso, org_unit_id) not in where.lock_exceptions
    )


def is_ahead(data_set: DataSet, period: Period, today: date) -> bool:
    """Return whether the period ends after the last one open for entry."""
    return period.end_on > latest_open(data_set.period_type, today, data_set.open_future_periods).end_on


def is_input_period_open(data_set: DataSet, period: Period, today: date) -> bool:
    """Return whether an input window of the data set names the period and is open; without windows all are open."""
    return not data_set.input_windows or any(
        w.period == period.iso and w.is_open(today) for w in data_set.input_windows
    )


def is_input_period_open_inverted(data_set: DataSet, period: Period, today: date) -> bool:
    """As 2.43.0 to 2.43.1 have it: a listed period is taken while its window is closed."""
    return any(w.period == period.iso and not w.is_open(today) for w in data_set.input_windows)


def is_approved(
    data_set: DataSet, period: Period, org_unit_id: str, option_combo_id: str, where: Circumstances
) -> bool:
    """Return whether the data set's workflow is approved for exactly this cell."""
    workflow = data_set.workflow_id
    return workflow is not None and (workflow, period.iso, org_unit_id, option_combo_id) in where.approvals


def overlaps(option_combo: OptionCombo, period: Period) -> bool:
    """Return whether the options' dates touch the period (the row engine's rule)."""
    starts_in_time = option_combo.start_on is None or option_combo.start_on <= period.end_on
    return starts_in_time and (option_combo.end_on is None or option_combo.end_on >= period.start_on)


def contains(option_combo: OptionCombo, period: Period) -> bool:
    """Return whether the options' dates hold the whole period (the atomic engine's rule)."""
    starts_in_time = option_combo.start_on is None or option_combo.start_on <= period.start_on
    return starts_in_time and (option_combo.end_on is None or option_combo.end_on >= period.end_on)


def is_org_unit_open(org_unit: OrgUnit, period: Period) -> bool:
    """Return whether the period starts while the org unit exists."""
    is_after_opening = org_unit.opening_on is None or period.start_on >= org_unit.opening_on
    return is_after_opening and (org_unit.closed_on is None or period.start_on <= org_unit.closed_on)
