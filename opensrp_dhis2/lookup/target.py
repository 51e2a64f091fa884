"""What each cell of an indicator is called in DHIS2: data set, data element and the combos, resolved up front.

It knows codes and ids; it refuses to know numbers. A code that DHIS2 lacks is an error before anything is sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from opensrp_dhis2.errors import MetadataNotFoundError, OpenSrpDhis2Error, ViewContractError
from opensrp_dhis2.views.catalog import View
from opensrp_dhis2.views.data_sets import DataSet, DataSets
from opensrp_dhis2.warehouse.database import Connection


@dataclass(frozen=True)
class Target:
    """One row of lookup.target."""

    indicator: str
    measure: str
    disaggregation: list[str]
    data_set_id: str
    period_type: str
    data_element_id: str
    category_option_combo_id: str
    attribute_option_combo_id: str


@dataclass(frozen=True)
class Element:
    """A data element as one data set holds it."""

    data_element_id: str
    category_combo_id: str


@dataclass(frozen=True)
class Codes:
    """DHIS2's ids by code, as the lookup tables have them."""

    data_sets: dict[str, tuple[str, str, str]]  # code -> id, period type, category combo id
    elements: dict[tuple[str, str], Element]  # (data set id, element code)
    combos: dict[tuple[str, tuple[str, ...]], str]  # (category combo id, sorted option codes)

    @classmethod
    def read(cls, connection: Connection) -> "Codes":
        data_sets = connection.execute("select code, data_set_id, period_type, category_combo_id from lookup.data_set")
        elements = connection.execute(
            "select s.data_set_id, e.code, e.data_element_id, s.category_combo_id"
            " from lookup.data_set_element s join lookup.data_element e using (data_element_id)"
        )
        combos = connection.execute(
            "select category_combo_id, case when is_default then '{}' else option_codes end, category_option_combo_id"
            " from lookup.category_option_combo join lookup.category_combo using (category_combo_id)"
        )
        return cls(
            {code: (uid, period_type, combo) for code, uid, period_type, combo in data_sets.fetchall()},
            {(ds, code): Element(uid, combo) for ds, code, uid, combo in elements.fetchall()},
            {(combo, tuple(sorted(options))): uid for combo, options, uid in combos.fetchall()},
        )


def refresh_targets(connection: Connection, indicators: list[View], data_sets: DataSets) -> int:
    """Replace lookup.target; give its number of rows.

    Raises: ViewContractError listing every code that DHIS2 lacks, each with its file.
    """
    codes = Codes.read(connection)
    found: list[Target] = []
    problems: list[ViewContractError] = []
    for view in indicators:
        try:
            found.extend(_targets_of(view, data_sets, codes))
        except OpenSrpDhis2Error as error:
            problems.append(ViewContractError(str(error), path=view.path))
    problems.extend(_shared_cells(found, {view.path_stem: view.path for view in indicators}))
    if problems:
        raise ViewContractError("; ".join(map(str, problems)), path=problems[0].path)
    connection.execute("delete from lookup.target")
    with connection.cursor().copy("copy lookup.target from stdin") as copy:
        for row in found:
            copy.write_row(tuple(vars(row).values()))
    return len(found)
