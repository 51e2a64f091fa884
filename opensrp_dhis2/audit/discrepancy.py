"""The kinds of discrepancy between the ledger and DHIS2, in plain words, and what one reconciliation found of them.

It knows what people are told, in English and French; it refuses to find anything (reconcile.py does).
"""

from dataclasses import dataclass
from datetime import datetime

from opensrp_dhis2.messages.codes import OWNER_LABELS, Owner
from opensrp_dhis2.messages.words import Words
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.plain_text import markdown_table

OWNERS = {
    "foreign_edit": Owner.DATA_OWNER,
    "missing_in_dhis2": Owner.ADMINISTRATOR,
    "default_combo": Owner.ADMINISTRATOR,
    "stale_value": Owner.US,
    "unknown_value": Owner.DATA_OWNER,
    "ledger_outdated": Owner.US,
}
KINDS = tuple(OWNERS)
HARMLESS = frozenset({"unknown_value", "ledger_outdated"})  # nothing of ours is wrong or missing there
_ENGLISH = {
    "foreign_edit": (
        "Somebody changed the value in DHIS2 after we had delivered it.",
        "Agree on the right number: correct it at its source, or choose overwrite or accept in data_sets.yaml.",
    ),
    "missing_in_dhis2": (
        "DHIS2 confirmed the value, and nothing is there now: it was deleted, or lost.",
        "Find out who deleted it, or whether DHIS2 was restored from a backup; overwrite in data_sets.yaml resends it.",
    ),
    "default_combo": (
        "A value stands under the default category option combo of an element that is disaggregated.",
        "Delete it in DHIS2, or move it to the right combo: DHIS2 adds it to the element's total.",
    ),
    "stale_value": (
        "A value that we once sent is still there, and no indicator has it any more.",
        "Delete it in DHIS2, or choose overwrite in data_sets.yaml: the next delivery deletes it, while DHIS2 allows it.",
    ),
    "unknown_value": (
        "Somebody else entered a value where an indicator may have one, and it is none that we ever sent there.",
        "Agree on who reports this place: delete it in DHIS2's data entry, map the place so that an indicator counts it, or "
        "let it stand (outbox reconcile --accept-strangers).",
    ),
    "ledger_outdated": (
        "DHIS2 already holds what is wanted, and the ledger does not know it.",
        "Nothing: a value that waits goes with the next delivery; overwrite or accept in data_sets.yaml settles it at once.",
    ),
}
_FRENCH = {
    "foreign_edit": (
        "Quelqu’un a modifié la valeur dans DHIS2 après sa livraison.",
        "Convenez du bon nombre : corrigez-le à la source, ou choisissez overwrite ou accept dans data_sets.yaml.",
    ),
    "missing_in_dhis2": (
        "DHIS2 avait confirmé la valeur, et il n’y a plus rien : elle a été supprimée, ou perdue.",
        "Cherchez qui l’a supprimée, ou si DHIS2 a été restauré ; overwrite dans data_sets.yaml la renvoie.",
    ),
    "default_combo": (
        "Une valeur se trouve sous la combinaison par défaut d’un élément qui est désagrégé.",
        "Supprimez-la dans DHIS2, ou déplacez-la sous la bonne combinaison : elle s’ajoute au total de l’élément.",
    ),
    "stale_value": (
        "Une valeur que nous avons envoyée est encore là, et plus aucun indicateur ne la donne.",
        "Supprimez-la dans DHIS2, ou choisissez overwrite dans data_sets.yaml : la prochaine livraison la supprime.",
    ),
    "unknown_value": (
        "Quelqu’un d’autre a saisi une valeur là où un indicateur peut en avoir une, et nous ne l’y avons jamais envoyée.",
        "Convenez de qui déclare ce lieu : supprimez-la à la saisie dans DHIS2, rattachez le lieu pour qu’un indicateur le "
        "compte, ou laissez-la (outbox reconcile --accept-strangers).",
    ),
    "ledger_outdated": (
        "DHIS2 contient déjà ce qui est voulu, et le registre ne le sait pas.",
        "Rien : une valeur en attente part à la prochaine livraison ; overwrite ou accept la règle tout de suite.",
    ),
}
TEXTS = {"en": _ENGLISH, "fr": _FRENCH}  # language -> kind -> (sentence, remedy)
DONE = {
    "en": {
        "overwritten": "Done: ours goes with the next delivery.",
        "accepted": "Done: what stands in DHIS2 is accepted until the indicator says something new.",
        "settled": "Done: the ledger knows it now.",
        "gone": "Found before, and true no longer.",
    },
    "fr": {
        "overwritten": "Fait : la nôtre part à la prochaine livraison.",
        "accepted": "Fait : ce qui est dans DHIS2 est accepté tant que l’indicateur ne change pas.",
        "settled": "Fait : le registre le sait maintenant.",
        "gone": "Constaté auparavant, et ce n’est plus vrai.",
    },
}
_NOTES = {
    "en": {
        "agrees": "DHIS2 holds what the ledger says, in all {count} values compared.",
        "unread": "{count} values of the ledger could not be compared: this account may not read their org unit, or "
        "their data element has left the data set.",
    },
    "fr": {
        "agrees": "DHIS2 contient ce que dit le registre, pour les {count} valeurs comparées.",
        "unread": "{count} valeurs du registre n’ont pu être comparées : ce compte ne peut lire leur unité "
        "d’organisation, ou leur élément a quitté l’ensemble de données.",
    },
}
_KIND_HEADS = {
    "en": ("what was found", "values", "who can mend it", "what to do"),
    "fr": ("constat", "valeurs", "qui peut corriger", "que faire"),
}
_ROW_HEADS = {
    "en": ("kind", "org unit", "data element", "combo", "wanted", "confirmed", "in DHIS2 now", "found"),
    "fr": ("sorte", "unité d’organisation", "élément", "combinaison", "voulu", "confirmé", "dans DHIS2", "constaté"),
}
LONGEST_SHOWN = 40  # what somebody typed into DHIS2 may be long


@dataclass(frozen=True)
class KindText:
    """A kind in plain words, for the person who must act."""

    kind: str
    sentence: str
    owner: Owner
    owner_label: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """Values of one kind, and what was done about them: None, they stand; `gone`: found before, true no longer."""

    kind: str
    resolution: str | None
    value_count: int


@dataclass(frozen=True)
class Discrepancy:
    """One cell of which DHIS2 holds something else than the ledger says, by the names that people know."""

    kind: str
    period: str
    org_unit: str
    data_element: str
    combo: str
    wanted: str | None
    acknowledged: str | None
    stored: str | None
    found_at: datetime


@dataclass(frozen=True)
class Reconciliation:
    """What one data set and period were found to be; `unread`: values of the ledger that could not be compared.

    `rows`: the first discrepancies that stand.
    """

    of: DataSetPeriod
    compared: int
    unread: int
    findings: tuple[Finding, ...]
    rows: tuple[Discrepancy, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Values found now by kind, every kind named, whatever was done about them."""
        found = [one for one in self.findings if one.resolution != "gone"]
        return {kind: sum(one.value_count for one in found if one.kind == kind) for kind in KINDS}

    @property
    def resolutions(self) -> dict[str, int]:
        """Values by what was done about them or has become of them, each named; `standing`: nothing."""
        return {
            name or "standing": sum(one.value_count for one in self.findings if one.resolution == name)
            for name in (None, *DONE["en"])
        }

    def markdown(self, language: str = "en") -> str:
        """Draw what was found as a Markdown table, and below it the first discrepancies that stand."""
        words, notes = Words(language), _NOTES[language]
        agrees = notes["agrees"].format(count=words.number(self.compared))
        parts = [self._drawn_kinds(words) if self.findings else agrees, *self._drawn_rows(words)]
        if self.unread:
            parts.append(notes["unread"].format(count=words.number(self.unread)))
        return "\n\n".join(parts)

    def _drawn_kinds(self, words: Words) -> str:
        rows = []
        for one in self.findings:
            said = explain_kind(one.kind, words.language)
            todo = DONE[words.language][one.resolution] if one.resolution else said.remedy
            rows.append((f"{one.kind}: {said.sentence}", words.number(one.value_count), said.owner_label, todo))
        return markdown_table(_KIND_HEADS[words.language], rows, numbers=(1,))

    def _drawn_rows(self, words: Words) -> list[str]:
        if not self.rows:
            return []
        rows = [
            (
                *(row.kind, row.org_unit, row.data_element, row.combo),
                *(shown(value) for value in (row.wanted, row.acknowledged, row.stored)),
                f"{row.found_at:%Y-%m-%d}",
            )
            for row in self.rows
        ]
        table, hidden = markdown_table(_ROW_HEADS[words.language], rows), self.resolutions["standing"] - len(rows)
        return [table, words("and_more", count=words.number(hidden))] if hidden > 0 else [table]


def explain_kind(kind: str, language: str = "en") -> KindText:
    """Put a kind of discrepancy into plain words."""
    sentence, remedy = TEXTS[language][kind]
    return KindText(kind, sentence, OWNERS[kind], OWNER_LABELS[language][OWNERS[kind]], remedy)


def shown(value: str | None) -> str:
    """Return a value as a table shows it: nothing as a dash, and not too much of a long text."""
    return "-" if value is None else value[:LONGEST_SHOWN] + "…" * (len(value) > LONGEST_SHOWN)
