"""Every code has a sentence, an owner and a remedy in every language, and docs/codes.md shows them all."""

import gzip
import os
import re
from pathlib import Path

import pytest

from opensrp_dhis2.messages.catalogue import catalogue, languages
from opensrp_dhis2.messages.codes import Level, Owner, Reason, codes, explain, level_of
from opensrp_dhis2.plain_text import markdown_table
from tests.conftest import ROOT
from tests.support import dhis2_recordings as recordings

LANGUAGES = languages()
CODES = codes()
WORDS = {name: code.word for name, code in CODES.items() if code.word}
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


def texts(language: str) -> dict[str, tuple[str, str]]:
    """Return the sentence and the remedy of each code."""
    return {code: catalogue(language).pair("codes", code) or ("", "") for code in [*CODES, "unknown_code"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_whole_sentence_and_a_remedy(language: str) -> None:
    for code, text in texts(language).items():
        assert all(re.fullmatch(r"[A-ZÀ-Ý].{9,}\.", part) for part in text), code
    assert all(catalogue(language).text("owners", owner) for owner in Owner)


IMPERATIVES = {
    "en": ENGLISH_IMPERATIVE,
    "fr": re.compile(r"\w+ez\b"),
    "pt": re.compile(r"(Dê|Veja|Espere|\w+[aeh])\b(-[oa]s?)?"),
}


@pytest.mark.parametrize(("language", "verb"), IMPERATIVES.items(), ids=IMPERATIVES)
def test_every_remedy_says_what_to_do(language: str, verb: re.Pattern[str]) -> None:
    assert [remedy for _, remedy in texts(language).values() if not verb.match(remedy)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_remedy_of_a_value_ends_with_what_is_left_to_do_after_it(language: str) -> None:
    words, silent = catalogue(language), set()
    for code in CODES:
        remedy, names = explain(code, language).remedy, ("nothing", "wait", "requeue")
        if not any(remedy.endswith(words.text("then", name, code=WORDS.get(code, code))) for name in names):
            silent.add(code)
    in_a_value = {code for code in CODES if level_of(code) is not None and re.fullmatch(r"E\d{4}", code)}
    assert silent & in_a_value == set()
    judged = {name for name, code in CODES.items() if code.judged}
    assert silent & (judged | WORDS.keys() | set(WORDS.values())) == set()


def test_one_cause_has_one_word_and_each_names_the_other() -> None:
    assert set(WORDS.values()) <= CODES.keys()
    for old, word in WORDS.items():
        assert f"(Called {word} here.)" in explain(old).sentence
        assert old in explain(word).sentence.split("(Before 2.43: ")[1]
        assert f"requeue --code {old}" not in explain(old).remedy


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_english_is_left_in_another_language(language: str) -> None:
    english = texts("en")
    for code, (sentence, remedy) in texts(language).items():
        prose = re.sub(r"\S*[_{}]\S*|\b(overwrite|accept|lookup|requeue|data de)\b", " ", f"{sentence} {remedy}")
        assert not ENGLISH_WORDS.search(prose), code
        assert not set(english[code]) & {sentence, remedy}, code


def test_the_french_is_set_as_french_is() -> None:
    assert not re.search(r"'|\S[:;!?](?!\w)|\d,\d", "\n".join(" ".join(pair) for pair in texts("fr").values()))


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


INTRODUCTION = """# Codes

Every reason for which a value may not stand in DHIS2: DHIS2's own codes (E76xx before 2.43, E8xxx from 2.43 on) and our
words for what has none. *Reaches*: request and decode stop a whole request, group stops a data set's values of it,
value stops the value it names. Lists and files have one word for a cause, that of 2.43, whichever engine found it;
`outbox explain` and `outbox requeue --code` take both. A remedy ends with what is left to do once it is done (the rule
stands in `docs/operations.md`). Generated from
`opensrp_dhis2/messages/codes.toml` and the languages beside it by `make golden`.
"""


def page() -> str:
    """Draw every code in every language."""
    parts = [INTRODUCTION]
    for language in LANGUAGES:
        words = catalogue(language)
        heads = words.columns("code", "reaches", "what_is_wrong", "who", "what_to_do")
        rows = []
        for code in sorted(CODES):
            said, level = explain(code, language), level_of(code)
            reaches = words.text("levels", level) if level else ""
            rows.append((code, reaches, said.sentence, said.owner_label, said.remedy))
        parts.append(f"## {words.text('language', 'name')}\n\n{markdown_table(heads, rows)}\n")
    return "\n".join(parts)


def test_the_golden_page_of_codes_is_up_to_date() -> None:
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(page())
    assert PAGE.read_text().splitlines() == page().splitlines()
