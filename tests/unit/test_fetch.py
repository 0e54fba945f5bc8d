"""The client for strangers' addresses: caps, private networks, redirects; against a real server on the loopback."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from trust.edge.fetch import Fetcher
from trust.errors import TooLarge, Unavailable


class _Answers(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/redirect/"):
            left = int(self.path.rsplit("/", 1)[1])
            self.send_response(302)
            self.send_header("Location", f"/redirect/{left - 1}" if left else "/crl")
            self.end_headers()
        elif self.path == "/to-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/big":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)
        elif self.path == "/crl":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"list")
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Content-Type"].encode() + b" " + body + b" " + self.headers["Host"].encode())

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"asked": asked}))
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://localhost:{made.server_port}", asked
    made.shutdown()
    thread.join()
    made.server_close()


def local(**caps: int) -> Fetcher:
    return Fetcher(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"], **caps)


def test_an_answer_is_fetched_once(server: tuple[str, list[str]]) -> None:
    url, asked = server
    fetcher = local()
    assert fetcher.get(url + "/crl") == fetcher.get(url + "/crl") == b"list"
    assert asked == ["/crl"]


def test_a_request_is_posted_to_the_name_that_was_asked(server: tuple[str, list[str]]) -> None:
    url, _ = server
    assert (
        local().post(url + "/ocsp", b"request", "application/ocsp-request")
        == b"application/ocsp-request request " + url.removeprefix("http://").encode()
    )


def test_redirects_end(server: tuple[str, list[str]]) -> None:
    url, _ = server
    assert local().get(url + "/redirect/2") == b"list"
    with pytest.raises(Unavailable, match="more than 3 redirects"):
        local().get(url + "/redirect/9")
    with pytest.raises(Unavailable, match="only http"):
        local().get(url + "/to-file")


def test_too_many_bytes_are_refused(server: tuple[str, list[str]]) -> None:
    url, _ = server
    with pytest.raises(TooLarge, match="over 4999 bytes"):
        local(max_bytes=4999).get(url + "/big")
    assert len(local(max_bytes=5000).get(url + "/big")) == 5000


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%eth0", "192.168.0.1", "0.0.0.0", "::ffff:127.0.0.1"])
def test_private_networks_are_out_of_reach(server: tuple[str, list[str]], address: str) -> None:
    url, asked = server
    with pytest.raises(Unavailable, match="private network"):
        Fetcher(resolver=lambda _host, _port: ["192.0.43.8", address]).get(url + "/crl")
    assert not asked


@pytest.mark.parametrize(
    "url", ["ftp://example.org/crl", "file:///etc/passwd", "ldap://x/y", "http://user:pw@example.org/", "http://[::1", "crl", ""]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Unavailable):
        local().get(url)


def test_a_missing_page_and_a_closed_port_are_told(server: tuple[str, list[str]]) -> None:
    url, _ = server
    with pytest.raises(Unavailable, match="answered 404"):
        local().get(url + "/none")
    with pytest.raises(Unavailable, match="does not answer"):
        local().get("http://localhost:1/crl")
