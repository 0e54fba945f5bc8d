"""A PostgreSQL of the test's own: made by initdb in a temporary folder, reached over a Unix socket alone, gone afterwards."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.services import absent

USER = "kakuin"
_CONFIGURATION = """
listen_addresses = ''
max_connections = 60
shared_buffers = 32MB
fsync = on
log_min_messages = warning
"""


def binaries() -> Path:
    """The folder with initdb and postgres; skips, or fails where everything is required."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    beside = shutil.which("initdb")
    if not found and beside is None:
        absent("postgresql")
    return found[-1].parent if found else Path(str(beside)).parent


def account() -> dict[str, str | int]:
    """PostgreSQL refuses to run as root: there it gets the account that its package makes, or nobody's."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid}


class Cluster:
    """One server. Not in pytest's folder, whose long path is too much for a socket's name, and whose permissions keep others out."""

    def __init__(self, disk: int = 0) -> None:
        """`disk`: bytes of a disk of its own that databases lie on, and nothing else of the server; only where `has_disks`."""
        self._disk = disk
        self._binaries = binaries()
        self._account = account()
        self.folder = Path(tempfile.mkdtemp(prefix="kakuin-pg-"))
        self.process: subprocess.Popen[bytes] | None = None
        self._made = 0
        if self._account:
            os.chown(self.folder, int(self._account["user"]), int(self._account["group"]))
        self.folder.chmod(0o755)
        if disk:
            (self.folder / "small").mkdir()
        data = self.folder / "data"
        self._run("initdb", "--pgdata", data, "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{_CONFIGURATION}unix_socket_directories = '{self.folder}'\n")

    def _run(self, name: str, *args: str | Path) -> "subprocess.CompletedProcess[bytes]":
        done = subprocess.run(
            [self._binaries / name, *map(str, args)], capture_output=True, check=False, cwd=self.folder, env=self._env, **self._account
        )
        if done.returncode:
            raise AssertionError(f"{name} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
        return done

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

    def start(self) -> None:
        command: list[str | Path] = [self._binaries / "postgres", "-D", self.folder / "data"]
        account = self._account
        if self._disk:  # which only this server sees
            uid, gid = account["user"], account["group"]
            mount = f'mount -t tmpfs -o size={self._disk},uid={uid},gid={gid},mode=700 tmpfs "{self.folder / "small"}"'
            become = f"exec setpriv --reuid={uid} --regid={gid} --clear-groups"
            command, account = ["unshare", "--mount", "sh", "-c", f'{mount} && {become} "$@"', "sh", *command], {}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=self._env, start_new_session=True, **account)
        deadline = time.monotonic() + 60
        asking = [self._binaries / "pg_isready", "-q", "-h", self.folder, "-U", USER, "-d", "postgres"]
        while subprocess.run(asking, check=False, env=self._env).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not answer"
            time.sleep(0.05)
        if self._disk:
            self.sql(f"create tablespace small location '{self.folder / 'small'}'")

    @property
    def disk(self) -> Path:
        """As the server sees it."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self.folder / 'small'}")

    def stop(self, *, how: str = "fast") -> None:
        """`fast` ends every session; `immediate` ends as a power cut does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, {"fast": 2, "immediate": 3}[how])
            self.process.wait(60)
            self.process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server and its sessions do nothing, and end nothing."""
        assert self.process is not None
        first = self.process.pid
        every = (first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split()))
        for each in every:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in every:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGCONT)

    def sql(self, statement: str, database: str = "postgres") -> str:
        command = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", USER, "-d", database, "-c", statement]
        return self._run("psql", *command).stdout.decode().strip()

    def reload(self, name: str, expected: str) -> None:
        """Have the server read its settings again; returns when the setting `name` is as expected."""
        self.sql("select pg_reload_conf()")
        deadline = time.monotonic() + 30
        while self.sql(f"show {name}") != expected:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def database(self, template: str = "template1") -> str:
        """The address of a new database: empty, or like the one of that name, to which nobody is connected."""
        self._made += 1
        name = f"kakuin_{self._made}"
        self.sql(f"create database {name} template {template}{' tablespace small' if self._disk else ''}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def remove(self) -> None:
        self.stop(how="immediate")  # nothing of it is wanted any more
        shutil.rmtree(self.folder, ignore_errors=True)


def has_disks() -> bool:
    """Whether a server can get a disk of its own: by root, in a mount namespace."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        return False
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def cluster(disk: int = 0) -> Iterator[Cluster]:
    made = Cluster(disk)
    try:
        made.start()
        yield made
    finally:
        made.remove()
