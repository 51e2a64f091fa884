"""Hooks of mkdocs: pages that are made from the code, and pages of the repository that stand outside docs/.

`<!-- generated: NAME -->` in a page is replaced by the part of that name. It knows the models, the settings and the command
line by what they say of themselves; it refuses to know what they mean.
"""

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from opensrp_dhis2.cli import main
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.views.front_matter import FrontMatter

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {"index.md": "README.md"} | {f"{n.lower()}.md": f"{n}.md" for n in ("CONTRIBUTING", "CHANGELOG", "SECURITY")}
MARK = re.compile(r"<!-- generated: (\w+) -->")
FOREIGN = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages of the repository that stand outside docs/."""
    from mkdocs.structure.files import File

    for uri, path in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Put in what is generated, and make links of the names of other pages."""
    here = os.path.dirname(page.file.src_uri)

    def link(found: re.Match[str]) -> str:
        uri = {path: uri for uri, path in PAGES.items()}.get(found[1], found[1].removeprefix("docs/"))
        return f"[{found[0]}]({os.path.relpath(uri, here or '.')})" if files.get_file_from_path(uri) else found[0]

    return re.sub(r"(?<!\[)`((?:docs/)?[\w/.-]+\.md)`", link, MARK.sub(lambda found: PARTS[found[1]](), markdown))


def on_post_page(output: str, page: "Page", config: "MkDocsConfig") -> str:
    """Raise where a page would load something from another host."""
    from mkdocs.exceptions import PluginError

    found = FOREIGN.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads something from another host: {found[0]}")
    return output


def model_tables(model: type[BaseModel]) -> str:
    """Return a table of a model's keys, and one of each model within it."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    inner = [f"### {name}\n\n{part['description']}\n\n{_table(part, parts)}" for name, part in sorted(parts.items())
             if "properties" in part]  # fmt: skip
    return "\n".join([_table(schema, parts), *inner])


def settings_tables() -> str:
    """Return a table of the settings for each section of .env.example, with the values that the code allows."""
    schema, lines = Settings.model_json_schema(), []
    for line in (ROOT / ".env.example").read_text().splitlines():
        section = re.fullmatch(r"# --- (?:\d )?(.+?) -*", line)
        setting = re.fullmatch(r"([A-Z0-9_]+)=(\S*)(?:\s+# (.*))?", line)
        if section:
            lines += [
                "",
                f"## {section[1][0].upper()}{section[1][1:]}",
                "",
                "| setting | default | allowed | |",
                "|---|---|---|---|",
            ]
        elif setting:
            allowed = _shape(schema["properties"][setting[1].lower()], schema.get("$defs", {}))
            default = f"`{setting[2]}`" if setting[2] else "empty"
            lines.append(f"| `{setting[1]}` | {default} | {allowed} | {_cell(setting[3] or '')} |")
    return "\n".join(lines)


def commands(command: click.Command = main, path: str = "opensrp-dhis2") -> str:
    """Return the help of a command, and of each below it."""
    context = click.Context(command, info_name=path, max_content_width=110, terminal_width=110)
    parts = [f"{'##' if path.count(' ') < 2 else '###'} {path}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        parts += [
            commands(inner, f"{path} {name}") for name, inner in sorted(command.commands.items()) if not inner.hidden
        ]
    return "\n".join(parts)


def _table(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, key in schema["properties"].items():
        default = "**needed**" if name in schema.get("required", ()) else _default(key.get("default"))
        rows.append(f"| `{name}` | {_shape(key, parts)} | {default} | {_cell(key.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    return "none" if value in (None, [], {}, "") else f"`{value}`"


def _shape(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    """Say in words what JSON schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if "properties" in parts[name] else _shape(parts[name], parts)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_shape(one, parts) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of: {_shape(schema['items'], parts)}"
    if schema.get("type") == "object":
        inner = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        return f"mapping to: {_shape(next(one for one in inner if isinstance(one, dict)), parts)}"
    named = {"date-time": "instant", "date": "date", "path": "path"}
    kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([named.get(schema.get("format", ""), kinds.get(schema.get("type", ""), "any")), *limits])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS = {
    "front_matter": lambda: model_tables(FrontMatter),
    "data_set": lambda: model_tables(DataSet),
    "settings": settings_tables,
    "commands": commands,
}
