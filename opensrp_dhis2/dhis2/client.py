"""The DHIS2 Web API over HTTP: reads that raise when they cannot be trusted, and one write that never does.

It knows paths, pages and status codes; it refuses to say what became of a value (imports/interpret.py does).
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from opensrp_dhis2.dhis2.models import DataValue, Reply, ServerVersion
from opensrp_dhis2.dhis2.reply import Json, check_readable, read_json_object
from opensrp_dhis2.errors import ConfigurationError, Dhis2Error, Dhis2TimeoutError, Dhis2UnavailableError
from opensrp_dhis2.http.client import DEFAULT_LIMITS, make_client
from opensrp_dhis2.http.deadline import Limits, TooLargeError
from opensrp_dhis2.http.diagnosis import is_lasting, why_unanswered
from opensrp_dhis2.http.network import DIRECT, Network

READ_TIMEOUT_SECONDS = 300.0  # 2.43 was seen to take two minutes over a large request
REQUEST_SECONDS = 900.0  # ten minutes of ours at most, and five in which DHIS2 or a proxy works on
GZIP_ABOVE_BYTES = 4096
ORG_UNITS_PER_READ = DATA_ELEMENTS_PER_READ = 100  # keeps the URL below the usual 8 kB of a proxy
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What the server says of itself."""

    version: ServerVersion
    calendar: str
    server_date: str


@dataclass(frozen=True, slots=True)
class Me:
    """The account that the credentials belong to."""

    user_id: str
    username: str
    authorities: frozenset[str]
    org_unit_ids: tuple[str, ...]
    data_set_ids: tuple[str, ...]

    def has_authority(self, authority: str) -> bool:
        return "ALL" in self.authorities or authority in self.authorities


class Dhis2Client:
    """One DHIS2 server and one account; use it as a context manager, from one thread at a time.

    `request_seconds`: how long a request may still be alive after it left, at DHIS2 or in a proxy, when no answer came.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: httpx.Auth | None = None,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
        limits: Limits = DEFAULT_LIMITS,
        network: Network = DIRECT,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigurationError(
                "DHIS2_BASE_URL must start with http:// or https://, such as https://dhis2.example.org"
            )
        self.read_timeout_seconds, self.request_seconds = read_timeout_seconds, request_seconds
        self.base_url = base_url.rstrip("/").removesuffix("/api")
        self._network = network
        self._http = make_client(
            self.base_url,
            auth=auth,
            headers={"Accept": "application/json", "Cache-Control": "no-cache"},
            read_timeout_seconds=read_timeout_seconds,
            limits=limits,
            network=network,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] = _NO_PARAMS,
        content: bytes | None = None,
        headers: Mapping[str, str] = _NO_PARAMS,
    ) -> Reply:
        """Send one request below /api and give the answer as it came, whatever its status.

        Raises: Dhis2UnavailableError (transient) when there is no whole answer; a write may then have been heard.
        """
        try:
            response = self._http.request(
                method, f"/api/{path}", params=dict(params), content=content, headers=dict(headers)
            )
        except httpx.RequestError as error:
            raise self._no_answer(error, method, path) from error
        kept = {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}
        return Reply(response.status_code, response.content, kept.get("content-type", ""), kept)

    def _no_answer(self, error: httpx.RequestError, method: str, path: str) -> Dhis2Error:
        url = f"{self.base_url}/api/{path}"
        asked, setting = f"DHIS2 at {self.base_url} to {method} {path}", "DHIS2_BASE_URL"
        if isinstance(error, TooLargeError) and method == "GET":
            return Dhis2Error(f"{asked}: {error}; report it with the server's version", url=url)
        if not str(error.request.url).startswith(f"{self.base_url}/api/"):
            asked, setting = f"the token endpoint {error.request.url}", "DHIS2_TOKEN_URL"
        kind: type[Dhis2Error] = Dhis2UnavailableError
        if isinstance(error, httpx.TimeoutException):
            kind = Dhis2TimeoutError
        elif method == "GET" and is_lasting(error):  # a write may have been heard, whatever went wrong
            kind = Dhis2Error
        return kind(
            f"no answer from {asked}: {why_unanswered(error, self._network, setting)}",
            url=url,
        )

    def send_json(self, method: str, path: str, body: bytes) -> Reply:
        """Send a JSON body below /api and give the answer, whatever its status. Raises: as `send`."""
        return self.send(method, path, content=body, headers={"Content-Type": "application/json"})

    def get_json(self, path: str, params: Mapping[str, Any] = _NO_PARAMS) -> Json:
        """Read one JSON object below /api; one that is asked for its id, and does not say it, is a proxy's note.

        Raises: Dhis2UnavailableError (transient); another Dhis2Error (terminal).
        """
        body = self._get_object(path, params)
        if "id" in str(params.get("fields", "")).split(",") and "id" not in body:
            raise self.not_an_answer(path, "id")
        return body

    def _get_object(self, path: str, params: Mapping[str, Any]) -> Json:
        reply = self.send("GET", path, params=params)
        check_readable(reply, self.base_url, path)
        body = read_json_object(reply)
        if body is None:
            raise Dhis2Error(
                f"DHIS2 at {self.base_url}, {path}: JSON that is not an object; check DHIS2_BASE_URL",
                url=f"{self.base_url}/api/{path}",
                status=reply.status,
            )
        return body

    def get_list(self, path: str, params: Mapping[str, Any], member: str) -> tuple[Json, list[Json]]:
        """Read one JSON object and the list that must be in it, where nothing found is an empty list.

        An object without it is a proxy's note, and no word of what there is.
        Raises: as `get_json`; Dhis2UnavailableError (transient) when the list is absent.
        Source: recordings 39h, 40; FINDINGS, section 2.4.
        """
        body = self._get_object(path, params)
        rows = body.get(member)
        if not isinstance(rows, list):
            raise self.not_an_answer(path, member)
        return body, rows

    def not_an_answer(self, path: str, member: str) -> Dhis2UnavailableError:
        """Make the error for an object that lacks what DHIS2 always says there."""
        return Dhis2UnavailableError(
            f"DHIS2 at {self.base_url}, {path}: JSON without {member}, not as DHIS2 answers: something in front of it "
            "may be down for maintenance; try again, then look into the proxy",
            url=f"{self.base_url}/api/{path}", status=200,
        )  # fmt: skip

    def get_pages(
        self, collection: str, fields: str, *, page_size: int = 1000, filters: Sequence[str] = ()
    ) -> Iterator[Json]:
        """Go through all objects of a collection by id, a page at a time. Raises: as `get_json`."""
        page = 1
        while True:
            params = {"fields": fields, "order": "id:asc", "paging": "true", "pageSize": page_size, "page": page}
            asked = {**params, "filter": list(filters)} if filters else params
            body, rows = self.get_list(collection, asked, collection)
            yield from rows
            if page >= body.get("pager", {}).get("pageCount", 1):
                return
            page += 1

    def system_info(self) -> SystemInfo:
        """Ask the server for its version, calendar and clock. Raises: as `get_json`."""
        body = self.get_json("system/info")
        if "version" not in body:
            raise self.not_an_answer("system/info", "version")
        return SystemInfo(
            ServerVersion.parse(str(body.get("version"))),
            str(body.get("calendar", "iso8601")),
            str(body.get("serverDate", "")),
        )

    def me(self) -> Me:
        """Ask who we are and what we may do. Raises: as `get_json`."""
        body = self.get_json("me", {"fields": "id,username,authorities,organisationUnits[id],dataSets"})
        return Me(
            user_id=str(body.get("id")),
            username=str(body.get("username")),
            authorities=frozenset(body.get("authorities", ())),
            org_unit_ids=tuple(unit["id"] for unit in body.get("organisationUnits", ())),
            data_set_ids=tuple(body.get("dataSets", ())),
        )

    def post_data_value_set(self, body: bytes, *, params: Mapping[str, str] = _NO_PARAMS) -> Reply:
        """Send one data value set, compressed when it is worth it, and give the answer for `interpret`.

        Raises: Dhis2UnavailableError (transient) when there is no whole answer: read back before sending again.
        """
        headers = {"Content-Type": "application/json"}
        if len(body) > GZIP_ABOVE_BYTES:
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return self.send("POST", "dataValueSets", params=params, content=body, headers=headers)

    def read_data_values(
        self,
        data_set: str,
        period: str,
        org_units: Sequence[str],
        *,
        include_deleted: bool = False,
    ) -> Iterator[DataValue]:
        """Read what stands in DHIS2 for a data set and a period in these org units.

        An id that the server does not know reads as empty on 2.43. Raises: as `get_json`; Dhis2AuthenticationError
        when the account may not read here, which older servers say with an empty answer.
        """
        params = {"dataSet": data_set, "period": period, "includeDeleted": str(include_deleted).lower()}
        return self._read_values(params, org_units)

    def read_element_values(
        self, data_elements: Sequence[str], period: str, org_units: Sequence[str]
    ) -> Iterator[DataValue]:
        """Read what stands there of these data elements, in whichever data set they are, or in none.

        Raises: as `read_data_values`. Source: recording 39n.
        """
        for first in range(0, len(data_elements), DATA_ELEMENTS_PER_READ):
            elements = list(data_elements[first : first + DATA_ELEMENTS_PER_READ])
            yield from self._read_values({"dataElement": elements, "period": period}, org_units)

    def _read_values(self, params: Mapping[str, Any], org_units: Sequence[str]) -> Iterator[DataValue]:
        for first in range(0, len(org_units), ORG_UNITS_PER_READ):
            units = list(org_units[first : first + ORG_UNITS_PER_READ])
            body, rows = self.get_list("dataValueSets", {**params, "orgUnit": units}, "dataValues")
            values = [self._data_value(body, row) for row in rows]
            if any(value.period != params["period"] or value.org_unit not in units for value in values):
                raise Dhis2UnavailableError(
                    f"DHIS2 at {self.base_url}, dataValueSets: values of another period or org unit than those asked for: "
                    "something between us and DHIS2 mixes up its answers; let /api pass through untouched",
                    url=f"{self.base_url}/api/dataValueSets", status=200,
                )  # fmt: skip
            yield from values

    def _data_value(self, header: Json, row: Json) -> DataValue:
        """Put together a row and the members that 2.43 lifts out of all rows into the header."""
        whole = {**header, **row}
        try:
            return DataValue(
                whole["dataElement"],
                whole["period"],
                whole["orgUnit"],
                whole["categoryOptionCombo"],
                whole["attributeOptionCombo"],
                row.get("value"),
                row.get("deleted") is True,
            )
        except KeyError as error:
            raise Dhis2Error(
                f"DHIS2 at {self.base_url} gave a data value without {error}: report it with the server's version",
                url=self.base_url,
            ) from error
