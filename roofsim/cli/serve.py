"""Say what users of a serving engine see, how many it takes, and what ends that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli._click import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roofsim.serving.steady import Served, Server

USUAL = "vllm"
"""The runtime that serves unless another is named."""


class Rate(click.ParamType[float]):
    """Requests a second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        from roofsim.foundation.units import finite

        try:
            return finite(value) if isinstance(value, str) else float(value)
        except ValueError:
            self.fail(f"'{value}' is not a number of requests a second; write it like 2.5", param, ctx)


@click.command()
@click.argument("model", type=o.Name("models", "models/families"))
@o.download_option
@o.device_option()
@o.prompt_option()
@o.generate_option()
@click.option(
    "--concurrency", "-c", type=o.Range(), default=None, metavar="COUNTS",
    help="Users who each ask again as soon as they are answered: 64, 1,8,64 or 1..256*2.",
)  # fmt: skip
@click.option(
    "--rate", type=o.Several(Rate()), default=None, metavar="NUMBERS",
    help="Requests that come in a second, independently of each other: 2.5 or 1,2,4.",
)  # fmt: skip
@click.option(
    "--slo", metavar="TIMES", default=None,
    help="What is promised: ttft=1s,itl=50ms, in the mean, or at a percentile: ttft.p95=2s.",
)  # fmt: skip
@click.option(
    "--find", "what", type=o.Choice(["concurrency", "rate", "devices", "batch"]), default=None,
    help="The largest load at which --slo holds; batch: sequences at once; devices: the fewest for a load.",
)  # fmt: skip
@click.option("--sequences", type=click.IntRange(1), metavar="N", default=None,
              help="Most sequences at once.  [default: as the server has it]")  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(1), metavar="N", default=None,
    help="With --concurrency: the mean over N requests of each user, who all begin together, as a benchmark shows it.  "
    "[default: the steady state]",
)  # fmt: skip
@o.stack_options(usual=USUAL)
@o.format_options()
@o.transfer_option
@o.set_option()
@o.output_options
def command(
    model: str, device: str, concurrency: list[int] | None, rate: list[float] | None, slo: str | None,
    what: Any, sequences: int | None, rounds: int | None, format_: str, output: str | None, quiet: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Steady state of serving: latency, throughput, load.

    An engine with continuous batching makes a token of every running sequence in each step, and puts pieces of waiting
    prompts beside. ITL is the time between two tokens of a request, TTFT that to its first. With --concurrency users
    each ask again at once; with --rate requests come independently of each other.

    \b
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --concurrency 1,8,64 --prompt 2k --generate 256
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --rate 4 --slo ttft.p95=1s
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --slo ttft=1s,itl=50ms --find concurrency
    """
    from roofsim.foundation.errors import InputError
    from roofsim.reports.serve import served_records, served_tables
    from roofsim.serving.slo import find, promises
    from roofsim.serving.steady import Server

    s = o.changed_setup(model, device, options["runtime"] or USUAL, options["host"], options["changes"],
                        options["calibration"] or "auto", options["transfer"])  # fmt: skip
    server = Server(s, o.workload_of(s, options), sequences)
    promised = promises(slo) if slo is not None else ()
    if concurrency and rate:
        raise InputError("--concurrency, --rate: are two kinds of load; give one of them")
    if rounds and not concurrency:
        raise InputError("--rounds: is of users who ask again; give --concurrency")
    out = o.Output(format_, output, quiet)
    names = (s.device.name, s.runtime.name)
    if what:
        for option, values in (("--concurrency", concurrency), ("--rate", rate)):
            if values and len(values) > 1:
                raise InputError(f"{option}: --find {what} is for one load, and several are given")
        found = find(server, promised, what, users=concurrency[0] if concurrency else None,
                     rate=rate[0] if rate else None)  # fmt: skip
        rows = [found.served]
        out.write(served_tables(rows, *names, promised, found), found.to_dict(), lambda: served_records(rows, found))
        return
    rows = _loads(server, concurrency, rate, rounds)
    data = rows[0].to_dict() if len(rows) == 1 else {"rows": [each.to_dict() for each in rows]}
    out.write(served_tables(rows, *names, promised), data, lambda: served_records(rows))


def _loads(
    server: Server, concurrency: Sequence[int] | None, rate: Sequence[float] | None, rounds: int | None
) -> list[Served]:
    """The steady state of each load."""
    from roofsim.foundation.errors import InputError
    from roofsim.prediction.loop import ENDLESS
    from roofsim.serving.steady import closed, open_loop

    if not concurrency and not rate:
        raise InputError("which load? Give --concurrency N or --rate R, or --slo TIMES --find concurrency")
    if concurrency:
        return [closed(server, n, rounds or ENDLESS) for n in concurrency]
    return [open_loop(server, each) for each in rate or ()]
