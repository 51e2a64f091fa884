"""Every language has every text, with the same placeholders, and every text is used."""

import re
import string
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from opensrp_dhis2 import messages
from opensrp_dhis2.audit.discrepancy import KINDS, RESOLUTIONS
from opensrp_dhis2.messages.catalogue import catalogue, languages
from opensrp_dhis2.messages.codes import Level, Owner, codes
from opensrp_dhis2.report.run import STANDINGS
from tests.conftest import ROOT

FOLDER = Path(messages.__file__).parent
Texts = dict[tuple[str, ...], str]


def texts(language: str) -> Texts:
    """Return every text of a language by where it stands."""

    def flat(found: dict[str, object], at: tuple[str, ...] = ()) -> Texts:
        named = {(*at, name): part for name, part in found.items()}
        parts = (flat(part, name) if isinstance(part, dict) else {name: str(part)} for name, part in named.items())
        return dict(chain.from_iterable(part.items() for part in parts))

    return flat(tomllib.loads((FOLDER / f"{language}.toml").read_text()))


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_there_are_three_languages() -> None:
    assert languages() == ["en", "fr", "pt"]


@pytest.mark.parametrize("language", languages())
def test_a_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    own, english = texts(language), texts("en")
    assert own.keys() == english.keys()
    assert {at: placeholders(text) for at, text in own.items()} == {
        at: placeholders(text) for at, text in english.items()
    }


@pytest.mark.parametrize("language", [language for language in languages() if language != "en"])
def test_a_label_of_several_words_is_not_the_english_one(language: str) -> None:
    same = {at for at, text in texts(language).items() if text == texts("en")[at] and text.count(" ") > 1}
    assert same == set()


def test_no_text_is_left_over() -> None:
    """Names that are put together stand in the lists that they are put together from."""
    known = {"labels": {f"{part}.{name}" for part in ("standing", "meaning") for name in STANDINGS}}
    known["labels"] |= {f"resolution.{name}" for name in RESOLUTIONS} | {"trend.accepted", "trend.stopped"}
    known |= {"owners": {owner.value for owner in Owner}, "levels": {level.value for level in Level}}
    known |= {"codes": codes().keys() | {"unknown_code"}, "discrepancies": set(KINDS)}
    known |= {"then": {code.then for code in codes().values() if code.then}}
    code = "".join(path.read_text() for path in (ROOT / "opensrp_dhis2").rglob("*") if path.suffix in {".py", ".html"})
    used = set(re.findall(r"[\"']([\w.]+)[\"']", code)) | {"reaches"}
    left = {at for at in texts("en") if at[0] != "language" and at[1] not in known.get(at[0], set()) | used}
    assert left == set()
    for section, names in known.items():
        assert names <= {at[1] for at in texts("en") if at[0] == section}, section


def test_numbers_are_written_as_the_language_writes_them() -> None:
    assert [catalogue(language).number(1_234_567) for language in ("en", "fr", "pt")] == [
        "1,234,567", "1\u202f234\u202f567", "1\u00a0234\u00a0567",
    ]  # fmt: skip
    assert catalogue("en")("and_more", count=12_000) == "and 12,000 more"
    assert catalogue("en").share(999_999, 1_000_000) == "99.9\u202f%"
    assert catalogue("fr").share(1, 3) == "33,3\u202f%"
    assert catalogue("en").share(5, 5) == "100\u202f%"
