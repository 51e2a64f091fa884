"""Reads the query parameters and payload members that steer an import, and echoes them as DHIS2 does.

It knows names, defaults and allowed values; their effect is in the engines.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest

STRATEGIES = {
    "CREATE": "CREATE", "UPDATE": "UPDATE", "CREATE_AND_UPDATE": "CREATE_AND_UPDATE", "DELETE": "DELETE",
    "SYNC": "SYNC", "NEW_AND_UPDATES": "CREATE_AND_UPDATE", "NEW": "CREATE", "UPDATES": "UPDATE", "DELETES": "DELETE",
}  # fmt: skip
SCHEMES = (
    "idScheme", "dataElementIdScheme", "categoryOptionComboIdScheme", "categoryOptionIdScheme", "categoryIdScheme",
    "orgUnitIdScheme", "dataSetIdScheme",
)  # fmt: skip
FLAGS = {
    "dryRun": False, "async": False, "importStrategy": "CREATE_AND_UPDATE", "mergeMode": "REPLACE",
    "reportMode": "FULL", "skipExistingCheck": False, "sharing": False, "skipNotifications": False,
    "skipAudit": False, "datasetAllowsPeriods": False, "strictPeriods": False, "strictDataElements": False,
    "strictCategoryOptionCombos": False, "strictAttributeOptionCombos": False, "strictOrganisationUnits": False,
    "strictDataSetApproval": False, "strictDataSetLocking": False, "strictDataSetInputPeriods": False,
    "requireCategoryOptionCombo": False, "requireAttributeOptionCombo": False, "skipPatternValidation": False,
    "ignoreEmptyCollection": False, "force": False, "firstRowIsHeader": True, "skipLastUpdated": False,
    "mergeDataValues": False, "skipCache": False,
}  # fmt: skip
TRUE_WORDS, FALSE_WORDS = {"true", "on", "yes", "1"}, {"false", "off", "no", "0", ""}


@dataclass
class ImportOptions:
    """The options of one import; `echo` is what the summary repeats of them."""

    schemes: dict[str, str] = field(default_factory=dict)
    echo: Json = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.echo.get(name, False)

    @property
    def strategy(self) -> str:
        return STRATEGIES[self.echo["importStrategy"]]

    def scheme(self, name: str) -> str:
        return self.schemes.get(name) or self.schemes.get("idScheme") or "UID"


def read_options(query: Mapping[str, str], *, is_atomic: bool) -> ImportOptions:
    """Read the query; unknown names are passed over, bad values refused with 400."""
    options = ImportOptions(echo={"idSchemes": {}, **({"atomic": False} if is_atomic else {}), **FLAGS})
    for name, text in query.items():
        name = "importStrategy" if name == "strategy" else name
        if name in SCHEMES:
            set_scheme(options, name, text)
        elif name == "importStrategy":
            options.echo[name] = _strategy(text)
        elif name in {"dataSet", "mergeMode", "reportMode"}:
            options.echo[name] = text
        elif isinstance(options.echo.get(name), bool) or name == "preheatCache":
            options.echo[name] = _flag(name, text)
    return options


def with_payload_schemes(payload: Json, options: ImportOptions) -> ImportOptions:
    """Let the payload's id schemes beat the query's, without a trace in the echo."""
    inner = ImportOptions(dict(options.schemes), {**options.echo, "idSchemes": {}})
    for name in SCHEMES:
        if isinstance(payload.get(name), str):
            set_scheme(inner, name, payload[name])
    return inner


def set_scheme(options: ImportOptions, name: str, text: str) -> None:
    """Set one id scheme, in the options and in their echo."""
    kind, _, attribute_id = text.partition(":")
    kind = kind.upper().replace("ID", "UID") if kind.upper() == "ID" else kind.upper()
    is_attribute = kind == "ATTRIBUTE" and len(attribute_id) == 11
    if not is_attribute and (kind not in {"UID", "CODE", "NAME"} or attribute_id):
        raise RefusedRequest(400, f"Value '{text}' is not valid for parameter {name}. ")
    options.schemes[name] = f"{kind}:{attribute_id}" if is_attribute else kind
    options.echo["idSchemes"][name] = {"type": kind, **({"attribute": attribute_id} if is_attribute else {})}


def _strategy(text: str) -> str:
    if text.upper() not in STRATEGIES:
        names = ", ".join(STRATEGIES)
        raise RefusedRequest(
            400, f"Value '{text}' is not valid for parameter importStrategy. Valid values are: [{names}]"
        )
    return text.upper()


def _flag(name: str, text: str) -> bool:
    if text.lower() not in TRUE_WORDS | FALSE_WORDS:
        raise RefusedRequest(400, f"Value '{text}' is not valid for parameter {name}. It should be of type boolean")
    return text.lower() in TRUE_WORDS
