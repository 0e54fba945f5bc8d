"""Confined work: values cross, limits hold, what comes back is a stranger's."""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.services import REQUIRED
from trust.algorithms import Algorithm
from trust.edge import landlock, wire
from trust.edge.sandbox import Sandbox
from trust.errors import KakuinError, Malformed, Misconfigured, NotFound, TooLarge, Unacceptable, Unavailable
from trust.model import Cert, Crl, Digest, Document, Evidence, Form, Reference, Scope, SignerReference
from trust.ports import Status
from verifier.policy import load

HERE = "tests.unit.test_sandbox"
ROOT = Path(__file__).resolve().parents[2]


# --- what the children do -----------------------------------------------------------------------------------------------------------------


@dataclass
class Stranger:
    """A dataclass that is not the house's."""


def echo(*values: object) -> object:
    return values


def read_document(document: Document) -> tuple[str | None, int, bytes]:
    with document.open() as first, document.open() as second:
        second.seek(3)
        return document.name, len(first.read()), second.read(4)


def write_file(target: BinaryIO, data: bytes) -> int:
    return target.write(data)


def seal(data: bytes, *, sign: "object", status: "object") -> tuple[bytes, int]:
    return sign(data), len(status().crls)  # type: ignore[operator]


def ask_twice(*, lookup: "object") -> str:
    try:
        lookup("absent")  # type: ignore[operator]
    except NotFound as error:
        return f"went on: {error}"
    return "found"


def refuse() -> None:
    raise Unacceptable("level is one of B-B, B-T, got B-X")


def stumble() -> None:
    raise KeyError("the input's own words")


def devour() -> int:
    return len(bytearray(1 << 30))


def spin() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(60)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def recurse() -> object:
    return recurse()


def chatter(*, ask: "object") -> None:
    while True:
        ask()  # type: ignore[operator]


def shout() -> bytes:
    return bytes(1 << 21)


def surroundings() -> tuple[dict[str, str], tuple[str, ...]]:
    return dict(os.environ), tuple(sorted(descriptors().values()))


def descriptors() -> dict[int, str]:
    folder = Path("/proc/self/fd")
    return {n: str((folder / str(n)).readlink()) for n in range(256) if (folder / str(n)).is_symlink()}


def taken_over(frame: bytes, *, sign: object) -> None:
    """A child in a stranger's hands: it writes to the parent what it likes."""
    for number, name in descriptors().items():
        if "socket" in name:
            os.write(number, frame)
    os._exit(0)


def reach(path: str) -> bytes:
    return Path(path).read_bytes()


def write_to(path: str) -> int:
    return Path(path).write_bytes(b"x")


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), 1).close()


def signal_to(pid: int) -> None:
    os.kill(pid, 0)


def execute() -> int:
    return subprocess.run(["/bin/true"]).returncode


def process() -> int:
    return os.getpid()


LEARNT: list[str] = []


def learn(*known: Cert | Crl) -> list[str]:
    LEARNT.extend(f"{type(one).__name__} of {len(one.der)}" for one in known)
    return ["an example"]


def learn_more(examples: list[str]) -> list[str]:
    LEARNT.extend(examples)
    return examples


def learn_nothing(examples: list[str]) -> list[str]:
    raise KeyError(*examples)


def learnt() -> tuple[str, ...]:
    return tuple(LEARNT)


def import_lazily() -> str:
    import wave

    return wave.__name__


# --- tests --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[0, 2], ids=["made for its job", "waiting for a job"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    waiting: int = request.param
    with Sandbox([HERE], memory_bytes=256 << 20, seconds=1.0, jobs=4, answer_bytes=1 << 20, waiting=waiting) as made:
        made.start()
        yield made


VALUES = (
    *(None, True, False, 0, -1, 2**62, -(2**63), 2**200, -(2**200), 1.5, "", "角印", b"", b"\x00\xff"),
    *([], [1, [2]], (1,), {1, 2}, frozenset({b"a"}), {"a": (1, None)}),
    datetime(2026, 11, 21, 1, 2, 3, 456, tzinfo=UTC),
    *(Form.PADES, Scope.PARTIAL, Algorithm("ecdsa", "sha256"), Digest("sha256", bytes(32)), Cert(b"not even DER"), Status(crls=(Crl(b"x"),))),
    *(Reference("a.pdf", found=True, intact=False), SignerReference(1, digest_matches=True)),
    Path("/tmp/x"),
    Evidence("PDF", certs=frozenset({Cert(b"1")})),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_values_come_back_as_they_were(value: object) -> None:
    back = wire.decode(wire.encode(value))
    assert back == value
    assert type(back) is type(value) or isinstance(value, Path)


def test_an_error_keeps_its_class_and_loses_control_characters() -> None:
    back = wire.decode(wire.encode(NotFound("no such\x1b[31m\nthing" + "x" * 1000)))
    assert type(back) is NotFound
    assert str(back).startswith("no such?[31m?thing")
    assert len(str(back)) == 500


@pytest.mark.parametrize(
    "value", [object(), datetime(2026, 1, 1), lambda: 1, os, int], ids=["an object", "a time without zone", "a function", "a module", "a class"]
)
def test_what_is_no_value_does_not_cross(value: object) -> None:
    with pytest.raises(Malformed):
        wire.encode(value)


def counted(tag: bytes, data: bytes) -> bytes:
    return tag + struct.pack(">Q", len(data)) + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"?",
        b"NN",
        b"l" + struct.pack(">Q", 2**63),
        b"s" + struct.pack(">Q", 5) + b"abc",
        counted(b"s", b"\xff"),
        b"m" + struct.pack(">q", 2**63 - 1),
        counted(b"n", b"trust.model:Form") + counted(b"s", b"NoForm"),
        counted(b"n", b"os:system") + counted(b"s", b"id"),
        counted(b"n", b"trust.model:Digest") + b"N",
        counted(b"o", b"subprocess:Popen") + struct.pack(">Q", 0),
        counted(b"o", b"trust.edge.sandbox:subprocess") + struct.pack(">Q", 0),
        counted(b"o", b"trust.edge.sandbox:Sandbox") + struct.pack(">Q", 0),
        counted(b"o", b"tests.unit.test_sandbox:Stranger") + struct.pack(">Q", 0),
        counted(b"o", b"trust.edge.wire:Digest") + struct.pack(">Q", 2) + wire.encode("algorithm") * 2 + wire.encode("value") * 2,
        counted(b"o", b"trust.model:utc") + struct.pack(">Q", 0),
        counted(b"o", b"trust.nothing:Here") + struct.pack(">Q", 0),
        # It would read a stranger's XML where the keys are.
        counted(b"o", b"eseal.formats.xades.extend:Sheet") + struct.pack(">Q", 1) + wire.encode("data") + wire.encode(b"<x/>"),
        counted(b"o", b"trust.model:Digest") + struct.pack(">Q", 0),
        b"x" + counted(b"s", b"Document") + b"b" + struct.pack(">Q", 0),
        b"x" + counted(b"s", b"Cert") + counted(b"s", b"text"),
        b"h" + struct.pack(">Q", 0) + b"F",
        b"D" + b"N" * 5,
        b"d" + struct.pack(">Q", 1) + b"l" + struct.pack(">Q", 0) + b"N" * 2,
    ],
)
def test_a_strangers_bytes_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        wire.decode(data)


def test_a_policy_crosses_as_one() -> None:
    """Encoded and read once, as long as it is the same."""
    policy = load("strict")
    data = wire.encode((policy, [policy], "beside"))
    first, [second], beside = wire.decode(data)
    assert first == second == policy
    assert first is wire.decode(data)[0]
    assert beside == "beside"
    assert wire.decode(wire.encode(policy)) == policy


def test_what_is_too_large_to_be_kept_crosses_like_anything_else() -> None:
    policy = replace(load("strict"), description="x" * wire.LARGEST_AS_ONE)
    assert wire.decode(wire.encode([policy])) == [policy]
    kept = b"k" + struct.pack(">Q", wire.LARGEST_AS_ONE + 1) + bytes(wire.LARGEST_AS_ONE + 1)
    with pytest.raises(TooLarge, match="over 65536 bytes"):
        wire.decode(kept)


@pytest.mark.parametrize("inside", [b"N", wire.encode("text"), wire.encode(load("strict")) + b"N", b""], ids=["nothing", "text", "more", "empty"])
def test_what_is_kept_is_one_value_of_those_that_may_be(inside: bytes) -> None:
    with pytest.raises(Malformed):
        wire.decode(b"k" + struct.pack(">Q", len(inside)) + inside)


def test_what_is_kept_cannot_be_nested_without_end() -> None:
    data = b"N"
    for _ in range(2000):
        data = b"k" + struct.pack(">Q", len(data)) + data
    with pytest.raises(TooLarge, match="nested"):
        wire.decode(data)


def test_depth_is_capped_on_both_sides() -> None:
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(TooLarge):
        wire.encode(deep)
    with pytest.raises(TooLarge):
        wire.decode((b"l" + struct.pack(">Q", 1)) * 100_000 + b"N")


def test_a_job_returns_what_it_got(sandbox: Sandbox) -> None:
    crossing = tuple(v for v in VALUES if v is not None)
    assert sandbox.run(f"{HERE}:echo", *crossing) == crossing


def test_a_document_crosses_as_its_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"0123456789" * 100_000)
    document = Document("a.bin", 1_000_000, lambda: file.open("rb"))
    assert sandbox.run(f"{HERE}:read_document", document, returns=tuple) == ("a.bin", 1_000_000, b"3456")
    assert sandbox.run(f"{HERE}:read_document", Document.of(b"0123456", "b")) == ("b", 7, b"3456")


def test_a_document_comes_back_as_what_is_known_of_it(sandbox: Sandbox) -> None:
    document = Document.of(b"abc", "a")
    digest = document.digest("sha256")
    (back,) = sandbox.run(f"{HERE}:echo", Document("a", 3, None, (digest,) if digest else ()))
    assert (back.name, back.size, back.readable, back.known) == ("a", 3, False, (digest,))


def test_a_job_writes_into_a_file_of_the_parents(sandbox: Sandbox, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as stream:
        assert sandbox.run(f"{HERE}:write_file", stream, b"sealed") == 6
    assert (tmp_path / "out").read_bytes() == b"sealed"


def test_calls_are_served_by_the_parent(sandbox: Sandbox) -> None:
    calls = {"sign": lambda data: b"signed " + data, "status": lambda: Status(crls=(Crl(b"1"), Crl(b"2")))}
    assert sandbox.run(f"{HERE}:seal", b"this", calls=calls) == (b"signed this", 2)


def test_an_error_of_a_call_reaches_the_child(sandbox: Sandbox) -> None:
    def lookup(name: str) -> str:
        raise NotFound(f"{name} is not here")

    assert sandbox.run(f"{HERE}:ask_twice", calls={"lookup": lookup}) == "went on: absent is not here"


def test_a_fault_of_a_call_ends_the_job(sandbox: Sandbox) -> None:
    def lookup(name: str) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sandbox.run(f"{HERE}:ask_twice", calls={"lookup": lookup})


@pytest.mark.parametrize(
    ("job", "kind", "text"),
    [
        ("refuse", Unacceptable, "level is one of B-B, B-T, got B-X"),
        ("devour", TooLarge, "memory"),
        ("spin", TooLarge, "1 seconds of processor time|took over 4 seconds"),  # the other where the machine has no second to spare
        ("crash", Malformed, "SIGSEGV"),
        ("recurse", TooLarge, "nested too deeply"),
        ("shout", TooLarge, "answer is over 1048576 bytes"),
    ],
)
def test_each_end_has_its_line(sandbox: Sandbox, job: str, kind: type[KakuinError], text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        sandbox.run(f"{HERE}:{job}")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_job_that_only_waits_is_ended_too() -> None:
    with Sandbox([HERE], seconds=0.1) as hasty:
        hasty.start()
        begun = time.monotonic()
        with pytest.raises(TooLarge, match=r"over 0\.4 seconds"):
            hasty.run(f"{HERE}:sleep")
        assert time.monotonic() - begun < 5
        assert gone(children(hasty))


def children(sandbox: Sandbox) -> list[str]:
    assert sandbox._process is not None
    pid = sandbox._process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def gone(pids: list[str]) -> bool:
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_job_sees_nothing_of_the_jobs_beside_it() -> None:
    with Sandbox([HERE], seconds=0.2, jobs=2) as both:
        both.start()

        def one() -> None:
            with pytest.raises(TooLarge):
                both.run(f"{HERE}:sleep")

        thread = threading.Thread(target=one)
        thread.start()
        while not children(both):
            time.sleep(0.01)
        _, files = both.run(f"{HERE}:surroundings")
        thread.join()
    assert not [name for name in files if name.startswith("pipe:")]


def ready(sandbox: Sandbox, count: int, gone: "set[int] | frozenset[int]" = frozenset()) -> set[int]:
    """Children that wait, once there are so many, nobody else, and none of those that are to be gone."""
    deadline = time.monotonic() + 20
    while (len(there := set(map(int, children(sandbox)))) != count or there & gone) and time.monotonic() < deadline:
        time.sleep(0.01)
    return there


def test_each_job_has_a_child_of_its_own_that_was_there_before() -> None:
    with Sandbox([HERE], waiting=2, jobs=1) as fresh:
        fresh.start()
        seen: set[int] = set()
        for _ in range(3):
            waiting = ready(fresh, 2, seen)
            assert len(waiting) == 2
            assert not waiting & seen  # who had a job has ended
            taken = fresh.run(f"{HERE}:process")
            assert taken in waiting
            seen.add(taken)


def test_who_dies_waiting_is_no_documents_fault() -> None:
    with Sandbox([HERE], waiting=2, jobs=1) as fresh:
        fresh.start()
        first = ready(fresh, 2)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        assert gone([str(pid) for pid in first])
        for number in range(4):
            assert fresh.run(f"{HERE}:echo", number) == (number,)
        assert len(ready(fresh, 2) - first) == 2


def test_a_waiting_child_holds_nothing_of_the_others() -> None:
    with Sandbox([HERE], waiting=3, jobs=1) as fresh:
        fresh.start()
        ready(fresh, 3)
        environment, files = fresh.run(f"{HERE}:surroundings")
        assert set(environment) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}
        assert len([name for name in files if name.startswith("socket:")]) == 1
        assert not [name for name in files if name.startswith("pipe:")]


def test_the_waiting_end_with_the_sandbox() -> None:
    fresh = Sandbox([HERE], waiting=3)
    fresh.start()
    there = ready(fresh, 3)
    fresh.close()
    assert gone([str(pid) for pid in there])


def test_only_a_service_has_children_that_wait() -> None:
    """What a command needs once, it does not prepare."""
    with Sandbox([HERE], waiting=2, rehearsal=[f"{HERE}:learn"]) as fresh:
        assert fresh.run(f"{HERE}:learnt") == ()
        assert ready(fresh, 0) == set()


def test_what_is_rehearsed_is_there_when_a_job_comes() -> None:
    known = (Cert(b"12"), Crl(b"345"), Crl(bytes(50_000)))  # the last one is too large to be known
    rehearsal, again = [f"{HERE}:learn", f"{HERE}:learn_more"], [f"{HERE}:learn_more", f"{HERE}:learn_more"]
    learnt = ("Cert of 2", "Crl of 3", "an example")
    with Sandbox([HERE], rehearsal=rehearsal, known=lambda: known) as fresh:
        fresh.start()
        assert fresh.run(f"{HERE}:learnt") == learnt
    with Sandbox([HERE], rehearsal=rehearsal, again=again, waiting=1, known=lambda: known) as fresh:
        fresh.start()
        ready(fresh, 1)
        # How far it came before its job did is a matter of time.
        assert fresh.run(f"{HERE}:learnt") in {learnt + ("an example",) * more for more in range(3)}


def test_a_rehearsal_that_fails_keeps_nobody_from_work(capfd: pytest.CaptureFixture[str]) -> None:
    for rehearsal, again in (([f"{HERE}:learn", f"{HERE}:learn_nothing"], []), ([f"{HERE}:learn"], [f"{HERE}:learn_nothing"])):
        with Sandbox([HERE], rehearsal=rehearsal, again=again, waiting=1) as fresh:
            fresh.start()
            for number in range(3):
                assert fresh.run(f"{HERE}:echo", number) == (number,)
    assert "KeyError" in capfd.readouterr().err  # the operator's log says so


def test_a_fault_is_logged_by_place_and_not_by_input(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KakuinError) as caught:
        sandbox.run(f"{HERE}:stumble")
    assert type(caught.value) is KakuinError
    assert "KeyError at test_sandbox.py:" in caplog.text
    assert "own words" not in caplog.text + str(caught.value)


def test_a_child_that_leaves_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(KakuinError):
        sandbox.run(f"{HERE}:leave")


def test_calls_are_counted(sandbox: Sandbox) -> None:
    with pytest.raises(TooLarge, match="calls"):
        sandbox.run(f"{HERE}:chatter", calls={"ask": lambda: None})


def test_a_child_sees_no_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_DATABASE_URL", "postgresql://u:geheim@host/db")
    with Sandbox([HERE]) as fresh:
        environment, files = fresh.run(f"{HERE}:surroundings")
        assert fresh._process is not None
        initial = Path(f"/proc/{fresh._process.pid}/environ").read_text()
    assert "KAKUIN_DATABASE_URL" not in environment
    assert "geheim" not in initial
    assert set(environment) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}
    assert sum("socket" in name for name in files) == 1
    assert not [name for name in files if not name.startswith(("socket:", "/dev/null", "/proc/"))]


def framed(value: object) -> bytes:
    data = wire.encode(value)
    return struct.pack(">Q", len(data)) + data


FRAMES = {
    "not a frame": b"\xff" * 64,
    "huge": struct.pack(">Q", 1 << 60),
    "nothing known": struct.pack(">Q", 1) + b"N",
    "another's call": framed(("call", "os.system", ("id",))),
    "a lie about the type": framed(("done", "a verdict")),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_child_in_strangers_hands_gets_nowhere(sandbox: Sandbox, frame: bytes) -> None:
    with pytest.raises((Malformed, TooLarge)):
        sandbox.run(f"{HERE}:taken_over", frame, calls={"sign": echo}, returns=Evidence)


def test_jobs_run_side_by_side_up_to_the_limit() -> None:
    with Sandbox([HERE], seconds=0.3, jobs=2) as small:
        small.start()
        ends: list[str] = []

        def one() -> None:
            try:
                small.run(f"{HERE}:sleep")
            except KakuinError as error:
                ends.append(type(error).__name__)

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ends) == ["TooLarge", "TooLarge", "Unavailable"]


def test_a_killed_server_is_started_again() -> None:
    with Sandbox([HERE]) as fresh:
        assert fresh.run(f"{HERE}:echo", 1) == (1,)
        server = fresh._process
        assert server is not None
        server.kill()
        server.wait()
        assert fresh.run(f"{HERE}:echo", 2) == (2,)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_ends_the_service_does_not_end_work_in_flight(number: signal.Signals) -> None:
    """A supervisor signals all processes of the service at once."""
    with Sandbox([HERE]) as fresh:
        fresh.start()
        server = fresh._process
        assert server is not None
        ignored = next(line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("SigIgn"))
        assert int(ignored.split()[1], 16) >> (number - 1) & 1
        server.send_signal(number)
        assert fresh.run(f"{HERE}:echo", 1) == (1,)
        assert fresh._process is server and server.poll() is None


def test_the_children_die_with_the_sandbox() -> None:
    fresh = Sandbox([HERE])
    fresh.start()
    ends: list[KakuinError] = []

    def one() -> None:
        try:
            fresh.run(f"{HERE}:sleep")
        except KakuinError as error:
            ends.append(error)

    thread = threading.Thread(target=one)
    thread.start()
    time.sleep(0.2)
    there = children(fresh)
    fresh.close()
    thread.join()
    assert there
    assert [type(end) for end in ends] == [Unavailable]
    assert gone(there)


def test_imports_that_fail_are_told_once() -> None:
    with Sandbox(["trust.does_not_exist"]) as broken, pytest.raises(Misconfigured, match=r"trust\.does_not_exist"):
        broken.start()


def test_many_files_are_refused(sandbox: Sandbox) -> None:
    with open(os.devnull, "rb") as stream, pytest.raises(TooLarge, match="at most 200 files"):
        sandbox.run(f"{HERE}:echo", [stream] * 201)


def test_no_gaining_of_rights(sandbox: Sandbox) -> None:
    assert sandbox.run(f"{HERE}:new_privileges") == 1


def new_privileges() -> int:
    return int(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS


def test_times_cross_to_the_microsecond() -> None:
    moment = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)
    assert wire.decode(wire.encode(moment)) == moment


needs_landlock = pytest.mark.skipif(not landlock.version() and not REQUIRED, reason="this kernel has no Landlock")


@needs_landlock
def test_a_child_opens_nothing_but_code_and_what_it_was_given(sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The instance's folder, this process's memory and environment, other people's files: a child in a stranger's hands reaches none of them."""
    secret = tmp_path / "passphrase"
    secret.write_bytes(b"swordfish")
    for place in (str(secret), f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/mem", "/etc/passwd", str(ROOT / "pyproject.toml")):
        with pytest.raises(KakuinError):
            sandbox.run(f"{HERE}:reach", place)
        assert "PermissionError" in caplog.text, place
        caplog.clear()
    for place in (tmp_path / "new", Path("/tmp") / f"kakuin-{os.getpid()}", secret):
        with pytest.raises(KakuinError):
            sandbox.run(f"{HERE}:write_to", str(place))
    assert secret.read_bytes() == b"swordfish"
    assert list(tmp_path.iterdir()) == [secret]
    assert sandbox.run(f"{HERE}:import_lazily") == "wave"


@needs_landlock
def test_a_child_reaches_no_network_no_program_and_no_process(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        jobs: dict[str, tuple[object, ...]] = {"connect": (server.getsockname()[1],), "execute": (), "signal_to": (os.getpid(),)}
        for job, args in jobs.items():
            with pytest.raises(KakuinError):
                sandbox.run(f"{HERE}:{job}", *args)
            assert "PermissionError" in caplog.text, job
            caplog.clear()


def test_a_file_without_a_name_crosses_too(sandbox: Sandbox) -> None:
    with tempfile.TemporaryFile() as stream:
        stream.write(b"0123456789")
        stream.flush()
        document = Document("spooled", 10, lambda: Path(f"/proc/self/fd/{stream.fileno()}").open("rb"))  # noqa: SIM115
        assert sandbox.run(f"{HERE}:read_document", document) == ("spooled", 10, b"3456")


@pytest.mark.parametrize("name", ["small.p7s", "small.pdf"])
def test_a_small_file_takes_little_memory_whatever_the_limit_of_its_format(name: str, tmp_path: Path) -> None:
    """The largest that a reader takes is no measure of what it allocates: an instance's limit of memory is below that."""
    from verifier.question import Question
    from verifier.service import Verifier

    file = tmp_path / name
    file.write_bytes(b"%PDF-1.7\n%%EOF\n" if name.endswith(".pdf") else b"\x30\x03\x06\x01\x2a")
    document = Document(name, file.stat().st_size, lambda: file.open("rb"))
    question: Question = Verifier(lambda: datetime(2026, 1, 1, tzinfo=UTC)).question(document)
    with Sandbox(("verifier.service", "verifier.formats.pades", "verifier.formats.cades"), memory_bytes=256 << 20) as confined:
        try:
            confined.run("verifier.service:brief", question, returns=dict)
        except TooLarge as error:
            pytest.fail(str(error))
        except KakuinError:
            pass  # it is no signature
