"""Say what users of a serving engine see, how many it takes, and what ends that."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from roofsim.cli import _drafts
from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.model.split import RANKS
from roofsim.serving import USUAL_RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roofsim.prediction.setup import Setup
    from roofsim.serving.choices import Choice
    from roofsim.serving.served import Served
    from roofsim.serving.server import Server
    from roofsim.serving.slo import Promise
    from roofsim.specs.workload import Workload

Times: TypeAlias = "Mapping[str, Mapping[str, float] | None]"
EACH = ("device", *RANKS, "weights", "cache", "dtype")
"""What there may be several of: each combination is a choice of how to serve."""


@click.command()
@click.argument("model", type=t.Name("models", "models/families"))
@o.download_option
@o.device_option(many=True)
@o.prompt_option()
@o.generate_option()
@click.option(
    "--concurrency", "-c", type=t.Range(), default=None, metavar="COUNTS",
    help="Users who each ask again as soon as they are answered: 64, 1,8,64 or 1..256*2.",
)  # fmt: skip
@click.option(
    "--rate", type=t.Several(t.Plain("of requests a second; write it like 2.5")), default=None, metavar="NUMBERS",
    help="Requests that come in a second, independently of each other: 2.5 or 1,2,4.",
)  # fmt: skip
@click.option(
    "--slo", metavar="TIMES", default=None,
    help="What is promised: ttft=1s,itl=50ms, in the mean, or at a percentile: ttft.p95=2s.",
)  # fmt: skip
@click.option(
    "--find", "what", type=t.Choice(["concurrency", "rate", "devices", "batch"]), default=None,
    help="The largest load at which --slo holds; batch: sequences at once; devices: the fewest for a "
    "load, divided as is best unless it is said.",
)  # fmt: skip
@click.option(
    "--front", "fronted", is_flag=True,
    help="What nothing beats of all choices, users and --sequences: throughput of a device against that of a user.",
)  # fmt: skip
@click.option(
    "--objectives", metavar="NAMES", default=None,
    help="With --front: what is to be good: user and device (tokens per second), usd_per_million, energy_per_token, "
    "devices (the fewest), itl, ttft, concurrency.  [default: user,device; for several kinds of device "
    "user,usd_per_million]",
)  # fmt: skip
@click.option("--sequences", type=t.Range(), metavar="COUNTS", default=None,
              help="Most sequences at once; several with --front.  [default: as the server has it]")  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(1), metavar="N", default=None,
    help="With --concurrency: the mean over N requests of each user, who all begin together, as a benchmark shows it.  "
    "[default: the steady state]",
)  # fmt: skip
@click.option(
    "--prefix", type=t.Tokens(nought=True), default=None, metavar="N",
    help="First tokens of prompts that requests share, as of a system prompt: 2k.",
)  # fmt: skip
@click.option(
    "--hit-rate", type=click.FloatRange(0, 1), default=None, metavar="SHARE",
    help="The share of requests that find them in the cache.  [default: 1]",
)  # fmt: skip
@click.option(
    "--simulate", "simulated", is_flag=True,
    help="Also serve 1,000 requests of each load event by event, as `roofsim simulate` does.",
)  # fmt: skip
@_drafts.draft_options(required=False)
@o.offload_option
@o.devices_options(many=True)
@o.stack_options(usual=USUAL_RUNTIME)
@o.number_options(many=True)
@o.transfer_option
@o.cost_options
@o.set_option()
@o.plot_option
@o.output_options
def command(
    model: str, concurrency: list[int] | None, rate: list[float] | None, slo: str | None, what: Any, fronted: bool,
    objectives: str | None, sequences: list[int] | None, rounds: int | None, simulated: bool,
    prefix: int | None, hit_rate: float | None, plot: o.Plot | None,
    format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Steady state of serving: latency, throughput, load.

    An engine with continuous batching makes a token of every running sequence in each step, and puts pieces of waiting
    prompts beside. ITL is the time between two tokens of a request, TTFT that to its first. With --concurrency users
    each ask again at once; with --rate requests come independently of each other. With --draft drafted tokens of every
    sequence are verified in each step. --plot draws the times over the load, with --front the throughputs.

    \b
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --concurrency 1,8,64 --prompt 2k --generate 256
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --rate 4 --slo ttft.p95=1s --plot load.svg
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --slo ttft=1s,itl=50ms --find concurrency
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --draft eagle --accept 0.7 -k 3 --concurrency 1,16,64
    Example: roofsim serve Llama-3.1-8B -d h100-sxm --front --weights bf16,fp8,int4-g128 --plot front.svg
    Example: roofsim serve Qwen3-8B -d h100-sxm,l40s --front --tp 1,2 --slo itl=30ms --objectives usd_per_million
    """
    from roofsim.foundation.errors import InputError
    from roofsim.serving.choices import choices, servers
    from roofsim.serving.prefix import Prefix
    from roofsim.serving.server import Server
    from roofsim.serving.slo import promises

    if concurrency and rate:
        raise InputError("--concurrency, --rate: are two kinds of load; give one of them")
    if rounds and not concurrency:
        raise InputError("--rounds: is of users who ask again; give --concurrency")
    if hit_rate is not None and prefix is None:
        raise InputError("--hit-rate: of what? Give --prefix, the tokens that requests share")
    options["prefix"] = None if prefix is None else Prefix(prefix, 1.0 if hit_rate is None else hit_rate)
    options["drafts"] = _drafts.drafts_of(options)
    at = concurrency[0] if concurrency else 1
    if simulated and prefix is not None:
        raise InputError("--simulate, --prefix: `roofsim simulate --prefix` has such requests")
    promised = promises(slo) if slo is not None else ()
    out = o.Output(format_, output, quiet)
    options["cluster"] = o.one_of("--cluster", options["cluster"] or [None])
    each = {name: options[name] or [None] for name in EACH}
    case = partial(_case, model, options)
    if fronted:
        for option, value in (
            ("--find", what), ("--rate", rate), ("--rounds", rounds), ("--simulate", simulated)
        ):  # fmt: skip
            if value:
                raise InputError(f"--front, {option}: a front is over users who ask again; leave one of them out")
        found = servers(each, case, options["prefix"], options["drafts"], at)
        _front(out, *found, concurrency, sequences, promised, objectives, plot)
        return
    if objectives:
        raise InputError("--objectives: are of a front; give --front")
    if sequences and len(sequences) > 1:
        raise InputError("--sequences: several are for --front")

    def server(chosen: dict[str, Any]) -> Server:
        s, w = case(chosen)
        drafts = options["drafts"].on(s, w, at) if options["drafts"] else None
        return Server(s, w, sequences[0] if sequences else None, options["prefix"], drafts)

    every = [(told, server(chosen)) for told, chosen in choices(each)]
    if what:
        if simulated:
            raise InputError("--simulate: is of loads that are given; leave out --find")
        alone = not any(options[way] for way in RANKS)
        _found(out, every, what, concurrency, rate, promised, plot, alone)
        return
    rows = [row for _, server in every for row in _loads(server, concurrency, rate, rounds)]
    events = [_events(server, row, bool(rate)) for (_, server), row in _paired(every, rows)] if simulated else []
    _write(out, every, rows, promised, plot, "rate" if rate else "users", rounds, events)


def _case(model: str, options: Mapping[str, Any], chosen: Mapping[str, Any]) -> tuple[Setup, Workload]:
    """What options say with a device, a way to divide the model and formats that are chosen."""
    from roofsim.prediction.offload import served

    formats = {FIELD[name]: chosen[name] for name in FIELD}
    s = o.serving_setup(model, chosen["device"], {**options, **chosen})
    w = o.workload_of(s, {**options, **formats})
    return served(s, w, o.one_of("--offload", options["offload"])) if options["offload"] else s, w


FIELD = {"weights": "weight_format", "cache": "cache_dtype", "dtype": "dtype"}
"""The fields of a workload that options of formats set."""


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
        rows = [closed(server, n, rounds or ENDLESS) for n in concurrency]
    else:
        rows = [open_loop(server, each) for each in rate or ()]
    return _gaining(server, rows, bool(rate))


def _gaining(server: Server, rows: Sequence[Served], rate: bool) -> list[Served]:
    """Loads with what drafts gain of them, if there are any."""
    if server.drafts is None:
        return list(rows)
    from roofsim.serving.gained import with_gain

    return [with_gain(server, row, rate) for row in rows]


def _paired(
    choices: Sequence[tuple[Choice, Server]], rows: Sequence[Served]
) -> Iterator[tuple[tuple[Choice, Server], Served]]:
    """Each load with the choice that it is of."""
    each = len(rows) // len(choices)
    return ((choices[i // each], row) for i, row in enumerate(rows))


REQUESTS = 1000
"""How many are simulated."""


def _events(server: Server, row: Served, rate: bool) -> Times:
    """Times that requests of a load saw event by event, from an empty engine on."""
    from roofsim.serving.simulation import Load, simulate

    load = Load(rate=row.rate, requests=REQUESTS) if rate else Load(users=int(row.concurrency), requests=REQUESTS)
    found = simulate(server.s, server.w, load, sequences=server.sequences, drafts=server.drafts).result
    return {
        name: {each: getattr(times, each) for each in ("mean", "p50", "p95", "p99")} if times else None
        for name, times in (("itl", found.itl), ("ttft", found.ttft))
    }


def _write(
    out: o.Output, choices: Sequence[tuple[Choice, Server]], rows: Sequence[Served], slo: Sequence[Promise],
    plot: o.Plot | None, kind: str, rounds: int | None = None, events: Sequence[Times] = (),
) -> None:  # fmt: skip
    from roofsim.reports.serve import served_records, served_tables, simulated_table

    s = choices[0][1].s
    drawn = None
    if plot:
        from roofsim.reports.figures.serve import over_load

        drawn = over_load(choices, kind, slo, rounds, theme=plot.theme)
    every = [row.to_dict() for row in rows]
    for row, seen in zip(every, events, strict=False):
        row["simulated"] = seen
    tables = served_tables(rows, _where(choices, s), s.runtime.name, slo)
    if events:
        tables.append(simulated_table(rows, events))
    out.write(tables, every[0] if len(every) == 1 else {"rows": every}, lambda: served_records(rows))
    out.draw(plot, drawn)


def _where(choices: Sequence[tuple[Choice, Server]], first: Setup) -> str:
    """What a table is of: the first device, with how the model is divided, or how many kinds of it there are."""
    from roofsim.serving.front import on_what

    return on_what(choices) if len({server.s.device.id for _, server in choices}) > 1 else first.device_name


def _found(
    out: o.Output, choices: Sequence[tuple[Choice, Server]], what: Any, concurrency: Sequence[int] | None,
    rate: Sequence[float] | None, slo: Sequence[Promise], plot: o.Plot | None, divide: bool,
) -> None:  # fmt: skip
    from roofsim.foundation.errors import InputError
    from roofsim.reports.serve import found_tables, served_records
    from roofsim.serving.choices import possible
    from roofsim.serving.slo import find

    for option, values in (("--concurrency", concurrency), ("--rate", rate)):
        if values and len(values) > 1:
            raise InputError(f"{option}: --find {what} is for one load, and several are given")
    users, each = concurrency[0] if concurrency else None, rate[0] if rate else None
    found, refused = possible(choices, lambda one: find(one, slo, what, users=users, rate=each, divide=divide))
    of_rate = what == "rate" or each is not None
    found = [(told, replace(one, served=_gaining(one.server, [one.served], of_rate)[0])) for told, one in found]
    rows = [one for _, one in found]
    s = rows[0].server.s
    drawn = None
    if plot:
        from roofsim.reports.figures.serve import over_load

        kind = "rate" if what == "rate" or rate else "users"
        drawn = over_load([(told, one.server) for told, one in found], kind, slo, theme=plot.theme)
    data = rows[0].to_dict() if len(choices) == 1 else {"rows": [one.to_dict() for one in rows], "refused": refused}
    out.write(found_tables(rows, _where([(told, one.server) for told, one in found], s), s.runtime.name, refused), data,
              lambda: served_records([one.served for one in rows], rows))  # fmt: skip
    out.draw(plot, drawn)


def _front(
    out: o.Output, choices: Sequence[tuple[Choice, Server]], refused: Mapping[str, str],
    concurrency: Sequence[int] | None, sequences: Sequence[int] | None, slo: Sequence[Promise],
    objectives: str | None, plot: o.Plot | None,
) -> None:  # fmt: skip
    from roofsim.reports.serve import front_records, front_tables
    from roofsim.serving.front import front, objectives_named, on_what, usual_users

    asked = objectives_named(objectives) if objectives else ()
    users = concurrency or usual_users([server for _, server in choices])
    result = front(choices, users, sequences, slo, refused, asked)
    s = choices[0][1].s
    drawn = None
    if plot:
        from roofsim.reports.figures.serve import front as figure

        drawn = figure(result, s, choices[0][1].w, theme=plot.theme)
    out.write(front_tables(result, on_what(choices), s.runtime.name), result.to_dict(), lambda: front_records(result))
    out.draw(plot, drawn)
