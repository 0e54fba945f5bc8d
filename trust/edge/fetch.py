"""The only HTTP client for addresses that a file names: CRLs, OCSP answers, issuers.

Such an address is an attacker's to choose. So: http and https only, bytes, time and redirects capped, and no address of a private network unless
allowed; the address that was checked is the one that is connected to (a name that resolves otherwise a moment later gains nothing).
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from trust import VERSION
from trust.errors import KakuinError, TooLarge, Unavailable

Resolver = Callable[[str, int], list[str]]
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def why(error: Exception) -> str:
    """What was wrong with a connection, in a few words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        text = "".join(c if c.isprintable() else "?" for c in str(error))
        secure = any(word in text.lower() for word in ("certificate", "ssl", "tls"))
        return f"no secure connection: {text[:120]}" if secure else "no connection"
    return "the connection broke off" if isinstance(error, httpx.TransportError | OSError) else type(error).__name__


def loopback(host: str) -> bool:
    """Whether what goes there does not leave this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver. Unavailable when there are none."""
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"host {shown(host)} is not known") from error


def shown(url: str) -> str:
    """A stranger's address, fit for a message: printable ASCII, 120 characters."""
    return ascii(url)[1:-1][:120]


def _size(answer: bytes | KakuinError) -> int:
    return len(answer) if isinstance(answer, bytes) else 0


@dataclass
class Fetcher:
    """GET and POST within caps; answers are remembered for the life of the fetcher. Thread-safe."""

    max_bytes: int = 20 << 20
    """The largest national CRLs are some 10 MB."""
    seconds: float = 10.0
    """For one answer, redirects included."""
    redirects: int = 3
    total_seconds: float = 60.0
    """For everything that one fetcher does, or does from one renew() to the next."""
    max_kept: int = 256 << 20
    """Bytes of answers that are remembered; the oldest go first."""
    allow_private: bool = False
    resolver: Resolver = resolve
    transport: httpx.BaseTransport | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request besides its own."""
    heard: Callable[[Mapping[str, str]], None] | None = None
    """Told the fields of each 200 answer."""
    _answers: dict[tuple[str, bytes | None], bytes | Unavailable | TooLarge] = field(default_factory=dict)
    _kept: int = 0
    _spent: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, url: str) -> bytes:
        """The body of a 200 answer. Unavailable or TooLarge otherwise, each address asked once."""
        return self._once(url, None, "")

    def post(self, url: str, body: bytes, media_type: str) -> bytes:
        return self._once(url, body, media_type)

    def renew(self) -> None:
        """Another file: its fetching has its own time, whatever the last one used up. What is remembered stays."""
        with self._lock:
            self._spent = 0.0

    def _once(self, url: str, body: bytes | None, media_type: str) -> bytes:
        with self._lock:
            if (url, body) not in self._answers:
                started = time.monotonic()
                if self._spent >= self.total_seconds:  # not remembered: the next file may ask
                    raise Unavailable(f"{self.total_seconds:.0f} s of fetching are used up")
                try:
                    self._answers[url, body] = self._follow(url, body, media_type, started + self.seconds)
                except (Unavailable, TooLarge) as error:
                    self._answers[url, body] = error
                self._spent += time.monotonic() - started
                self._forget_oldest(len(body or b"") + _size(self._answers[url, body]), (url, body))
            answer = self._answers[url, body]
        if isinstance(answer, bytes):
            return answer
        raise answer

    def _forget_oldest(self, added: int, newest: tuple[str, bytes | None]) -> None:
        self._kept += added
        while self._kept > self.max_kept and (oldest := next(iter(self._answers))) != newest:
            self._kept -= len(oldest[1] or b"") + _size(self._answers.pop(oldest))

    def _follow(self, url: str, body: bytes | None, media_type: str, deadline: float) -> bytes:
        for _ in range(self.redirects + 1):
            answer = self._ask(url, body, media_type, deadline)
            if isinstance(answer, bytes):
                return answer
            url, body = urljoin(url, answer), None
        raise Unavailable(f"{shown(url)}: more than {self.redirects} redirects")

    def _ask(self, url: str, body: bytes | None, media_type: str, deadline: float) -> bytes | str:
        """The body, or where to go instead."""
        request, pinned = self._request(url, body, media_type, deadline)
        try:
            with (
                httpx.Client(transport=self.transport, trust_env=False, follow_redirects=False) as client,
                client.stream(**request, url=pinned) as response,
            ):
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                if response.status_code != 200:
                    raise Unavailable(f"{shown(url)} answered {response.status_code}")
                if self.heard is not None:
                    self.heard(response.headers)
                return self._body(response, url, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{shown(url)} does not answer ({why(error)})") from error

    def _request(self, url: str, body: bytes | None, media_type: str, deadline: float) -> tuple[dict[str, Any], str]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Unavailable(f"{shown(url)} is not an address") from error
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise Unavailable(f"{shown(url)}: only http and https addresses are fetched")
        port = port or (443 if parts.scheme == "https" else 80)
        address = self._allowed(host, port)
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{shown(url)} took more than {self.seconds:.0f} s")
        literal = f"[{address}]" if ":" in address else address
        headers = {**self.fields, "Host": parts.netloc, "User-Agent": f"kakuin/{VERSION}", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = media_type
        request = {
            "method": "GET" if body is None else "POST",
            "content": body,
            "headers": headers,
            "timeout": left,
            # The certificate is checked against the name, whatever address is dialled.
            "extensions": {"sni_hostname": host},
        }
        return request, parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()

    def _allowed(self, host: str, port: int) -> str:
        addresses = self.resolver(host, port)
        if not addresses:
            raise Unavailable(f"host {shown(host)} is not known")
        if not self.allow_private and not all(ipaddress.ip_address(a.split("%")[0]).is_global for a in addresses):
            raise Unavailable(f"host {shown(host)} is in a private network, which is not allowed here")
        return addresses[0]

    def _body(self, response: httpx.Response, url: str, deadline: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self.max_bytes:
                raise TooLarge(f"{shown(url)} is over {self.max_bytes} bytes")
            if time.monotonic() > deadline:
                raise Unavailable(f"{shown(url)} took more than {self.seconds:.0f} s")
        return bytes(body)
