"""Hosts: the names under which the page may be asked for.

A page on the loopback interface is still within reach of every website the person visits: a name
of the attacker's that resolves to 127.0.0.1 (DNS rebinding) makes the browser send requests here
and hand over the answers. Such a request names the attacker's host, so only our own are served.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """Host (and Origin) headers that are the page's own; none but lower-case, exact names."""

    def __init__(self, server_name: str, port: int) -> None:
        self.port = port
        self._names = {*LOOPBACK, server_name.lower()}
        self._public: str | None = None
        self._any_interface = is_wildcard(server_name)
        if self._any_interface:
            self._names.discard(server_name.lower())
            self._names |= _own_names()

    def add_public(self, url: str) -> None:
        """Serve the host of a public link too."""
        self._public = urlsplit(url).netloc.lower()

    def is_public(self, host: str) -> bool:
        return host.lower() == self._public

    def allows(self, host: str, address: str | None = None) -> bool:
        """Whether a Host header is the page's own; `address` is where the request came in."""
        host = host.lower()
        if host == self._public:
            return True
        name, port = _split(host)
        if port != self.port:
            return False
        return name in self._names or (self._any_interface and name == address)

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header names the very host that was asked."""
        return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def is_wildcard(name: str) -> bool:
    """Whether a server name means every interface of the machine."""
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return name == ""


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def in_url(name: str) -> str:
    """A name or address as it stands in a URL: IPv6 in brackets."""
    return f"[{name}]" if ":" in name else name


def _split(host: str) -> tuple[str, int | None]:
    """The name and port of a Host header; None for a port that is none."""
    name, bracket, rest = host.rpartition("]")
    if bracket:
        name = name.removeprefix("[")
        colon, port = rest[:1], rest[1:]
    else:
        name, colon, port = host.partition(":")
    if not colon:
        return name, 80
    return name, int(port) if port.isascii() and port.isdigit() else None


def _own_names() -> set[str]:
    """The machine's names, and the addresses they resolve to."""
    names = {socket.gethostname().lower(), socket.getfqdn().lower()}
    names |= {f"{name}.local" for name in names if "." not in name}
    try:
        found = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        found = []
    return names | {str(address[0]) for *_, address in found}
