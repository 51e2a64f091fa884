"""What a token lets us read through the OpenSRP gateway: its roles, and counts beside what is known to be there.

It knows Keycloak's claims and the gateway's roles; it checks no signature, and shows no token and no claim but roles.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from opensrp_dhis2.errors import FhirAuthenticationError, FhirError, IncompleteExtractError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Bundle
from opensrp_dhis2.fhir.window import BEGINNING, Window, instant

ANDROID_CLIENT, WEB_CLIENT = "ANDROID_CLIENT", "WEB_CLIENT"
APP_ID_CLAIM = "fhir_core_app_id"
ALWAYS = Window(BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
NEEDS_ASYNC = "HAPI-0513"  # $export without Prefer: respond-async: it is there, and no job was begun
REMEDY = f"use a confidential Keycloak client whose service account has the realm role {WEB_CLIENT}"

T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """What a token says of us; an opaque one says nothing."""

    is_readable: bool = False
    realm_roles: frozenset[str] = frozenset()
    client_roles: frozenset[str] = frozenset()
    has_app_id: bool = False

    @property
    def roles(self) -> frozenset[str]:
        return self.realm_roles | self.client_roles

    @property
    def is_for_gateway(self) -> bool:
        """Return whether it is a token of OpenSRP's realm and not of a server that asks for other roles."""
        return any(role.startswith("GET_") or role in (ANDROID_CLIENT, WEB_CLIENT) for role in self.roles)

    def role_for(self, resource_type: str) -> str | None:
        """Return the role by which the gateway lets us read a type."""
        return next((role for role in _roles_for(resource_type) if role in self.roles), None)


def _roles_for(resource_type: str) -> tuple[str, str]:
    return f"GET_{resource_type.upper()}", f"MANAGE_{resource_type.upper()}"


def read_access(token: str) -> Access:
    """Read the claims of an access token: pure. One that is no JSON Web Token is not readable, and no error."""
    parts = token.split(".")
    try:
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), b"-_", validate=True)
        claims = msgspec.json.decode(payload)
    except (IndexError, ValueError, RecursionError):  # those of base64 and msgspec are ValueErrors
        return Access()
    if not isinstance(claims, dict):
        return Access()
    of_clients = claims.get("resource_access")
    return Access(
        is_readable=True,
        realm_roles=_role_names(claims.get("realm_access")),
        client_roles=frozenset().union(*map(_role_names, of_clients.values() if isinstance(of_clients, dict) else ())),
        has_app_id=claims.get(APP_ID_CLAIM) is not None,
    )


def _role_names(claim: Any) -> frozenset[str]:
    roles = claim.get("roles") if isinstance(claim, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()


def judge_token(token: str, resource_types: Sequence[str]) -> None:
    """Refuse a token that filters, or that lacks the gateway's role for a type.

    Raises: FhirAuthenticationError (terminal) with every reason at once.
    """
    reasons = refusals(read_access(token), resource_types)
    if reasons:
        raise FhirAuthenticationError(f"The access token must not be used: {'; '.join(reasons)}")


def refusals(access: Access, resource_types: Sequence[str]) -> list[str]:
    """Return why a token must not be used for these types: pure."""
    reasons = []
    if ANDROID_CLIENT in access.roles:
        reasons.append(
            f"it has the role {ANDROID_CLIENT}, for which the gateway leaves out, without a word, whatever is not assigned "
            f"to the account, so that the extract looks complete and is partial: {REMEDY} and not {ANDROID_CLIENT}"
        )
    lacking = [name for name in resource_types if access.is_for_gateway and not access.role_for(name)]
    if lacking:
        named = ", ".join(f"{_roles_for(name)[0]} for {name}" for name in lacking)
        reasons.append(
            f"it lacks {named}: give these realm roles to the client's service account, or take the types out of "
            "FHIR_RESOURCE_TYPES or FHIR_WEEKLY_TYPES"
        )
    return reasons


def check_counts(client: FhirClient, expected: Mapping[str, int]) -> None:
    """Count each type that the deployment knows the size of: a token that filters shows fewer. One request a type.

    Raises: IncompleteExtractError (terminal) with both numbers of every type that falls short. Others as `count`.
    """
    counted = {name: client.count(name, ALWAYS) for name in expected}
    fewer = [f"{name} {counted[name]} of {wanted}" for name, wanted in expected.items() if counted[name] < wanted]
    if fewer:
        raise IncompleteExtractError(
            f"{client.base_url} counts fewer resources than FHIR_EXPECTED_COUNTS says are there: {', '.join(fewer)}. A "
            f"token that filters looks just so, and nothing was read: {REMEDY}; if they were really removed, lower "
            "FHIR_EXPECTED_COUNTS",
            url=client.base_url,
        )


@dataclass(frozen=True)
class TypeProbe:
    """What the server lets us do with one type; `what_to_do` may be advice alone, `is_refused` says that it is more."""

    resource_type: str
    may_read: str
    counted: int | None
    expected: int | None
    history: str
    export: str
    is_refused: bool
    what_to_do: str


def probe(
    client: FhirClient, resource_types: Iterable[str], expected: Mapping[str, int], tokens: Sequence[str]
) -> tuple[str, list[TypeProbe]]:
    """Ask what the server lets us do with each type; no resource is read, and no export is begun.

    Args: `tokens` is what the judge of `make_auth` has been given; the last one is read.
    Returns: a sentence on the token, and a row a type. Raises: as the client, where the server cannot be reached.
    """
    since = instant(client.server_now())
    access = read_access(tokens[-1]) if tokens else None
    export = _said(_tried(lambda: next(client.bundles("$export", ()))))
    rows = []
    for name in dict.fromkeys([*resource_types, *expected]):
        counted = _tried(partial(client.count, name, ALWAYS))
        history = _tried(partial(_first_entry, client, name, since))
        rows.append(_row(name, access, counted, expected.get(name), history, export))
    return _of_token(access), rows


def _first_entry(client: FhirClient, resource_type: str, since: str) -> Bundle:
    return next(client.bundles(f"{resource_type}/_history", [("_since", since), ("_count", "1"), ("_elements", "id")]))


def _tried(ask: Callable[[], T]) -> T | FhirError:
    try:
        return ask()
    except FhirError as error:
        if error.is_transient:
            raise
        return error


def _said(answer: object) -> str:
    """Return yes, or no with the status: pure."""
    if not isinstance(answer, FhirError) or NEEDS_ASYNC in str(answer):
        return "yes"
    return f"no (HTTP {answer.status})" if answer.status else "no"


def _row(
    resource_type: str, access: Access | None, counted: int | FhirError, expected: int | None, history: object,
    export: str,
) -> TypeProbe:  # fmt: skip
    todo = refusals(access, [resource_type]) if access else []
    if isinstance(counted, FhirError):
        todo.append(str(counted))
    elif expected is not None and counted < expected:
        todo.append(
            f"{expected - counted} fewer than FHIR_EXPECTED_COUNTS says; a token that filters looks so: {REMEDY}"
        )
    is_refused = bool(todo)
    if isinstance(history, FhirError) and not isinstance(counted, FhirError):
        todo.append(f"deletions are found by comparing all ids; let {resource_type}/_history pass to make it quicker")
    count = None if isinstance(counted, FhirError) else counted
    may_read = f"{'no' if count is None else 'yes'}{_by_role(access, resource_type)}"
    return TypeProbe(resource_type, may_read, count, expected, _said(history), export, is_refused, "; ".join(todo))


def _by_role(access: Access | None, resource_type: str) -> str:
    role = access.role_for(resource_type) if access else None
    if role is None or access is None:
        return ""
    return f" ({role})" if role in access.realm_roles else f" ({role}, a client's role: the gateway reads the realm's)"


def _of_token(access: Access | None) -> str:
    """Return what can be said of a token without showing it: pure."""
    if access is None:
        return "No access token is used: what may be read is seen from the answers alone"
    if not access.is_readable:
        return "The access token is opaque: it tells no roles, so what may be read is seen from the answers and counts alone"
    if not access.roles:
        return "The access token names no roles: an OpenSRP gateway would refuse it"
    if not access.is_for_gateway:
        return "The access token names no role of the OpenSRP gateway: counts alone can show that it filters"
    lacking = [name for name in (WEB_CLIENT,) if name not in access.realm_roles]
    lacking += [] if access.has_app_id else [f"the claim {APP_ID_CLAIM}"]
    return (
        f"The access token lacks {' and '.join(lacking)}: the gateway refuses it"
        if lacking
        else (f"The access token has the role {WEB_CLIENT}: the gateway does not filter")
    )
