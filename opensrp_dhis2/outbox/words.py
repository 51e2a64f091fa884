"""The words of the report page, of its Markdown and of the CSV of stopped values, in English and French.

It knows labels and how a number is written; sentences and remedies of codes stand in dhis2/codes.
"""

from math import floor

ENGLISH = {
    "title": "Delivery to DHIS2",
    "run": "Run",
    "made_by": "Made by opensrp_dhis2. It carries totals only: there is no person's data on this page.",
    "as_of": "The counts show where each value stands at the end of this run.",
    "headline.none": "No value is due in these periods",
    "headline.all": "Every value is in DHIS2: {due}",
    "headline.some": "{arrived} of {due} values are in DHIS2",
    "stopped": "To be mended",
    "waiting": "Waiting for the next run",
    "waiting_short": "Waiting",
    "sent": "Sent in this run",
    "in_dhis2": "In DHIS2",
    "verdict": "where it stands",
    "value": "value",
    "values": "values",
    "where_values_stand": "Where the values stand",
    "what_to_do": "What to do",
    "what_is_wrong": "What is wrong",
    "who": "Who can mend it",
    "code": "code",
    "nothing_to_do": "Nothing: DHIS2 has every value that is due.",
    "only_waiting": "Nothing: what is still missing goes with the next run by itself.",
    "single_values": "Each single value, for whoever mends it:",
    "after_mending": "Values held back are checked again at every run. Values that DHIS2 refused are sent again after "
    "opensrp-dhis2 outbox requeue.",
    "and_more": "and {count} more",
    "by_period": "By data set and period",
    "data_set": "Data set",
    "period": "Period",
    "requests": "Requests",
    "worst_units": "Org units with the most to mend",
    "org_unit": "Org unit",
    "above": "In",
    "not_in_dhis2": "Not in DHIS2",
    "of": "of",
    "main_reason": "Main reason",
    "discrepancies": "Where DHIS2 differs from what it confirmed",
    "forecast": "How right the forecast was",
    "forecast_right": "right",
    "forecast_wrong": "wrong",
    "trend": "The last runs",
    "trend.accepted": "Values that DHIS2 took",
    "trend.stopped": "Values refused, or held back",
    "trend.last": "this run",
    "standing.delivered": "In DHIS2",
    "standing.dropped": "Zero that DHIS2 leaves out",
    "standing.pending": "Waiting to be sent",
    "standing.sending": "Sent, answer not known yet",
    "standing.refused": "Refused by DHIS2",
    "standing.withheld": "Held back before sending",
    "standing.closed": "Cannot be sent: period closed",
    "standing.withdrawn": "Taken back",
    "meaning.delivered": "DHIS2 confirmed this very value.",
    "meaning.dropped": "A zero where DHIS2 keeps none, by the element's own setting. It counts as in DHIS2.",
    "meaning.pending": "It goes with the next run.",
    "meaning.sending": "The next run reads DHIS2 first, and sends it again only if it is not there.",
    "meaning.refused": "DHIS2 said no to this value; all others of its request are in.",
    "meaning.withheld": "DHIS2 would refuse it, so it was not sent. It goes by itself once the cause is mended.",
    "meaning.closed": "The number changed after the period was closed. DHIS2 keeps the older one.",
    "meaning.withdrawn": "No indicator has it any more, so DHIS2 does not have it either.",
    "csv.data_set": "data set",
    "csv.period": "period",
    "csv.org_unit": "org unit code",
    "csv.org_unit_name": "org unit",
    "csv.data_element": "data element code",
    "csv.data_element_name": "data element",
    "csv.category_option_combo": "category option combo",
    "csv.wanted": "value",
    "csv.code": "code",
    "csv.sentence": "what is wrong",
    "csv.owner": "who can mend it",
    "csv.remedy": "what to do",
}
FRENCH = {
    "title": "Transmission à DHIS2",
    "run": "Exécution",
    "made_by": "Produit par opensrp_dhis2, qui ne transmet que des totaux : aucune donnée de personne sur cette page.",
    "as_of": "Les nombres montrent où en est chaque valeur à la fin de cette exécution.",
    "headline.none": "Aucune valeur n’est attendue pour ces périodes",
    "headline.all": "Toutes les valeurs sont dans DHIS2 : {due}",
    "headline.some": "{arrived} valeurs sur {due} sont dans DHIS2",
    "stopped": "À corriger",
    "waiting": "En attente de la prochaine exécution",
    "waiting_short": "En attente",
    "sent": "Envoyées cette fois",
    "in_dhis2": "Dans DHIS2",
    "verdict": "où elle en est",
    "value": "valeur",
    "values": "valeurs",
    "where_values_stand": "Où en sont les valeurs",
    "what_to_do": "Que faire",
    "what_is_wrong": "Ce qui ne va pas",
    "who": "Qui peut corriger",
    "code": "code",
    "nothing_to_do": "Rien : DHIS2 a toutes les valeurs attendues.",
    "only_waiting": "Rien : ce qui manque encore part de lui-même à la prochaine exécution.",
    "single_values": "Chaque valeur, pour la personne qui corrige :",
    "after_mending": "Les valeurs retenues sont revérifiées à chaque exécution. Celles que DHIS2 a refusées repartent "
    "après opensrp-dhis2 outbox requeue.",
    "and_more": "et {count} de plus",
    "by_period": "Par ensemble de données et période",
    "data_set": "Ensemble de données",
    "period": "Période",
    "requests": "Requêtes",
    "worst_units": "Unités d’organisation où il y a le plus à corriger",
    "org_unit": "Unité d’organisation",
    "above": "Dans",
    "not_in_dhis2": "Pas dans DHIS2",
    "of": "sur",
    "main_reason": "Raison principale",
    "discrepancies": "Où DHIS2 diffère de ce qu’il avait confirmé",
    "forecast": "Justesse de la prévision",
    "forecast_right": "justes",
    "forecast_wrong": "fausses",
    "trend": "Les dernières exécutions",
    "trend.accepted": "Valeurs prises par DHIS2",
    "trend.stopped": "Valeurs refusées ou retenues",
    "trend.last": "celle-ci",
    "standing.delivered": "Dans DHIS2",
    "standing.dropped": "Zéro que DHIS2 ne garde pas",
    "standing.pending": "En attente d’envoi",
    "standing.sending": "Envoyée, réponse encore inconnue",
    "standing.refused": "Refusée par DHIS2",
    "standing.withheld": "Retenue avant l’envoi",
    "standing.closed": "Non transmissible : période close",
    "standing.withdrawn": "Retirée",
    "meaning.delivered": "DHIS2 a confirmé exactement cette valeur.",
    "meaning.dropped": "Un zéro là où l’élément de données n’en garde pas. Il compte comme présent dans DHIS2.",
    "meaning.pending": "Elle part à la prochaine exécution.",
    "meaning.sending": "La prochaine exécution lit d’abord DHIS2 et ne la renvoie que si elle n’y est pas.",
    "meaning.refused": "DHIS2 a refusé cette valeur ; toutes les autres de la requête sont entrées.",
    "meaning.withheld": "DHIS2 la refuserait : elle n’est pas partie. Elle part d’elle-même une fois la cause corrigée.",
    "meaning.closed": "Le nombre a changé après la clôture de la période. DHIS2 garde l’ancien.",
    "meaning.withdrawn": "Plus aucun indicateur ne la donne : DHIS2 ne l’a plus non plus.",
    "csv.data_set": "ensemble de données",
    "csv.period": "période",
    "csv.org_unit": "code de l’unité d’organisation",
    "csv.org_unit_name": "unité d’organisation",
    "csv.data_element": "code de l’élément de données",
    "csv.data_element_name": "élément de données",
    "csv.category_option_combo": "combinaison d’options de catégorie",
    "csv.wanted": "valeur",
    "csv.code": "code",
    "csv.sentence": "ce qui ne va pas",
    "csv.owner": "qui peut corriger",
    "csv.remedy": "que faire",
}
WORDS = {"en": ENGLISH, "fr": FRENCH}
_SEPARATORS = {"en": (",", "."), "fr": ("\u202f", ",")}  # of thousands, and of decimals


class Words:
    """One language: a label by its name, and numbers as that language writes them."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = WORDS[language]
        self._thousands, self._decimal = _SEPARATORS[language]

    def __call__(self, name: str, **parts: str) -> str:
        return self._words[name].format(**parts)

    def number(self, number: int) -> str:
        """Write a whole number with its thousands apart."""
        return f"{number:,}".replace(",", self._thousands)

    def share(self, part: int, whole: int) -> str:
        """Write a share in per cent, rounded down: 100 % means all of them."""
        tenths = floor(1000 * part / whole) if whole else 0
        text = str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}{self._decimal}{tenths % 10}"
        return f"{text}\u202f%"
