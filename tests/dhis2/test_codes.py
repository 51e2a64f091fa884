"""Every code has a sentence, an owner and a remedy in every language, and docs/codes.md shows them all."""

import gzip
import os
import re
import string
from pathlib import Path

import pytest

from opensrp_dhis2.messages.codes import CODES, OWNER_LABELS, TEXTS, THEN, Level, Owner, Reason, explain, level_of
from opensrp_dhis2.messages.healing import JUDGED, PASSING, WORDS
from tests.conftest import ROOT
from tests.dhis2 import recordings

PAGE = ROOT / "docs" / "codes.md"
A_CODE = r"\bE(?:76|8[01])\d{2}\b"
ENGLISH_WORDS = re.compile(
    r"\b(the|of|is|are|and|not|this|that|was|were|been|has|have|had|its?|to|for|from|with|by|at|in|which|who|what|does|did"
    r"|gave|give|unit|values?|account|wants|answered|nothing|server|key|named?|wrong|check|sen[dt]|period|open|closed"
    r"|element|data|run|next|missing|known|unknown)\b"
)
ENGLISH_IMPERATIVE = re.compile(
    "(Add|Agree|Assign|Check|Complete|Copy|Correct|Enable|Extend|Fill|Give|Look|Make|Map|Materialise|Open|Push|Raise|Rename|Renew|Reopen"
    r"|Report|Send|Share|Wait|Withdraw)\b"
)


def test_every_code_that_the_reference_names_is_known(shared: Path) -> None:
    named = re.findall(A_CODE, (shared / "reference" / "dhis2-data-values.md").read_text())
    named += re.findall(A_CODE, (shared / "contracts" / "dhis2" / "FINDINGS.md").read_text())
    assert len(set(named)) > 75
    assert set(named) - CODES.keys() == set()


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_every_code_that_a_real_server_gave_is_known(version: str) -> None:
    texts = [path.read_text() for path in (recordings.shared_folder() / version).glob("*.json")]
    with gzip.open(recordings.shared_folder() / f"random-{version[:4]}.jsonl.gz", "rt") as lines:
        given = {code for text in [*texts, *lines] for code in re.findall(r'"errorCode": ?"(E\d{4})"', text)}
    assert len(given) > 30
    assert given - CODES.keys() == set()


def test_every_code_that_the_ledger_gives_is_known() -> None:
    given = {
        code for file in (ROOT / "sql").glob("functions/*.sql") for code in re.findall(r"'(E\d{4})'", file.read_text())
    }
    assert {"E8020", "E8107"} <= given
    assert given - CODES.keys() == set()


@pytest.mark.parametrize("language", TEXTS)
def test_every_code_has_a_text_in_every_language_and_no_text_is_left_over(language: str) -> None:
    assert TEXTS[language].keys() == CODES.keys() | {"unknown_code"}
    for code, text in TEXTS[language].items():
        assert all(re.fullmatch(r"[A-ZÀ-Ý].{10,}\.", part) for part in text), code
    assert OWNER_LABELS[language].keys() == {owner.value for owner in Owner}


def test_both_languages_have_the_same_placeholders() -> None:
    def placeholders(text: str) -> list[str]:
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)

    for code, pair in TEXTS["en"].items():
        assert [*map(placeholders, pair)] == [*map(placeholders, TEXTS["fr"][code])], code


def test_every_remedy_says_what_to_do() -> None:
    assert [remedy for _, remedy in TEXTS["en"].values() if not ENGLISH_IMPERATIVE.match(remedy)] == []
    assert [remedy for _, remedy in TEXTS["fr"].values() if not re.match(r"\w+ez\b", remedy)] == []


@pytest.mark.parametrize("language", TEXTS)
def test_every_remedy_of_a_value_ends_with_what_is_left_to_do_after_it(language: str) -> None:
    endings = [ending for ending in THEN[language].values() if ending]
    silent = set()
    for code in CODES:
        remedy = explain(code, language).remedy
        if not any(remedy.endswith(ending.format(code=WORDS.get(code, code))) for ending in endings):
            silent.add(code)
    in_a_value = {code for code in CODES if level_of(code) is not None and re.fullmatch(r"E\d{4}", code)}
    assert silent & in_a_value == set()
    assert silent & (JUDGED | WORDS.keys() | set(WORDS.values())) == set()


def test_one_cause_has_one_word_and_each_names_the_other() -> None:
    assert set(WORDS) | set(WORDS.values()) | JUDGED | PASSING <= CODES.keys()
    for old, word in WORDS.items():
        assert f"(Called {word} here.)" in explain(old).sentence
        assert old in explain(word).sentence.split("(Before 2.43: ")[1]
        assert f"requeue --code {old}" not in explain(old).remedy


def test_no_english_is_left_in_the_french() -> None:
    for code, (sentence, remedy) in TEXTS["fr"].items():
        prose = re.sub(r"\S*[_{}]\S*|\b(overwrite|accept|lookup)\b", " ", f"{sentence} {remedy}")
        assert not ENGLISH_WORDS.search(prose), code
        assert not set(TEXTS["en"][code]) & {sentence, remedy}, code


def test_the_french_is_set_as_french_is() -> None:
    assert not re.search(r"'|\S[:;!?](?!\w)|\d,\d", "\n".join(" ".join(pair) for pair in TEXTS["fr"].values()))


def test_every_reason_of_ours_has_words() -> None:
    assert {explain(reason).code for reason in Reason} == set(Reason)
    assert {code for code in CODES if not re.fullmatch(r"E\d{4}", code)} == set(Reason)


def test_an_explanation_is_in_one_language_owner_included() -> None:
    assert (explain("E8022").owner_label, explain("E8022", "fr").owner_label) == (
        "DHIS2 administrator",
        "Administrateur DHIS2",
    )
    assert explain("E8022", "fr").owner is Owner.ADMINISTRATOR
    assert explain("E9999", "fr").sentence == "DHIS2 l’a refusée avec E9999, que cette version ne connaît pas."


def test_a_code_that_nobody_knows_gets_words_too() -> None:
    words = explain("E9999")
    assert (words.owner, "E9999" in words.sentence) == (Owner.ADMINISTRATOR, True)


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("E7601", Level.REQUEST), ("E8104", Level.DECODE), ("E8022", Level.GROUP), ("E7619", Level.VALUE),
        ("server_silent", Level.REQUEST), ("beyond_open_periods", Level.VALUE),
    ],
)  # fmt: skip
def test_a_code_says_how_far_it_reaches(code: str, level: Level) -> None:
    assert level_of(code) is level


HEADS = {
    "en": ("## English", "| Code | Reaches | What is wrong | Who can mend it | What to do |"),
    "fr": ("## Français", "| Code | Portée | Ce qui ne va pas | Qui peut corriger | Que faire |"),
}
REACHES: dict[str, dict[Level | None, str]] = {
    "en": {level: level.value for level in Level} | {None: ""},
    "fr": {
        Level.REQUEST: "requête", Level.DECODE: "décodage", Level.GROUP: "groupe", Level.VALUE: "valeur", None: "",
    },
}  # fmt: skip
INTRODUCTION = """# Codes

Every reason for which a value may not stand in DHIS2: DHIS2's own codes (E76xx before 2.43, E8xxx from 2.43 on) and our
words for what has none. *Reaches*: request and decode stop a whole request, group stops a data set's values of it,
value stops the value it names. Lists and files have one word for a cause, that of 2.43, whichever engine found it;
`outbox explain` and `outbox requeue --code` take both. A remedy ends with what is left to do once it is done (the rule
stands in `docs/operations.md`). Generated from `opensrp_dhis2/messages/codes.py` by `make golden`.

Chaque raison pour laquelle une valeur peut ne pas être dans DHIS2, en français dans la seconde table.
"""


def page() -> str:
    """Draw every code in every language."""
    parts = [INTRODUCTION]
    for language, (title, columns) in HEADS.items():
        rows = []
        for code in sorted(CODES):
            said = explain(code, language)
            reaches = REACHES[language][level_of(code)]
            rows.append(f"| {code} | {reaches} | {said.sentence} | {said.owner_label} | {said.remedy} |")
        parts.append("\n".join([f"{title}\n", columns, "|---" * 5 + "|", *rows]) + "\n")
    return "\n".join(parts)


def test_the_golden_page_of_codes_is_up_to_date() -> None:
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(page())
    assert PAGE.read_text().splitlines() == page().splitlines()
