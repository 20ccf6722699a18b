"""The command: its verbs, loaded only when they are called, and the one place where an error becomes an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any

import click

from hardtack.errors import Cancelled, HardtackError, InputError, UsageError
from hardtack.system.files import DiskFault
from hardtack.version import __version__

_interrupted = threading.Event()

_VERBS = {
    "build": ("hardtack.cli.build", "Make a wheelhouse from a project, proven complete for every target."),
    "lock": ("hardtack.cli.lock", "Choose versions and files for every target, and write them down."),
    "verify": ("hardtack.cli.verify", "Judge a folder of wheels, or an environment: every file, and completeness for every target."),
    "merge": ("hardtack.cli.merge", "Add to a wheelhouse what was made on other machines, and prove the whole."),
    "diff": ("hardtack.cli.diff", "Show what differs between two wheelhouses or locks."),
    "why": ("hardtack.cli.why", "Explain a package: who requires it, which file was taken and why no other, what would fill a gap."),
    "fix": ("hardtack.cli.fix", "Fill the gaps that can be filled: show the change of the lock, then build again."),
    "targets": ("hardtack.cli.targets", "Show the targets that hardtack knows, or what one name means."),
}


class _Verbs(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(_VERBS[name][0]).command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, words) for name, (_, words) in _VERBS.items()])

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], _VERBS, n=1)
            words = f" Did you mean '{near[0]}'?" if near else f" The verbs are {', '.join(_VERBS)}."
            raise click.UsageError(f"There is no verb '{args[0]}'.{words}")
        return super().resolve_command(context, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", message="hardtack %(version)s")
def command() -> None:
    """Provision Python for hosts without a package index.

    From what a project already has, make a wheelhouse for every target, prove that nothing is missing, and only then carry it.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 (done and proven), 1 (a finding or a failure), 2 (usage), or 130 (interrupted)."""
    _mend_streams()
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`hardtack ... | head`): not our failure, and nothing more can be said.
        code = 1
    except OSError as error:
        print(f"error: standard output cannot be written: {error.strerror or error}", file=sys.stderr)
        code = 1
    else:
        try:
            sys.stderr.flush()
        except OSError:
            # Nor has it: the interpreter would make an exit code of its own of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        return code
    # What is left in the buffer has nowhere to go: the interpreter's own flush at its end must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _mend_streams() -> None:
    """Make printing safe: a stream that was closed before we began leads nowhere, a letter that it cannot write is escaped."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lives as long as we do
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(args: list[str]) -> int:
    from hardtack.cli.reports import form_of, show_error

    form = form_of(args)
    try:
        code = command.main(args, prog_name="hardtack", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        if form == "human":
            error.show(sys.stderr)
        else:
            show_error(UsageError(error.format_message()), form)
        return 2
    except (KeyboardInterrupt, click.Abort):
        show_error(Cancelled("interrupted"), form)
        return 130
    except HardtackError as error:
        # What was stopped may fail in words of its own (a child that was ended, a file that is not whole).
        told = Cancelled("interrupted") if _interrupted.is_set() else error
        show_error(told, form)
        return told.exit_code
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF):
            raise  # standard output
        # Python wraps what interrupts the making of a class, in the midst of an import.
        unforeseen = Cancelled("interrupted") if _interrupted.is_set() else _unforeseen(error)
        show_error(unforeseen, form)
        return unforeseen.exit_code
    return int(code or 0)


def _unforeseen(error: Exception) -> HardtackError:
    """What no room gave words of its own to: the system's refusals as they are, anything else as the fault of ours that it is."""
    if os.environ.get("HARDTACK_TRACEBACK"):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.filename is not None:
        return DiskFault(error.strerror or str(error), where=os.fsdecode(error.filename))
    if isinstance(error, RecursionError):
        return InputError("something that was given is nested too deeply to be read", hint="HARDTACK_TRACEBACK=1 shows where it is read")
    return HardtackError(
        f"a fault in hardtack itself: {type(error).__name__}: {error}",
        hint="please report it, with what HARDTACK_TRACEBACK=1 in the environment shows",
    )


def interruptible(stop: Any) -> None:
    """SIGINT and SIGTERM cancel ``stop`` and interrupt the main thread; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        return

    def handle(_number: int, _frame: object) -> None:
        if stop.cancelled:
            os._exit(130)
        _interrupted.set()
        threading.Thread(target=stop.cancel, daemon=True).start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, handle)
