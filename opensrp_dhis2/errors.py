"""Every exception of the project, drawn as a tree. Errors stop a run; defects in data are rows, not exceptions.

OpenSrpDhis2Error
|- ConfigurationError              a setting or file is wrong: a person must act              terminal
|- FhirError(url, status)          FhirUnavailableError (transient) | FhirAuthenticationError
|                                  | FhirOutcomeError (of it UnreadablePageError, PageTooLargeError)
|                                  | CursorExpiredError (restart the window) | IncompleteExtractError
|                                  | HistoryRefusedError (sweep the ids)
|                                  | ExportRefusedError (search) | ExportLostError (export again)
|- WarehouseError                  WarehouseUnavailableError (transient; of it LeaseLostError) | MigrationError
|- ViewError(path, line)           FrontMatterError | UnknownRelationError | CyclicViewError | ViewContractError
`- Dhis2Error(url, status)         Dhis2UnavailableError (transient; of it Dhis2TimeoutError)
                                   | Dhis2AuthenticationError | MetadataNotFoundError | ImportRejectedError
"""

from opensrp_dhis2.plain_text import plain_lines


class OpenSrpDhis2Error(Exception):
    """Anything this project raises on purpose. The message names the thing, the place and the remedy."""

    is_transient = False

    def __init__(self, message: str = "", *rest: object) -> None:
        super().__init__(plain_lines(message), *rest)  # it may quote a server


class ConfigurationError(OpenSrpDhis2Error):
    """A setting or a file is wrong; a person must act."""


class HttpError(OpenSrpDhis2Error):
    """A server's answer that cannot be used; carries the URL without its query, and the status."""

    def __init__(self, message: str, *, url: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.url = url.split("?", 1)[0]
        self.status = status


class FhirError(HttpError):
    """The FHIR server, its gateway or its token endpoint."""


class FhirUnavailableError(FhirError):
    """No usable answer after the retries: try later."""

    is_transient = True


class FhirAuthenticationError(FhirError):
    """The server does not accept our credentials."""


class FhirOutcomeError(FhirError):
    """The server answered with an OperationOutcome or with something that is not FHIR."""


class UnreadablePageError(FhirOutcomeError):
    """A page that is no JSON from its beginning to its end; `body` is what came, for the row that tells of it."""

    body = b""


class PageTooLargeError(FhirOutcomeError):
    """A page that is larger, unpacked, than memory should hold: ask for a smaller one."""


class CursorExpiredError(FhirError):
    """The server no longer knows the page cursor; the window must be searched again."""


class IncompleteExtractError(FhirError):
    """A window could not be read to its end."""


class HistoryRefusedError(FhirError):
    """The server or its gateway gives no usable history of a type; its ids must be compared."""


class ExportRefusedError(FhirError):
    """The server or its gateway gives no bulk export; everything must be searched."""


class ExportLostError(FhirError):
    """A bulk export or its files expired or failed at the server; it may be asked for again."""


class WarehouseError(OpenSrpDhis2Error):
    """The Postgres warehouse."""


class WarehouseUnavailableError(WarehouseError):
    """No connection to Postgres: try later."""

    is_transient = True


class LeaseLostError(WarehouseUnavailableError):
    """Another run may write now, or the session that kept it from doing so has ended: begin again."""


class MigrationError(WarehouseError):
    """A file in sql/ was edited after it was applied, or does not apply."""


class ViewError(OpenSrpDhis2Error):
    """A file in dbt_like_views/ is wrong; the message starts with its path and line."""

    def __init__(self, message: str, *, path: str, line: int | None = None) -> None:
        place = f"{path}:{line}" if line else path
        super().__init__(f"{place}: {message}")
        self.path = path
        self.line = line


class FrontMatterError(ViewError):
    """The YAML comment on top of a view is missing or wrong."""


class UnknownRelationError(ViewError):
    """A view reads a relation that nothing provides."""


class CyclicViewError(ViewError):
    """Views read each other in a circle."""


class ViewContractError(ViewError):
    """A view lacks a column, has one of the wrong type, or names a code that DHIS2 does not know."""


class Dhis2Error(HttpError):
    """The DHIS2 server."""


class Dhis2UnavailableError(Dhis2Error):
    """No usable answer: what was sent may or may not be stored; read back before sending again."""

    is_transient = True


class Dhis2TimeoutError(Dhis2UnavailableError):
    """No answer in time: the server may still be at it."""


class Dhis2AuthenticationError(Dhis2Error):
    """DHIS2 does not accept our credentials, or the account lacks an authority."""


class MetadataNotFoundError(Dhis2Error):
    """A code or id does not exist in DHIS2."""


class ImportRejectedError(Dhis2Error):
    """DHIS2 refused a whole request for a cause that sending again cannot mend."""
