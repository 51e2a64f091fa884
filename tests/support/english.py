"""What is left of English in a text that another language should have written."""

import tomllib
from pathlib import Path

from opensrp_dhis2 import messages

FOLDER = Path(messages.__file__).parent


def english_left(text: str, language: str) -> list[str]:
    """Return the English labels and heads of several words that stand in a text, where the language has its own."""
    english, own = (tomllib.loads((FOLDER / f"{name}.toml").read_text()) for name in ("en", language))
    phrases = (
        (part, own[section][name])
        for section in ("labels", "columns", "owners")
        for name, whole in english[section].items()
        for part in whole.split("{")[0:1]
    )
    return [phrase for phrase, theirs in phrases if " " in phrase.strip() and phrase not in theirs and phrase in text]
