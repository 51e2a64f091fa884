"""A FHIR server for benchmarks: pages rendered beforehand, so that a measurement shows the client and not the server.

It knows search by _lastUpdated windows and next links over one type of synthetic resources, and nothing else.
"""

import asyncio
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec
from opensrp_dhis2_sandbox.fhir.instant import instant_text, to_ms
from opensrp_dhis2_sandbox.fhir.search import parse_window
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FIRST_MS = to_ms(datetime(2020, 1, 1, tzinfo=UTC))
LAST_MS = to_ms(datetime(2020, 12, 31, tzinfo=UTC))
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
PREFIX = b'{"resourceType":"Bundle","type":"searchset","entry":['
# About 1.8 kB, the size of an OpenSRP Observation with its tags.
_TAG = '{"system":"https://smartregister.org/%s-tag-id","code":"%s","display":"%s"}'
_TAGS = ",".join(
    _TAG % (name, f"6f2c41ab-98d7-5b3e-a0c4-d7e81f5{number:05d}", name.title())
    for number, name in enumerate(("practitioner", "care-team", "organisation", "location", "related-entity-location"))
)
_TEMPLATE = (
    '{"resourceType":"%s","id":"%s","meta":{"versionId":"1","lastUpdated":"%s","tag":[' + _TAGS + "]},"
    '"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category",'
    '"code":"vital-signs","display":"Vital Signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"70569-9",'
    '"display":"Plasmodium sp Ag [Presence] in Blood by Rapid test"}],"text":"Malaria rapid test"},'
    '"subject":{"reference":"Patient/%08d-1111-4222-8333-444455556666"},'
    '"encounter":{"reference":"Encounter/%08d-aaaa-4bbb-8ccc-ddddeeeeffff"},'
    '"effectiveDateTime":"2020-06-15T09:30:00+03:00","issued":"2020-06-15T06:30:10.123Z",'
    '"performer":[{"reference":"Practitioner/6f2c41ab-98d7-5b3e-a0c4-d7e81f500000"}],'
    '"valueQuantity":{"value":%d.50,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},'
    '"note":[{"text":"' + "measured during a home visit by the village health team " * 6 + '"}]}'
)


class Canned:
    """The blocks of resources: all of one block share a stamp, so that every window holds whole blocks."""

    def __init__(self, resource_count: int, *, resource_type: str = "Observation", page_size: int = 500) -> None:
        self.resource_type, self.resource_count, self.page_size = resource_type, resource_count, page_size
        self.block_count = -(-resource_count // page_size)
        self._gzipped = [self._compress(block) for block in range(self.block_count)]

    def stamp_ms(self, block: int) -> int:
        return FIRST_MS + (LAST_MS - FIRST_MS) * block // max(1, self.block_count)

    def resources(self, block: int) -> list[bytes]:
        """Render the resources of one block."""
        stamp = instant_text(self.stamp_ms(block))
        numbers = range(block * self.page_size, min((block + 1) * self.page_size, self.resource_count))
        made = (
            _TEMPLATE % (self.resource_type, _resource_id(number), stamp, number % 9973, number, number % 400)
            for number in numbers
        )
        return [text.encode() for text in made]

    def ndjson(self) -> Iterator[bytes]:
        """Yield the same resources as lines, for the measurement beside."""
        for block in range(self.block_count):
            yield from (resource + b"\n" for resource in self.resources(block))

    def blocks_within(self, first_ms: int, last_ms: int) -> range:
        """Return the blocks whose stamp lies in a window."""
        blocks = [block for block in range(self.block_count) if first_ms <= self.stamp_ms(block) <= last_ms]
        return range(blocks[0], blocks[-1] + 1) if blocks else range(0)

    def count_within(self, blocks: range) -> int:
        """Count the resources of a run of blocks."""
        return min(blocks.stop * self.page_size, self.resource_count) - blocks.start * self.page_size if blocks else 0

    def identity_page(self, block: int, tail: bytes) -> bytes:
        """Write a page as plain JSON."""
        return self._entries(block) + tail

    def gzip_page(self, block: int, tail: bytes) -> bytes:
        """Write a page gzipped: the stored entries, and only the tail compressed now."""
        stored, checksum, size = self._gzipped[block]
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        ending = packer.compress(tail) + packer.flush()
        trailer = zlib.crc32(tail, checksum).to_bytes(4, "little") + (size + len(tail)).to_bytes(4, "little")
        return GZIP_HEADER + stored + ending + trailer

    def _entries(self, block: int) -> bytes:
        entries = (
            b'{"fullUrl":"http://canned/fhir/x","resource":%s,"search":{"mode":"match"}}' % resource
            for resource in self.resources(block)
        )
        return PREFIX + b",".join(entries) + b"]"

    def _compress(self, block: int) -> tuple[bytes, int, int]:
        plain = self._entries(block)
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH), zlib.crc32(plain), len(plain)


def create_canned_app(canned: Canned, *, page_delay_seconds: float = 0.0) -> Starlette:
    """Make the server; a page holds `canned.page_size` resources whatever _count asks."""

    async def search(request: Request) -> Response:
        pairs = parse_qsl(request.url.query)
        is_ours = request.path_params["resource_type"] == canned.resource_type
        window = parse_window(value for name, value in pairs if name == "_lastUpdated")
        blocks = canned.blocks_within(*window) if is_ours else range(0)
        if ("_summary", "count") in pairs or not blocks:
            total = {"resourceType": "Bundle", "type": "searchset", "total": canned.count_within(blocks)}
            return Response(msgspec.json.encode(total), media_type="application/fhir+json")
        return await page(request, blocks)

    async def next_page(request: Request) -> Response:
        start, _, stop = dict(parse_qsl(request.url.query))["_getpages"].partition("-")
        return await page(request, range(int(start), int(stop)))

    async def page(request: Request, blocks: range) -> Response:
        if page_delay_seconds:
            await asyncio.sleep(page_delay_seconds)
        links = []
        if len(blocks) > 1:
            cursor = f"{blocks.start + 1}-{blocks.stop}"
            url = f"http://{request.url.netloc}/fhir?_getpages={cursor}&_count={canned.page_size}"
            links = [{"relation": "next", "url": url}]
        tail = b',"link":%s}' % msgspec.json.encode(links)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {"Content-Encoding": "gzip"}
            return Response(canned.gzip_page(blocks.start, tail), 200, headers, "application/fhir+json")
        return Response(canned.identity_page(blocks.start, tail), 200, None, "application/fhir+json")

    async def metadata(request: Request) -> Response:
        statement = {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1"}
        return Response(msgspec.json.encode(statement), media_type="application/fhir+json")

    return Starlette(
        routes=[
            Route("/fhir/metadata", metadata),
            Route("/fhir", next_page),
            Route("/fhir/{resource_type}", search),
        ]
    )


def _resource_id(number: int) -> str:
    return f"{number:08x}-5eed-4bad-8cab-{number * 2654435761 % (1 << 48):012x}"
