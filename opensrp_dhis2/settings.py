"""Every setting, its default and what is wrong with it; read from a mapping that the caller hands in.

It knows names and shapes; only defs/resources.py and cli/ know the environment.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.messages.catalogue import languages
from opensrp_dhis2.project import Project

DEFAULT_RESOURCE_TYPES = "Patient,Encounter,Observation,Condition,Immunization,Location,Group,QuestionnaireResponse"
_EITHER_CASE = frozenset({"http_proxy", "https_proxy", "no_proxy"})
DEFAULT_PLACE_NAME_KINDS = "jdn,area,si,bu,https://smartregister.org/codes/administrative-level"
SANDBOX_HOST = "127.0.0.1"


def _sandbox_fhir_url(given: dict[str, Any]) -> str:
    return f"http://{SANDBOX_HOST}:{given.get('sandbox_fhir_port')}/fhir"


def _sandbox_dhis2_url(given: dict[str, Any]) -> str:
    return f"http://{SANDBOX_HOST}:{given.get('sandbox_dhis2_port')}"


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _counts(value: object) -> object:
    words = _words(value)
    if not isinstance(words, list):
        return value
    found = [re.fullmatch(r"([A-Z][A-Za-z]+)=(\d{1,12})", word) for word in words]
    counts = {match[1]: int(match[2]) for match in found if match}
    if len(counts) < len(words):
        raise ValueError("must name each type once with a number: write Patient=48210,Encounter=120000")
    return counts


def _instant(value: object) -> object:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if value is not None and not (isinstance(found, datetime) and found.tzinfo):
        raise ValueError("must be an instant with its zone: write for example 2026-12-31T23:30Z")
    return found


class Settings(BaseModel):
    """The settings of one deployment, named as the environment names them, in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sandbox_fhir_port: int = Field(8180, ge=1, le=65535)
    sandbox_dhis2_port: int = Field(8181, ge=1, le=65535)
    dev_port: int = Field(3000, ge=1, le=65535)

    fhir_base_url: str = Field(default_factory=_sandbox_fhir_url)
    fhir_source: Literal["search", "export", "ndjson", "airbyte"] = "search"
    fhir_ndjson_url: str = ""
    fhir_airbyte_url: str = ""
    fhir_airbyte_schema: str = "airbyte"
    fhir_auth: Literal["none", "basic", "bearer", "client_credentials"] = "none"
    fhir_username: str = ""
    fhir_password: str = ""
    fhir_token: str = ""
    fhir_token_url: str = ""
    fhir_client_id: str = ""
    fhir_client_secret: str = ""
    fhir_resource_types: Annotated[list[str], BeforeValidator(_words)] = Field(
        default_factory=lambda: DEFAULT_RESOURCE_TYPES.split(",")
    )
    fhir_weekly_types: Annotated[list[str], BeforeValidator(_words)] = Field(default_factory=list)
    fhir_page_size: int = Field(500, ge=1, le=5000)
    fhir_threads: int = Field(4, ge=1, le=16)
    fhir_lag_seconds: int = Field(600, ge=0)
    fhir_overlap_seconds: int = Field(3600, ge=0)
    fhir_validate_share: float = Field(0.01, ge=0, le=1)
    fhir_expected_counts: Annotated[dict[str, int], BeforeValidator(_counts)] = Field(default_factory=dict)

    place_name_kinds: Annotated[list[str], BeforeValidator(_words)] = Field(
        default_factory=lambda: DEFAULT_PLACE_NAME_KINDS.split(",")
    )

    warehouse_url: str = ""
    data_dir: Path = Path(".data")

    dhis2_base_url: str = Field(default_factory=_sandbox_dhis2_url)
    dhis2_auth: Literal["pat", "basic", "bearer", "oauth2_password", "oauth2_refresh", "client_credentials"] = "basic"
    dhis2_username: str = "pipeline"
    dhis2_password: str = "district"  # noqa: S105 - the sandbox's own account
    dhis2_token: str = ""
    dhis2_token_file: Path | None = None  # read as any NAME_FILE is, and written when DHIS2 replaces a refresh token
    dhis2_token_url: str = ""
    dhis2_client_id: str = ""
    dhis2_client_secret: str = ""
    dhis2_batch_size: int = Field(1000, ge=1, le=50_000)
    dhis2_async_import: bool = False
    dhis2_request_seconds: float = Field(900.0, ge=0)
    dhis2_submission_hours: str = Field("", pattern=r"^(\d{1,2}-\d{1,2})?$")

    report_timezone: str = "UTC"
    report_start: date | None = None
    report_now: Annotated[datetime | None, BeforeValidator(_instant)] = None
    report_language: str = "en"
    refused_threshold: int = Field(0, ge=0)
    retry_wait_seconds: int = Field(30, ge=0)
    project_dir: Path | None = None

    ca_bundle: Path | None = None
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""

    @field_validator("fhir_weekly_types")
    @classmethod
    def _in_one_group(cls, value: list[str], info: ValidationInfo) -> list[str]:
        both = sorted(set(value) & set(info.data.get("fhir_resource_types", ())))
        if both:
            raise ValueError(f"and FHIR_RESOURCE_TYPES both name {', '.join(both)}: keep each type in one of them")
        return value

    @field_validator("report_language")
    @classmethod
    def _has_texts(cls, value: str) -> str:
        if value not in languages():
            raise ValueError(f"must be one of {', '.join(languages())}")
        return value

    @field_validator("report_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("is no time zone name; write for example Africa/Kampala") from None
        return value

    @field_validator("report_now")
    @classmethod
    def _only_rehearsed(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value and not _is_loopback(info.data.get("dhis2_base_url", "")):
            raise ValueError("is for rehearsals, and DHIS2_BASE_URL names a server beyond this machine: leave it empty")
        return value

    @field_validator("fhir_base_url", "dhis2_base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        return _http_url(value).rstrip("/").removesuffix("/api")  # as the ledger names the server

    @field_validator("fhir_token_url", "dhis2_token_url")
    @classmethod
    def _token_url(cls, value: str) -> str:
        return _http_url(value)

    @field_validator("http_proxy", "https_proxy")
    @classmethod
    def _proxy(cls, value: str) -> str:
        return _proxy_url(value)

    @classmethod
    def from_mapping(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings; `<NAME>_FILE` gives a file to read a value from, empty values count as unset.

        Raises: ConfigurationError naming each wrong setting and its remedy, never its value.
        """
        given: dict[str, Any] = {}
        for name in cls.model_fields:
            key = name.upper()
            value = environment.get(key, "") or _file_content(key, environment.get(f"{key}_FILE", ""))
            if name in _EITHER_CASE:
                value = environment.get(name, "") or value  # as curl and pip read them
            if value:
                given[name] = value
        try:
            return cls(**given)
        except ValidationError as error:
            found = error.errors(include_input=False)
            problems = "; ".join(f"{str(e['loc'][0]).upper()} {e['msg'].removeprefix('Value error, ')}" for e in found)
            raise ConfigurationError(f"Wrong settings: {problems}. See .env.example") from None

    @property
    def all_resource_types(self) -> list[str]:
        """The types extracted nightly, and those extracted weekly."""
        return [*self.fhir_resource_types, *self.fhir_weekly_types]

    @property
    def reads_fhir_server(self) -> bool:
        return self.fhir_source in ("search", "export")

    @property
    def project(self) -> Project:
        return Project(self.project_dir)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.report_timezone)

    def now(self) -> datetime:
        """Return the instant that decides what day it is: the machine's, unless REPORT_NOW sets another."""
        return (self.report_now or machine_clock()).astimezone(UTC)

    def today(self) -> date:
        """Return the day in the country."""
        return self.now().astimezone(self.zone).date()


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in value
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError("must start with http:// or https:// and name a host: write https://host/path")
    if parts.username or parts.password:  # messages and the ledger show the URL
        raise ValueError("must not carry a user or password: set the _USERNAME and _PASSWORD beside it")
    return value


def _proxy_url(value: str) -> str:
    """Take host:port as curl does; a port and a host there must be, for messages name the proxy by them."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in value
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError("must be http://host:port, with user:password@ before the host if the proxy asks for them")
    return url


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _file_content(key: str, path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{key}_FILE names a file that cannot be read ({why}): {path}") from None
