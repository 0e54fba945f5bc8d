"""What workers do in the tests of trust.edge.crew: everything that may go wrong, by its name."""

import ctypes
import os
import signal
import time
from collections.abc import Callable


def worker(setup: bytes) -> Callable[[bytes], bytes]:
    """Answers with what was set up, the number of tasks so far, its process, and the task."""
    done = 0

    def work(task: bytes) -> bytes:
        nonlocal done
        done += 1
        match task.partition(b" ")[0]:
            case b"loop":
                while True:
                    pass
            case b"sleep":
                time.sleep(60)
            case b"slow":
                time.sleep(0.3)
            case b"crash":
                ctypes.string_at(0)
            case b"exit":
                os._exit(3)
            case b"kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"memory":
                return bytes(8 << 30)
            case b"large":
                return b"x" * (5 << 20)
        return b" ".join((setup, str(done).encode(), str(os.getpid()).encode(), task))

    return work


def broken(setup: bytes) -> Callable[[bytes], bytes]:
    raise RuntimeError("does not start")
