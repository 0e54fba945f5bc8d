"""Landlock (Linux 5.13, landlock(7)): a process gives up for good what it will not need. No privilege is asked for it."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls; the same numbers on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
# By version of the interface: which rights over files exist (execute, write, read, remove, make …), over TCP (bind, connect), and which scopes
# (abstract sockets, signals) can be closed.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_RIGHTS = {4: 0b11}
_SCOPES = {6: 0b11}


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _syscall(number: int, *args: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *args))


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    return max(_syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION)), 0) if os.name == "posix" else 0


def _at(table: dict[int, int], found: int) -> int:
    return table[max((v for v in table if v <= found), default=0)] if any(v <= found for v in table) else 0


def prepared(readable: Iterable[Path]) -> int | None:
    """The rules of `confine` without its files, as a descriptor: what takes time of it. None where the kernel cannot do it."""
    found = version()
    if not found:
        return None
    rights = _Ruleset(_at(_FILE_RIGHTS, found), _at(_TCP_RIGHTS, found), _at(_SCOPES, found))
    size = 24 if found >= 6 else 16 if found >= 4 else 8
    ruleset = _syscall(_CREATE_RULESET, ctypes.byref(rights), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return None
    for path in readable:
        _allow_path(ruleset, path)
    return ruleset


def confine(ruleset: int | None, files: Iterable[tuple[int, bool]]) -> bool:
    """From now on this process, and what it starts, opens nothing but what the `prepared` rules name, and `files` (descriptors; True: for writing
    too).

    It executes no program, reaches no TCP port, and neither signals nor traces a process outside. What is open already stays open. False where the
    kernel cannot do it. The caller has set no_new_privs. The rules are closed; where there are files, no other process has them.
    """
    if ruleset is None:
        return False
    try:
        for handle, writable in files:
            _allow(ruleset, handle, _READ_FILE | _WRITE_FILE if writable else _READ_FILE)
        return _syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: Path) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be readable
    try:
        _allow(ruleset, handle, _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE)
    finally:
        os.close(handle)


def _allow(ruleset: int, handle: int, rights: int) -> None:
    rule = _Beneath(rights, handle)
    _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))  # refused for pipes and the like, which need no rule


_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14


def kept_to(readable: Iterable[Path], folder: Path) -> bool:
    """`confine` for a process that writes files into one folder, and into no other. False where the kernel cannot do it."""
    found = version()
    rights = _Ruleset(_at(_FILE_RIGHTS, found), _at(_TCP_RIGHTS, found), _at(_SCOPES, found))
    size = 24 if found >= 6 else 16 if found >= 4 else 8
    ruleset = _syscall(_CREATE_RULESET, ctypes.byref(rights), ctypes.c_size_t(size), ctypes.c_uint32(0)) if found else -1
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow_path(ruleset, path)
        handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            within = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
            _allow(ruleset, handle, within & int(rights.files))
        finally:
            os.close(handle)
        return _syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)
