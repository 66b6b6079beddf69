"""Make the shell complete commands, names and fields at a TAB."""

from __future__ import annotations

import os
import shlex

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.reports.table import Column, Table, to_copy

FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/config.fish"}
"""What each shell reads when it starts."""


@click.command()
@click.argument("shell", required=False, type=t.Choice(list(FILES)))
@o.output_options
def command(shell: str | None, format_: str, output: str | None, quiet: bool) -> None:
    """Print the script by which SHELL completes; without SHELL, how each is told to read it.

    What completes: commands, options, names, modes after an @, the last of a list, words that an option takes, and the
    fields and values of --set.

    \b
    Example: roofsim completion
    """
    out = o.Output(format_, output, quiet)
    if shell is None:
        rows = [[each, file, switch(each)] for each, file in FILES.items()]
        columns = [Column("shell"), Column("file"), Column("command")]
        name = in_use()
        note = (
            f"Type the command for your shell{f' (this is {name})' if name else ''} once; shells started then complete."
        )
        shown = Table("Completion", columns[:2], [row[:2] for row in rows], [note, *(to_copy(row[2]) for row in rows)])
        data = [dict(zip(("shell", "file", "command"), row, strict=True)) for row in rows]
        out.write([shown], {"shells": data}, lambda: Table("", columns, rows))
        return
    from roofsim.cli._shells import script

    if format_ != "table":
        raise click.UsageError("a script has one form: leave out --format")
    if output is None:
        click.echo(script(shell), nl=False)
    else:
        writing.text(output, script(shell))
        out.say(f"wrote {output}")


def switch(shell: str) -> str:
    """The command that switches completion on for good: it adds a line to what the shell reads when it starts."""
    from roofsim.cli._shells import program

    asked = f"{program()} completion {shell}"
    line = f"{asked} | source" if shell == "fish" else f'eval "$({asked})"'
    return f"echo {shlex.quote(line)} >> {FILES[shell]}"


def in_use() -> str | None:
    """The shell of the user, if completion is made for it."""
    name = os.path.basename(os.environ.get("SHELL", ""))
    return name if name in FILES else None
