"""Run gantools as if on Windows, as far as its own modules can see: ``python windows.py ARGUMENT…``.

Modules of gantools are given an ``os``, ``sys``, ``signal``, ``socket`` and ``mmap`` without what Windows lacks, and no
``fcntl``; folders cannot be opened, and only what is open for writing can be synced. Other libraries see this computer.
"""

import builtins
import errno
import fcntl
import os
import runpy
import subprocess  # noqa: F401 - it would take itself for Windows' once there is an msvcrt
import sys
import types

MISSING = {
    "os": ("fork", "register_at_fork", "setsid", "memfd_create", "sysconf", "sysconf_names", "sched_getaffinity"),
    "signal": ("SIGHUP", "SIGPIPE", "SIGCHLD", "SIGKILL", "setitimer", "ITIMER_REAL"),
    "socket": ("send_fds", "recv_fds", "AF_UNIX"),
    "mmap": ("MAP_SHARED", "MAP_POPULATE"),
    "sys": (),
}
ABSENT = ("fcntl", "resource", "pwd", "grp", "termios")


def open_file(path, flags, *rest, **named):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    return os.open(path, flags, *rest, **named)


def fsync(descriptor):
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    os.fsync(descriptor)


def rename(source, target):
    if os.path.exists(target):
        raise FileExistsError(errno.EEXIST, "File exists", target)
    os.rename(source, target)


def locking(descriptor, mode, _count):
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > 1 << 20  # a locked byte cannot be read by others
    fcntl.flock(descriptor, mode)


CHANGED = {
    "os": {"name": "nt", "open": open_file, "fsync": fsync, "rename": rename},
    "sys": {"platform": "win32"},
}


class Signals(dict):
    @property
    def __members__(self):
        return self


class Seen:
    """A module as it would look on Windows."""

    def __init__(self, module):
        object.__setattr__(self, "_module", module)

    def __getattr__(self, name):
        module = object.__getattribute__(self, "_module")
        if name in MISSING[module.__name__]:
            raise AttributeError(name)
        if (module.__name__, name) == ("signal", "Signals"):
            known = module.Signals.__members__.items()
            return Signals({key: one for key, one in known if key not in MISSING["signal"]})
        return CHANGED.get(module.__name__, {}).get(name, getattr(module, name))

    def __setattr__(self, name, value):
        setattr(object.__getattribute__(self, "_module"), name, value)


real_import = builtins.__import__


def imported(name, globals=None, locals=None, fromlist=(), level=0):
    module = real_import(name, globals, locals, fromlist, level)
    if str((globals or {}).get("__name__", "")).startswith("gantools"):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}")
        if name in MISSING:
            return Seen(module)
    return module


def main():
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB, locking=locking)
    builtins.__import__ = imported
    sys.argv[0] = "gantools"
    runpy.run_module("gantools", run_name="__main__")


if __name__ == "__main__":
    main()
