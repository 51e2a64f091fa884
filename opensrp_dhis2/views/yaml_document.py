"""YAML that a person wrote, as a pydantic model, with the line of whatever is wrong in it.

It knows lines and keys; it refuses to know what the keys mean.
"""

import difflib
from collections.abc import Iterator
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from opensrp_dhis2.errors import FrontMatterError, ViewError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(
    model: type[Model], text: str, *, path: str, first_line: int = 1, error: type[ViewError] = FrontMatterError
) -> Model:
    """Read YAML into a model.

    Args: first_line of the text in its file, counted from 1.
    Raises: the given ViewError with path, line and remedy: no YAML, a key twice, an unknown or missing key, a wrong value.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        raise error(
            f"this is not YAML: {problem.problem}", path=path, line=first_line + (mark.line if mark else 0)
        ) from None
    for key in _repeated_keys(root):
        raise error(f"key '{key.value}' stands twice: keep one", path=path, line=first_line + key.start_mark.line)
    data = yaml.safe_load(text)
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as problems:
        first = problems.errors(include_url=False, include_input=False)[0]
        raise error(_message(first, model), path=path, line=first_line + _line(root, first["loc"])) from None


def _repeated_keys(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)
    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(str(key.value))
            yield from _repeated_keys(value)


def _line(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """Return the line, from 0, of the deepest node that the place names."""
    line = node.start_mark.line if node else 0
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return line


def _message(problem: ErrorDetails, model: type[BaseModel]) -> str:
    place = [str(part) for part in problem["loc"]]
    name = ".".join(place) or "the document"
    if problem["type"] == "missing":
        return f"key '{name}' is missing: add it"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], model.model_fields, n=1)
        known = ", ".join(sorted(model.model_fields)) if len(place) == 1 else "those of docs/indicators.md"
        return f"unknown key '{name}'{f' (did you mean {near[0]}?)' if near else ''}: the keys are {known}"
    return f"'{name}': {problem['msg']}"
