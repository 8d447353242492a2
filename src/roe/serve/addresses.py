"""Requests to addresses that users configure, without letting them reach into the private network.

A name is looked up once. Every address that it stands for must be public, and the connection goes to the address that was
checked: a name that answers with another address a moment later (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Lookup = Callable[[str, int], list[str]]
TIMEOUT = 15.0  # seconds, for each step of a request


class Forbidden(ValueError):
    """The address is private, or is not one that the service sends to."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was checked: the one network address to connect to, and the rest of the request."""

    secure: bool
    host: str
    port: int
    address: str
    path: str


def lookup(host: str, port: int) -> list[str]:
    """Every network address of a name."""
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether a network address belongs to the public network; IPv4 inside IPv6 is looked at as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def target(url: str, private: bool = False, find: Lookup = lookup) -> Target:
    """Where a request for an address goes. Raises Forbidden for what the service does not send to, OSError if the name is not known.

    `private` allows private addresses and plain HTTP: for receivers in the own network, named one by one in the settings.
    """
    parts = urlsplit(url)
    if parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname:
        raise Forbidden(f"`{url}` is not an https address")
    if parts.username or parts.password:
        raise Forbidden("an address must not hold a user name or password")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    addresses = find(parts.hostname, port)
    if not addresses:
        raise OSError(f"`{parts.hostname}` has no address")
    if not private and (inside := next((a for a in addresses if not is_public(a)), None)):
        raise Forbidden(f"`{parts.hostname}` is the private address {inside}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, parts.hostname, port, addresses[0], path)


def post(to: Target, body: bytes, headers: Mapping[str, str], timeout: float = TIMEOUT) -> tuple[int, str | None]:
    """(status, Retry-After) of a POST to a checked address. Raises OSError or HTTPException if nobody answers."""
    connection: http.client.HTTPConnection = (_Secure if to.secure else _Plain)(to, timeout)
    host = f"[{to.host}]" if ":" in to.host else to.host
    named = host if to.port == (443 if to.secure else 80) else f"{host}:{to.port}"
    try:
        connection.request("POST", to.path, body, {"Host": named, "User-Agent": "roe", **headers})
        answer = connection.getresponse()
        answer.read(4096)
        return answer.status, answer.getheader("Retry-After")
    finally:
        connection.close()


class _Plain(http.client.HTTPConnection):
    def __init__(self, to: Target, timeout: float) -> None:
        super().__init__(to.host, to.port, timeout=timeout)
        self._to = to

    def connect(self) -> None:
        self.sock = socket.create_connection((self._to.address, self._to.port), self.timeout)


class _Secure(http.client.HTTPSConnection):
    def __init__(self, to: Target, timeout: float) -> None:
        self._context = ssl.create_default_context()
        super().__init__(to.host, to.port, timeout=timeout, context=self._context)
        self._to = to

    def connect(self) -> None:
        plain = socket.create_connection((self._to.address, self._to.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self._to.host)
