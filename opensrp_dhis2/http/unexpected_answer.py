"""What an answer betrays that does not come from the server we asked: redirects, login pages, a port that wants TLS.

Of an address it shows scheme, host and port only: the rest may carry a secret.
"""

import re
from urllib.parse import urlsplit

_LOGIN_ADDRESS = re.compile(r"log-?in|sign-?in|auth|openid|sso\b|saml", re.IGNORECASE)
_LOGIN_PAGE = re.compile(
    rb"<input[^>]{1,500}type=[\"']?password|<title>[^<]{0,100}(?:log|sign)[ -]?(?:in|on)", re.IGNORECASE
)
_WANTS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS|requires TLS|plain HTTP to an SSL|HTTP request to an HTTPS server",
    re.IGNORECASE,
)  # nginx, Tomcat, Apache, Go


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
