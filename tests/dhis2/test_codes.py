"""Every code has a sentence, an owner and a remedy."""

import re
from pathlib import Path

import pytest

from opensrp_dhis2.dhis2.codes import CODES, TEXTS, Level, Owner, Reason, explain, level_of
from tests.dhis2 import recordings


def test_every_code_of_the_reference_tables_is_known(shared: Path) -> None:
    text = (shared / "reference" / "dhis2-data-values.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| E")]
    listed = {code for line in rows for code in re.findall(r"E[78]\d{3}", line.split("|")[1])}
    assert len(listed) > 70
    assert listed - CODES.keys() == set()


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_every_code_that_a_real_server_gave_to_an_import_is_known(version: str) -> None:
    files = (recordings.shared_folder() / version).glob("*.json")
    given = {code for path in files for code in re.findall(r'"errorCode": "(E[78]\d{3})"', path.read_text())}
    assert given
    assert given - CODES.keys() == set()


@pytest.mark.parametrize("language", TEXTS)
def test_every_code_has_a_text_in_every_language_and_no_text_is_left_over(language: str) -> None:
    assert TEXTS[language].keys() == CODES.keys() | {"unknown_code"}
    assert all(
        sentence.endswith(".") and remedy.endswith(".") and len(sentence) > 10 and len(remedy) > 10
        for sentence, remedy in TEXTS[language].values()
    )


def test_every_reason_of_ours_has_words() -> None:
    assert {explain(reason).code for reason in Reason} == set(Reason)
    assert all("does not know" not in explain(reason).remedy for reason in Reason)


def test_a_code_that_nobody_knows_gets_words_too() -> None:
    words = explain("E9999")
    assert (words.owner, "E9999" in words.sentence) == (Owner.ADMINISTRATOR, True)


@pytest.mark.parametrize(
    ("code", "level"),
    [("E7601", Level.REQUEST), ("E8104", Level.DECODE), ("E8022", Level.GROUP), ("E7619", Level.VALUE)],
)
def test_a_code_says_how_far_it_reaches(code: str, level: Level) -> None:
    assert level_of(code) is level
