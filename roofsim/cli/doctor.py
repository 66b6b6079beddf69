"""Say what is installed, what is missing, and the command that adds it here."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """Look at this installation: versions, extras, folders, programs and the terminal.

    Of every extra that is missing it says what that would give, and the command that adds it to the environment which
    this program runs in, as typed in the current folder.

    \b
    Example: roofsim doctor
    """
    from roofsim.cli.completion import FILES, in_use, switch
    from roofsim.reports.installation import doctor_records, doctor_tables, findings

    found = findings({shell: (file, switch(shell)) for shell, file in FILES.items()}, in_use())
    tables, data = doctor_tables(found)
    o.Output(format_, output, quiet).write(tables, data, lambda: doctor_records(found))
