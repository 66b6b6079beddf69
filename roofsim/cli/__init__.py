"""The command line. Each module beside this one holds one command and is imported when it is used."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from roofsim.cli._click import Group, click
from roofsim.foundation.errors import InputError, nearest, shortened
from roofsim.foundation.version import __version__
from roofsim.foundation.writing import together

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FOLDER = os.path.dirname(__file__)

LISTING = "roofsim.listing"
"""Set in a context while commands are only listed."""

ASKED = "_ROOFSIM_COMPLETE"
"""What a shell that asks for completions has in the environment."""


class Problem(click.ClickException):
    """What the user gave cannot be used."""

    exit_code = 2


class Interrupted(click.ClickException):
    """The user has seen enough: exits as programs do that Ctrl-C ends."""

    exit_code = 128 + signal.SIGINT

    def __init__(self) -> None:
        super().__init__("interrupted")


class Commands(Group):
    """Commands found by listing this folder; a typo gets suggestions."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Words that are no text could neither be printed nor written to a file."""
        for each in args:
            try:
                each.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"'{each}' is no text (UTF-8 is expected)", ctx) from None
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; for the list of commands its first line is enough."""
        module = modules().get(cmd_name)
        if module is None:
            return None
        if ctx.meta.get(LISTING):
            return click.Command(cmd_name, short_help=summary(module))
        command: click.Command = import_module(f"roofsim.cli.{module}").command
        command.name = cmd_name
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Help of the program itself, without importing the commands."""
        ctx.meta[LISTING] = True
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands with their summaries, and options."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=summary(m)) for n, m in modules().items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but with the nearest names in the message."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = nearest(args[0], modules())
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(error.message + hint, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our own errors become a message and exit code 2."""
        try:
            with together() as files:
                try:
                    return super().invoke(ctx)
                except (click.exceptions.Exit, BrokenPipeError):  # all is written, whether or not all was looked at
                    files.appear()
                    raise
        except InputError as error:
            raise Problem(str(error)) from None
        except click.UsageError as error:
            error.message = shortened(error.message)  # type: ignore[misc]  # final by name, not in fact
            raise
        except KeyboardInterrupt:
            raise Interrupted from None


@cache
def modules() -> Mapping[str, str]:
    """Every command and the module that holds it."""
    files = sorted(name.removesuffix(".py") for name in os.listdir(FOLDER) if name.endswith(".py") and name[0] != "_")
    return {name.rstrip("_").replace("_", "-"): name for name in files}


def summary(module: str) -> str:
    """What a command is for: the first line of its module's docstring."""
    with open(os.path.join(FOLDER, f"{module}.py"), encoding="utf-8") as file:
        return file.readline().strip().strip('"')


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="roofsim")
def group() -> None:
    """Predict time, memory and energy of language-model inference, and where one model overtakes another.

    \b
    Example: roofsim crossover --device orin
    """


def main() -> None:
    """The program; exit codes: 0 done, 2 wrong input, 1 a defect of ours."""
    # pydantic would look through all installed packages for plugins, which takes longer than a prediction
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if ASKED in os.environ:
        import roofsim.cli._shells  # noqa: F401  (it registers how shells are answered)
    try:
        group(prog_name="roofsim")
    except OSError as error:
        # Python would flush what is left once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # else whoever read the output has seen enough
            where = f"{error.filename}: " if error.filename else "cannot write: "
            click.echo(f"roofsim: {shortened(where)}{error.strerror or error}", err=True)
            sys.exit(2)
    except Exception as error:
        if os.environ.get("ROOFSIM_DEBUG"):
            raise
        click.echo(
            f"roofsim: a defect of ours: {type(error).__name__}: {error}\n"
            "Run again with ROOFSIM_DEBUG=1 for the traceback, and report it with the command.",
            err=True,
        )
        sys.exit(1)
    finally:
        # at its end Python would look through all that is left once more, for a tenth of a command's time
        gc.freeze()
