"""Somebody else at work in DHIS2: what people type and delete there, what gets lost, and 100 discrepancies by seed."""

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from opensrp_dhis2.audit.discrepancy import KINDS
from tests.support.country import COMBOS, DATA_SET, ELEMENTS, MARCH, UNITS, Cell, Country
from tests.support.dhis2_site import DEFAULT, Dhis2Site, as_admin, state

OURS, THEIRS = UNITS[:20], UNITS[20:30]  # facilities that report through us, and those that do not
NOT_OURS = ELEMENTS[-1]  # no indicator has this element


@dataclass
class Foreign:
    """Somebody else who works in DHIS2, or its database behind it; `at`: what stood in it before."""

    here: Country | Dhis2Site
    rows: dict[tuple[str, ...], list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {tuple(row[:5]): row for row in state(self.here.url)}

    def put(self, cell: Cell, value: str | None, *, period: str = MARCH.id, is_deleted: bool = False) -> None:
        """Write a value as nobody checks it; None: a row with a comment only."""
        element, unit, combo = cell
        key = (element, period, unit, combo, DEFAULT)
        self.rows[key] = [*key, value, None if value else "no value", None, is_deleted]

    def lose(self, cell: Cell, period: str = MARCH.id) -> None:
        """Let a row disappear without a trace, as a restored backup would."""
        del self.rows[cell[0], period, cell[1], cell[2], DEFAULT]

    def done(self) -> None:
        as_admin("POST", f"{self.here.url}/sandbox/state", json=list(self.rows.values()))


def post(here: Country, cells: dict[Cell, str], *, is_delete: bool = False, has_combo: bool = True) -> None:
    """Write or delete values through the Web API, with the combo or, as careless people do, without."""
    values = [
        {"dataElement": element, "period": MARCH.id, "orgUnit": unit, "value": value, "attributeOptionCombo": DEFAULT}
        | ({"categoryOptionCombo": combo} if has_combo else {})
        for (element, unit, combo), value in cells.items()
    ]
    body = json.dumps({"dataSet": DATA_SET, "dataValues": values}).encode()
    params = {"importStrategy": "DELETE"} if is_delete else {}
    assert here.client.post_data_value_set(body, params=params).status == 200


def plant(here: Country, seed: int) -> dict[Cell, str]:
    """Plant 100 discrepancies of every kind among 1,600 values, and as many things that are none."""
    random = Random(seed)
    ours = [(element, unit, combo) for element in ELEMENTS[:-1] for unit in OURS for combo in COMBOS]
    free = [(element, unit, combo) for element in ELEMENTS[:-1] for unit in THEIRS for combo in COMBOS]
    random.shuffle(ours)
    random.shuffle(free)
    counts = Counter(KINDS) + Counter(random.choices(KINDS, k=100 - len(KINDS)))
    cells = {kind: [(free if kind == "unknown_value" else ours).pop() for _ in range(n)] for kind, n in counts.items()}
    here.pretend(f"delete from lookup.target where data_element_id = '{NOT_OURS}'")
    never_sent = [free.pop() for _ in range(3)]
    here.fill(units=OURS)
    withdrawn, other = [ours.pop() for _ in range(5)], [ours.pop() for _ in range(5)]
    again = withdrawn[0]  # wanted anew, but what came back is what once was there
    assert here.report("run-1").refused == 0
    sent = here.stored()
    here.forget([*cells["stale_value"], *withdrawn, *other])
    assert here.report("run-2").accepted == len(cells["stale_value"]) + 10
    known = [ours.pop() for _ in range(10)]  # changed since, and not yet sent
    for cell in (*cells["ledger_outdated"], *known, *never_sent, again):
        here.count(cell, 5000)
    here.reporter("run-3").plan(MARCH)

    edited, there = cells["foreign_edit"], here.stored()
    deleted = cells["missing_in_dhis2"][::2]
    post(here, {cell: "777" for cell in edited})
    post(here, {cell: there[cell] for cell in deleted}, is_delete=True)
    defaults = {(element, unit): (element, unit, DEFAULT) for element, unit, _ in cells["default_combo"]}
    for element, unit in [(e, u) for e in ELEMENTS[:-1] for u in OURS]:
        if len(defaults) < len(cells["default_combo"]):
            defaults.setdefault((element, unit), (element, unit, DEFAULT))
    post(here, {cell: "3" for cell in defaults.values()}, has_combo=False)
    foreign = Foreign(here)
    for cell in cells["missing_in_dhis2"][1::2]:
        foreign.lose(cell)
    typed = (
        dict.fromkeys(other, "888")
        | dict.fromkeys(cells["ledger_outdated"], "5000")
        | dict.fromkeys(cells["unknown_value"], "4")
    )
    for cell, value in ({one: sent[one] for one in (*cells["stale_value"], again)} | typed).items():
        foreign.put(cell, value)
    _plant_decoys(foreign, ours, free, sent)
    foreign.done()
    expected = {cell: kind for kind in KINDS if kind != "default_combo" for cell in cells[kind]}
    left = dict.fromkeys(other, "unknown_value") | {again: "foreign_edit"}
    return expected | dict.fromkeys(defaults.values(), "default_combo") | left


def _plant_decoys(foreign: Foreign, ours: list[Cell], free: list[Cell], sent: dict[Cell, str]) -> None:
    for _ in range(10):
        same = ours.pop()
        foreign.put(same, f"{sent[same]}.0")  # another way to write the same number
        foreign.put(free.pop(), "9", is_deleted=True)
        foreign.put(free.pop(), None)
        foreign.put(free.pop(), "9", period="202402")
        foreign.put((NOT_OURS, ours[-1][1], ours[-1][2]), "9")
        foreign.put((NOT_OURS, free[-1][1], DEFAULT), "9")
