"""The batch that is open while the service ends: whoever was let in gets a record; whoever was not finds nothing issued."""

import contextlib
import hashlib
import json
import socket
from pathlib import Path

from tests.office import Office, run

COUNT = 6


def office(folder: Path, seconds: int) -> Office:
    """One whose batches stay open for so long."""
    made = Office.create(folder)
    settings = made.folder / "kakuin.toml"
    text = settings.read_text()
    assert "# seconds = 1.0" in text
    settings.write_text(text.replace("# seconds = 1.0", f"seconds = {seconds}.0"))
    made.start()
    return made


def let_in(office: Office, number: int) -> socket.socket:
    """A request that the service has begun to answer: it asked for the body, and then it was sent."""
    body = hashlib.sha256(b"reading %d" % number).hexdigest().encode()
    client = socket.create_connection(("127.0.0.1", office.port), 30)
    head = f"POST /v1/batches/current HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    client.sendall(head.encode())
    assert client.recv(100).startswith(b"HTTP/1.1 100")
    client.sendall(body)
    return client


def whole(client: socket.socket) -> tuple[bytes, bytes]:
    """Status line and body of an answer with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < length:
        body += client.recv(1 << 16)
    return head.split(b"\r\n")[0], body


def tokens(office: Office) -> int:
    lines = run("log", "list", "--instance", office.folder, "--json").stdout.decode().splitlines()
    return sum(json.loads(line)["kind"] == "token" for line in lines)


def test_an_orderly_end_answers_all_who_were_let_in(tmp_path: Path) -> None:
    slow, out = office(tmp_path / "instance", seconds=3), tmp_path / "out"
    out.mkdir()
    clients = [let_in(slow, number) for number in range(COUNT)]
    slow.stop()
    for number, client in enumerate(clients):
        with client:
            status, record = whole(client)
        assert status == b"HTTP/1.1 200 OK"
        (out / str(number)).write_bytes(b"reading %d" % number)
        (out / f"{number}.ers").write_bytes(record)
    assert run("verify", out, "--trust", slow.root).stdout.decode().splitlines()[-1] == f"{COUNT} files: VALID {COUNT}"
    assert 1 <= tokens(slow) < COUNT  # one, unless the machine was so busy that a batch closed in between


def test_a_process_that_dies_has_issued_nothing_of_its_open_batch(tmp_path: Path) -> None:
    slow = office(tmp_path / "instance", seconds=20)
    clients = [let_in(slow, number) for number in range(COUNT)]
    slow.kill()
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert tokens(slow) == 0
