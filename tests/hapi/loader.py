"""What a test writes to a real HAPI, and what the server itself says it holds.

It asks with plain GETs, so that our client is not judged by itself; it knows no warehouse.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

FRESH = {"Cache-Control": "no-cache"}
TEXT = "https://example.org/fhir/StructureDefinition/text"
UPLOAD_SIZE = 500  # resources; OpenSRP's upload, all with one stamp


class Hapi:
    """A running server with the writes of an OpenSRP app."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(headers=FRESH, timeout=120)
        self._written_at = datetime.now(UTC)

    def close(self) -> None:
        self.http.close()

    def put(self, resource_type: str, ids: Iterable[str], text: str = "v1", *, size: int = UPLOAD_SIZE) -> None:
        """Write small resources, or change them, in transactions of one stamp and so many resources each."""
        extension = [{"url": TEXT, "valueString": text}]
        self.upload([{"resourceType": resource_type, "id": one, "extension": extension} for one in ids], size)

    def upload(self, resources: list[dict[str, Any]], size: int = UPLOAD_SIZE) -> None:
        for first in range(0, len(resources), size):
            self._transaction(
                {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
                for one in resources[first : first + size]
            )

    def delete(self, resource_type: str, ids: Iterable[str]) -> None:
        self._transaction({"request": {"method": "DELETE", "url": f"{resource_type}/{one}"}} for one in ids)

    def expunge(self, resource_type: str, resource_id: str) -> None:
        """Remove a deleted resource so that no history shows it."""
        parameters = {
            "resourceType": "Parameters",
            "parameter": [{"name": "expungeDeletedResources", "valueBoolean": True}],
        }
        self._checked(self.http.post(f"{self.url}/{resource_type}/{resource_id}/$expunge", json=parameters))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path if path.startswith("http") else f"{self.url}/{path}", headers=headers)

    def bundles(self, path: str) -> list[dict[str, Any]]:
        """Give every page of a search or a history."""
        found, following = [], path
        while following:
            found.append(self._checked(self.get(following)).json())
            following = next((link["url"] for link in found[-1]["link"] if link["relation"] == "next"), "")
        return found

    def resources(self, resource_type: str) -> list[dict[str, Any]]:
        """Give what lives of a type, read in one page."""
        return [one["resource"] for page in self.bundles(f"{resource_type}?_count=50000") for one in page["entry"]]

    def versions(self, resource_type: str) -> dict[str, int]:
        """Give the version of each living resource of a type."""
        return {one["id"]: int(one["meta"]["versionId"]) for one in self.resources(resource_type)}

    def stamps(self, resource_type: str) -> set[str]:
        return {one["meta"]["lastUpdated"] for one in self.resources(resource_type)}

    def wait_until_past(self, url: str = "", *, instant: datetime | None = None) -> None:
        """Wait until a window that ends now holds all that is written, or an instant: servers tell whole seconds."""
        clock = f"{url or self.url}/metadata?_summary=true"
        while parsedate_to_datetime(self.get(clock).headers["Date"]) <= (instant or self._written_at):
            time.sleep(0.05)

    def _transaction(self, entries: Iterable[dict[str, Any]]) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
        self._checked(self.http.post(self.url, json=bundle))
        self._written_at = datetime.now(UTC)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 200, answer.text
        return answer
