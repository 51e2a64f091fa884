"""The manifest of a bulk export, and the addresses in it as we may ask for them.

Pure: it knows URLs and who may see our token; it asks nobody.
"""

from datetime import datetime
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec


class ManifestFile(msgspec.Struct):
    """A file that the server made; `count` is its lines, where it tells them."""

    url: str
    type: str = ""
    count: int | None = None


class Manifest(msgspec.Struct):
    """What an export that has ended is made of."""

    transaction_time: datetime = msgspec.field(name="transactionTime")
    request: str = ""
    requires_access_token: bool | None = msgspec.field(default=None, name="requiresAccessToken")
    output: list[ManifestFile] = []
    deleted: list[ManifestFile] = []
    error: list[ManifestFile] = []


def read_manifest(text: str, base_url: str) -> Manifest:
    """Read a manifest, the URLs of its files moved to the configured base: pure.

    Raises: msgspec.MsgspecError, ValueError, httpx.InvalidURL for what is none.
    """
    manifest = msgspec.json.decode(text, type=Manifest)
    for file in (*manifest.output, *manifest.deleted, *manifest.error):
        file.url = str(httpx.URL(file_url_of(file.url, base_url, manifest.request)))
    return manifest


def status_url_of(location: str, base_url: str) -> str:
    """Move a status URL to the configured base, as next links are, whatever host the server believes to have: pure.

    One that is neither below the base's path nor an operation stays as it is, and gets no token. A base without a path
    may stand for one that has, so that an operation is asked at it.
    """
    parts, base_path = urlsplit(urljoin(f"{base_url}/", location)), urlsplit(base_url).path
    query = f"?{parts.query}" if parts.query else ""
    _, operation, rest = parts.path.partition("/$")
    if f"{parts.path}/".startswith(f"{base_path}/") and (base_path or not operation):
        return base_url + parts.path[len(base_path) :] + query
    return f"{base_url}{operation}{rest}{query}" if operation else parts.geturl()


def file_url_of(url: str, base_url: str, request: str) -> str:
    """Move the URL of a file to the configured base if the server made it from its own: pure.

    Args: `request` is the kick-off as the manifest repeats it, which shows the base that the server believes to have.
        A path alone does not tell: files may lie in another host's store.
    """
    url = urljoin(f"{base_url}/", url)
    believed, is_told, _ = request.partition("/$export")
    bases = [base_url, believed] if is_told else [base_url]
    for base in sorted(bases, key=lambda base: len(urlsplit(base).path), reverse=True):
        parts, ours = urlsplit(url), urlsplit(base)
        if parts.netloc == ours.netloc and parts.path.startswith(f"{ours.path.rstrip('/')}/"):
            return base_url + parts.path[len(ours.path.rstrip("/")) :] + (f"?{parts.query}" if parts.query else "")
    return url


def sends_token(url: str, base_url: str, requires_access_token: bool | None) -> bool:
    """Return whether our token goes with a request: pure.

    To the host of the FHIR base always, unless the manifest says that files need none (a signed URL refuses one); to
    another host only if the manifest requires it, and never over a weaker scheme.
    """
    theirs, ours = httpx.URL(url), httpx.URL(base_url)
    if (theirs.scheme, theirs.host, theirs.port) == (ours.scheme, ours.host, ours.port):
        return requires_access_token is not False
    return requires_access_token is True and theirs.scheme in ("https", ours.scheme)
