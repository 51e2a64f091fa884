"""Why a request got no answer, or one that the server we asked did not write, in words with the remedy.

It knows the errors of httpx, sockets and TLS, redirects, login pages, and ports that want TLS. Of an address it shows
scheme, host and port only: the rest may carry a secret.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from opensrp_dhis2.http.deadline import DeadlineError, TooLargeError
from opensrp_dhis2.http.network import Network

_NOT_YET, _EXPIRED, _SELF_SIGNED, _REVOKED = 9, 10, 18, 23  # X509_V_ERR_..., as OpenSSL numbers them
_UNKNOWN_ISSUER, _WRONG_HOST = (19, 20, 21), (62, 64)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})
_CLIENT_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"})
_TLS_RECORD = re.compile(r"bytearray\(b['\"]\\x1[56]\\x03")
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})
_LOGIN_ADDRESS = re.compile(r"log-?in|sign-?in|auth|openid|sso\b|saml", re.IGNORECASE)
_LOGIN_PAGE = re.compile(
    rb"<input[^>]{1,500}type=[\"']?password|<title>[^<]{0,100}(?:log|sign)[ -]?(?:in|on)", re.IGNORECASE
)
_WANTS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS|requires TLS|plain HTTP to an SSL|HTTP request to an HTTPS server",
    re.IGNORECASE,
)  # nginx, Tomcat, Apache, Go


def is_lasting(error: Exception) -> bool:
    """Return whether it stays so until a person acts: certificates, another protocol, a proxy's refusal; pure."""
    if isinstance(error, httpx.ProxyError):
        return 400 <= _proxy_status(error) < 500
    if isinstance(error, httpx.RemoteProtocolError) and _TLS_RECORD.search(str(error)):
        return True
    faults = [cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)]
    lasting = _NO_TLS | _OLD_TLS | _CLIENT_CERTIFICATE
    return any(isinstance(fault, ssl.SSLCertVerificationError) or fault.reason in lasting for fault in faults)


def why_unanswered(error: httpx.HTTPError, network: Network, setting: str) -> str:
    """Return why a request got no answer, and what to do: pure. Args: `setting` names where its address stands."""
    url = error.request.url
    proxy = network.proxy_for(url)
    if isinstance(error, httpx.ProxyError):
        return _of_proxy(_proxy_status(error), proxy, url)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _of_certificate(cause, url.host, setting, is_proxied=bool(proxy))
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause, _place(url), setting)
    if isinstance(error, httpx.RemoteProtocolError) and _TLS_RECORD.search(str(error)):
        return f"{_place(url)} speaks TLS: write https:// in {setting}"
    if proxy:
        return f"the proxy {_of_connection(error, causes, httpx.URL(proxy), f'{url.scheme.upper()}_PROXY')}"
    return _of_connection(error, causes, url, setting)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__  # httpcore takes the cause away


def _place(url: httpx.URL) -> str:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.host}:{port}"


def _proxy_status(error: httpx.ProxyError) -> int:
    """Read what a proxy answered to CONNECT: httpx keeps the status and its words."""
    said = str(error)[:3]
    return int(said) if said.isdecimal() else 0


def _of_proxy(status: int, proxy: str, url: httpx.URL) -> str:
    place, target = _place(httpx.URL(proxy)), _place(url)
    if status == 407:
        return (
            f"the proxy {place} wants a user and password that it accepts (HTTP 407): write them into "
            f"{url.scheme.upper()}_PROXY, as http://user:password@host:port, percent-encoded"
        )
    if 400 <= status < 500:
        return (
            f"the proxy {place} refuses to connect us to {target} (HTTP {status}): have it allowed there, or name "
            f"{url.host} in NO_PROXY if it can be reached without the proxy"
        )
    told = f" (HTTP {status})" if status else ""
    return f"the proxy {place} cannot reach {target}{told}: check that the server runs, then look into the proxy's log"


def _of_certificate(error: ssl.SSLCertVerificationError, host: str, setting: str, *, is_proxied: bool) -> str:
    code = getattr(error, "verify_code", 0)
    whose = f"the certificate of {host}"
    if code == _EXPIRED:
        return f"{whose} has expired: have it renewed there, or set this machine's clock"
    if code == _NOT_YET:
        return f"{whose} is not valid yet: look at this machine's clock first, then at the server's certificate"
    if code in _WRONG_HOST:
        return f"{whose} is for another host: write the name that it is for into {setting}, or have it replaced"
    if code == _REVOKED:
        return f"{whose} was revoked: have it replaced there"
    if code == _SELF_SIGNED or code in _UNKNOWN_ISSUER:
        by = "signed by itself" if code == _SELF_SIGNED else "from an issuer that this machine does not know"
        perhaps = " (a proxy that reads along shows its own)" if is_proxied else ""
        return f"{whose} is {by}{perhaps}: set CA_BUNDLE to the PEM file of its authority, once you trust it"
    return f"{whose} is not believed ({error.verify_message}): have it replaced there"


def _of_tls(error: ssl.SSLError, place: str, setting: str) -> str:
    if error.reason in _NO_TLS:
        return f"{place} does not speak TLS: write http:// in {setting}, or the port that does"
    if error.reason in _OLD_TLS:
        return f"{place} speaks only a TLS older than 1.2: have it updated"
    if error.reason in _CLIENT_CERTIFICATE:
        return f"{place} refuses our TLS, perhaps for want of a client's certificate: ask for a way in without one"
    if isinstance(error, ssl.SSLEOFError):
        return f"{place} hung up as TLS began: check {setting}, and whether that port speaks TLS"
    return f"TLS with {place} failed ({error.reason or type(error).__name__}): look into the server's log"


def _of_connection(error: httpx.HTTPError, causes: list[BaseException], url: httpx.URL, setting: str) -> str:
    place = _place(url)
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_AGAIN:
                return f"{url.host} cannot be looked up, no name server answers: check this machine's DNS and {setting}"
            return f"{url.host} is a name that nobody knows: check {setting} and this machine's DNS"
        if isinstance(cause, ConnectionRefusedError):
            return f"{place} is closed: check that the server runs, and the port in {setting}"
        if isinstance(cause, OSError) and cause.errno in _NO_WAY:
            return f"{place} cannot be reached from this network: check routes, the VPN and {setting}"
    if isinstance(error, DeadlineError):
        return f"{place} gave {error}: check that the server runs and is not overloaded; else check {setting}"
    if isinstance(error, TooLargeError):
        return f"{place} gave {error}: look into the server"
    if isinstance(error, httpx.ConnectTimeout):
        return f"{place} took no connection in time: check {setting}, and the firewalls on the way"
    if isinstance(error, httpx.TimeoutException):
        return (
            f"{place} gave no answer in time ({type(error).__name__}): check that the server runs and is not overloaded"
        )
    hint = f"; if it speaks TLS, write https:// in {setting}" if url.scheme == "http" else ""
    return f"{place} hung up before the end of its answer ({type(error).__name__}): check that the server runs{hint}"


def is_login_page(content_type: str, body: bytes) -> bool:
    """Tell a page on which people log in from other pages: pure."""
    return "html" in content_type and _LOGIN_PAGE.search(body) is not None


def is_login_address(location: str) -> bool:
    """Return whether a redirect goes to where people log in: pure."""
    return _LOGIN_ADDRESS.search(urlsplit(location).path) is not None


def wants_tls(status: int, body: bytes) -> bool:
    """Tell the answer of a port that speaks TLS to a request without it: pure."""
    return status == 400 and _WANTS_TLS.search(body[:5000]) is not None


def redirect_words(location: str, base_url: str, setting: str) -> str:
    """Say where a redirect goes that is none to a login page, and what to write into the setting: pure."""
    base, target = urlsplit(base_url), urlsplit(location)
    host = target.netloc.rpartition("@")[2] or base.netloc
    place = f"{target.scheme or base.scheme}://{host}"
    is_tls = (base.scheme, target.scheme) == ("http", "https") and base.hostname == target.hostname
    remedy = f"write https:// in {setting}" if is_tls else f"set {setting} to where the server really is"
    return f"it redirects to {place}: {remedy}"
