"""What each cell of an indicator is called in DHIS2: data set, data element and the combos, resolved up front.

It knows codes and ids; it refuses to know numbers. A code that DHIS2 lacks is an error before anything is sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from opensrp_dhis2.errors import MetadataNotFoundError, OpenSrpDhis2Error, ViewContractError
from opensrp_dhis2.views.catalog import View
from opensrp_dhis2.views.data_sets import DataSet, DataSets
from opensrp_dhis2.views.front_matter import Disaggregation
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query


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
        elements = connection.execute(query("lookup", "elements"))
        combos = connection.execute(query("lookup", "combos"))
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


def _targets_of(view: View, data_sets: DataSets, codes: Codes) -> Iterator[Target]:
    front = view.front_matter
    sent_measures: set[str] = set()
    for data_set_code in front.data_set_codes:
        settings = data_sets.of(data_set_code)
        data_set_id, period_type, attribute_combo = _data_set(codes, data_set_code, settings)
        attribute_option_combo_id = _combo(
            codes, attribute_combo, list(settings.attribute_options.values()), data_set_code
        )
        for measure, wanted in front.measures.items():
            element = codes.elements.get((data_set_id, wanted.data_element))
            if element is None:
                continue
            sent_measures.add(measure)
            for values, options in _cells(front.disaggregation):
                yield Target(
                    view.path_stem, measure, values, data_set_id, period_type, element.data_element_id,
                    _combo(codes, element.category_combo_id, options, wanted.data_element), attribute_option_combo_id,
                )  # fmt: skip
    lacking = [m.data_element for name, m in front.measures.items() if name not in sent_measures]
    if lacking:
        raise MetadataNotFoundError(
            f"data element {', '.join(lacking)} is in none of the data sets {', '.join(front.data_set_codes)} in DHIS2: "
            "correct the code, or ask the DHIS2 administrator to add the element to the data set"
        )


def _data_set(codes: Codes, code: str, settings: DataSet) -> tuple[str, str, str]:
    found = codes.data_sets.get(code)
    if found is None:
        raise MetadataNotFoundError(
            f"data set {code} is not in DHIS2, or this account may not read it: correct the code or ask for access"
        )
    if found[1] != settings.period_type:
        raise MetadataNotFoundError(
            f"data set {code} is {found[1]} in DHIS2 but {settings.period_type} in data_sets.yaml: correct the file"
        )
    return found


def _cells(disaggregation: Mapping[str, Disaggregation]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield every combination of values, in declared order, with the option codes it stands for."""
    columns = [list(column.options.items()) for column in disaggregation.values()]
    for cell in product(*columns):
        yield [value for value, _ in cell], [option for _, option in cell]


def _combo(codes: Codes, category_combo_id: str, options: list[str], owner: str) -> str:
    found = codes.combos.get((category_combo_id, tuple(sorted(options))))
    if found is None:
        named = " + ".join(options) or "no option"
        raise MetadataNotFoundError(
            f"{owner}: its category combo in DHIS2 has no option combo of exactly {named}: correct the option codes, "
            "or ask the DHIS2 administrator to generate the category option combos"
        )
    return found


def _shared_cells(found: list[Target], paths: Mapping[str, str]) -> Iterator[ViewContractError]:
    """Refuse two totals for one cell of DHIS2, which knows no data set: the second would overwrite the first."""
    owners: dict[tuple[str, ...], Target] = {}
    for row in found:
        cell = (row.period_type, row.data_element_id, row.category_option_combo_id, row.attribute_option_combo_id)
        first = owners.setdefault(cell, row)
        if first is row:
            continue
        named = f"data element {row.data_element_id}, combo {row.category_option_combo_id}"
        if first.data_set_id == row.data_set_id:
            said = f"both fill {named}: give one of them another element"
        else:
            said = (
                f"both fill {named}, for data sets {first.data_set_id} and {row.data_set_id}, which are one cell to DHIS2:"
                " report it for one of the two"
            )
        yield ViewContractError(
            f"measure {row.measure} and {first.indicator}.{first.measure} {said}", path=paths[row.indicator]
        )
