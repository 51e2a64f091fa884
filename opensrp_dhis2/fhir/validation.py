"""Validation of a sample against the FHIR R4B models of fhir.resources: to report, never to change or refuse.

It knows the models; a problem is told by its place and kind, without the value, because values are patient data.
Source: https://hl7.org/fhir/R4/validation.html (R4B is the nearest release that fhir.resources has).
"""

import zlib
from functools import lru_cache
from importlib import import_module
from typing import Any

from pydantic import ValidationError

MOST_PROBLEMS = 5


def is_sampled(resource_id: str, share: float) -> bool:
    """Return whether a resource belongs to the sample: always the same ones, whenever they are read."""
    return zlib.crc32(resource_id.encode()) % 10_000 < share * 10_000


def problems_of(resource_type: str, body: bytes) -> list[str]:
    """Return what is invalid in a resource, as `place: kind`; an empty list says that it is valid."""
    model = _model(resource_type)
    if model is None:
        return []
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        found = [f"{_place(one['loc'])}: {one['type']}" for one in error.errors(include_input=False)]
        return sorted(set(found))[:MOST_PROBLEMS]
    return []


@lru_cache
def _model(resource_type: str) -> Any:
    try:
        module = import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    except ModuleNotFoundError:
        return None
    return getattr(module, resource_type, None)


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not isinstance(part, int)) or "resource"
