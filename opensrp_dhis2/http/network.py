"""How servers are reached from this machine: whose certificates are believed, and which requests go through a proxy.

It knows TLS and proxies; it refuses to know the environment, and shows no proxy's password.
"""

import ssl
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import truststore

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.http.deadline import DeadlineTransport, Limits


@dataclass(frozen=True)
class Network:
    """The network's settings.

    Args: `ca_bundle` is a PEM file of authorities that are believed beside the system's own; the proxies are URLs, for
    requests to http:// and to https:// addresses; `no_proxy` names hosts, domains and networks that are asked directly.
    """

    ca_bundle: Path | None = None
    http_proxy: str = field(default="", repr=False)
    https_proxy: str = field(default="", repr=False)
    no_proxy: str = ""

    def proxy_for(self, url: httpx.URL) -> str:
        """Return the proxy for a request, or none: an address of this machine is always asked directly."""
        proxy = {"http": self.http_proxy, "https": self.https_proxy}.get(url.scheme, "")
        return "" if not proxy or _is_loopback(url.host) or _is_exempt(url, self.no_proxy) else proxy

    def trust(self) -> ssl.SSLContext:
        """Make what judges certificates: the system's trust store, and CA_BUNDLE if given.

        Raises: ConfigurationError (terminal) when CA_BUNDLE holds no certificate that can be read.
        """
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_bundle:
            try:
                context.load_verify_locations(cafile=self.ca_bundle)
            except OSError as error:  # ssl.SSLError is one
                why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
                raise ConfigurationError(f"CA_BUNDLE cannot be used ({why}): {self.ca_bundle}") from None
        return context

    def transport(self, limits: Limits, connections: int = 8) -> httpx.BaseTransport:
        """Open what carries every request of ours, by its route and within its time. Raises: as `trust`."""
        return RoutedTransport(self, limits, connections)


DIRECT = Network()


class RoutedTransport(httpx.BaseTransport):
    """Send each request to its server, or through the proxy that the network names for it."""

    def __init__(self, network: Network, limits: Limits, connections: int) -> None:
        trust, pool = network.trust(), httpx.Limits(max_connections=connections)
        opened = partial(httpx.HTTPTransport, verify=trust, limits=pool)
        proxies = {network.http_proxy, network.https_proxy} - {""}
        self._network, self._direct = network, DeadlineTransport(opened(), limits)
        self._proxied = {url: DeadlineTransport(opened(proxy=_proxy(url, trust)), limits) for url in proxies}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._network.proxy_for(request.url)
        if not proxy:
            return self._direct.handle_request(request)
        response = self._proxied[proxy].handle_request(request)
        if response.status_code == 407 or "X-Squid-Error" in response.headers:  # the proxy's own word, as to CONNECT
            response.close()
            raise httpx.ProxyError(f"{response.status_code} {response.reason_phrase}")
        return response

    def close(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            transport.close()


def _proxy(url: str, trust: ssl.SSLContext) -> httpx.Proxy:
    return httpx.Proxy(url, ssl_context=trust if url.startswith("https:") else None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_exempt(url: httpx.URL, no_proxy: str) -> bool:
    """Return whether NO_PROXY names the host, its domain, or the network of its address."""
    named = [host.strip().lower() for host in no_proxy.split(",") if host.strip()]
    hosts = (url.host, f"{url.host}:{url.port or {'http': 80, 'https': 443}.get(url.scheme)}")
    return any(_covers(host.removeprefix("*").removeprefix("."), hosts) for host in named)


def _covers(named: str, hosts: tuple[str, str]) -> bool:
    """Return whether one entry of NO_PROXY covers a host, given without and with its port; an empty one covers all."""
    if "/" in named:
        return _holds(named, hosts[0])
    return not named or any(host == named or host.endswith(f".{named}") for host in hosts)


def _holds(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
