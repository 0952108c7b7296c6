"""The only printer: results to stdout, messages to stderr, one line per failure."""

from __future__ import annotations

import functools
import json
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TextIO, TypeVar

from gantools.errors import ConfigError, GantoolsError
from gantools.training.distributed import rank_info
from gantools.training.stopping import existing_signals

P = ParamSpec("P")
R = TypeVar("R")

SCHEMA = 1


class Settings:
    """What the global options set before the command runs."""

    debug = False
    quiet = False
    verbose = False
    color = True


def result(line: str, end: str = "\n") -> None:
    """Print one line of results on stdout."""
    sys.stdout.write(line + end)
    sys.stdout.flush()


def result_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout, as a line, with the schema's version."""
    result(json.dumps({"schema": SCHEMA, **value}, ensure_ascii=True))


def result_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what is known of something on stdout, as one JSON object or as YAML."""
    if as_json:
        result_json(facts)
        return
    import yaml

    plain = json.loads(json.dumps(facts))
    result(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100).rstrip())


def message(text: str) -> None:
    """Print a message on stderr; nothing under ``-q``."""
    if not Settings.quiet:
        _on_stderr(text)


def failure(text: str) -> None:
    """Report a failure: one line per problem, ``gantools: …``."""
    for line in text.splitlines():
        _on_stderr(f"gantools: {line}")


def _on_stderr(line: str) -> None:
    """Print one line on stderr. Where that is full the line is lost; results and exit code stay."""
    try:
        sys.stderr.write(line + "\n")
    except BrokenPipeError:
        raise
    except OSError:
        pass


def quoted(name: str) -> str:
    """A file name safe for one line of a terminal: control characters and undecodable bytes are escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: expected errors become one line and their exit code, Ctrl-C exits 130, a closed pipe is quiet.

    SIGTERM and SIGHUP end it as Ctrl-C does, so that it leaves no half files; a command may answer them itself.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        warnings.showwarning = _show_warning
        _end_in_order()
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            raise SystemExit(128 + getattr(signal, "SIGPIPE", 13)) from None
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None
        except (GantoolsError, OSError) as error:
            raise SystemExit(report(error)) from None
        except Exception:
            if _Ending.signal:  # raised within a library that makes another exception of it, as pydantic does
                raise SystemExit(128 + _Ending.signal) from None
            raise
        finally:
            _end_at_once()

    return run


def report(error: GantoolsError | OSError) -> int:
    """Print an error's line (or, under ``--debug``, its traceback) and return its exit code."""
    if Settings.debug:
        traceback.print_exception(error)
    problems = error.problems if isinstance(error, ConfigError) else [_text(error)]
    lines = [quoted(problem) for problem in problems]
    rank_info.write_error("\n".join(lines))
    if not rank_info.is_launched():  # else its launcher reports what ended first
        failure("\n".join(_by_rank(line) for line in lines))
    return error.exit_code if isinstance(error, GantoolsError) else 1


def _by_rank(line: str) -> str:
    """The line, prefixed by the rank unless that is 0."""
    rank = rank_info.current().rank
    return f"rank {rank}: {line}" if rank else line


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror
    return str(error)


class _Ending:
    """The signal that ends the program, once it came."""

    signal: int = 0


def _end_in_order() -> None:
    """Turn the signals that end a program into an exception, so that cleanup runs."""
    _Ending.signal = 0
    for number in existing_signals("SIGINT", "SIGTERM", "SIGHUP"):
        usual = signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
        if threading.current_thread() is threading.main_thread() and usual:
            signal.signal(number, _end)


def _end_at_once() -> None:
    """Give these signals back their usual effect: an exception would have no one to catch it while Python ends."""
    for number in existing_signals("SIGINT", "SIGTERM", "SIGHUP"):
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _end(number: int, frame: object) -> None:  # noqa: ARG001 - the signature is Python's
    _Ending.signal = number
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _warn(text: str) -> None:
    message(f"gantools: warning: {quoted(text)}")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 - the signature is Python's
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Our own warnings are one line on stderr; those of libraries are shown only under ``--debug``."""
    if category is UserWarning:
        _warn(str(message))
    elif Settings.debug:
        _on_stderr(f"{category.__name__}: {message}")
