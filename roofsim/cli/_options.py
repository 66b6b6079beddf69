"""Options that commands share, and the way from words to values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.split import RANKS
from roofsim.reports.formats import FORMATS
from roofsim.reports.table import Table
from roofsim.reports.theme import THEMES, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.prediction.setup import Setup
    from roofsim.specs.workload import Workload

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def flat(ctx: click.Context, param: click.Parameter, value: Sequence[Sequence[T]]) -> tuple[T, ...]:
    """The values of an argument that is given several times, each of which may be several."""
    return tuple(each for values in value for each in values)


CHOICES = ("auto", "none")
"""What --calibration may be beside the name of one."""


def stacked(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order in which help lists them."""

    def decorate(function: F) -> F:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def _may_download(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[t.DOWNLOAD] = value and not ctx.resilient_parsing


download_option = click.option(
    "--download", is_flag=True, is_eager=True, expose_value=False, callback=_may_download,
    help="Fetch the config.json of a model that is named as on the Hugging Face Hub (owner/model), if it is not in the "
    "local cache.",
)  # fmt: skip
transfer_option = click.option(
    "--transfer", is_flag=True,
    help="Use a calibration of another device or runtime, the nearest if none is named: its efficiencies, this "
    "device's peaks, wider intervals.",
)  # fmt: skip


def models_argument(required: bool = False) -> Callable[[F], F]:
    """Models, set off by blanks or commas; at least one if any are required."""
    kind = t.Several(t.Name("models", "models/families"))
    return stacked(click.argument("models", nargs=-1, required=required, type=kind, callback=flat), download_option)


def device_option(required: bool = True, many: bool = False) -> Callable[[F], F]:
    """The device, or with `many` those that are chosen from; so with the options below."""
    several = ", several set off by commas" if many else ""
    return click.option(
        "--device", "-d", required=required, type=_each(t.Name("hardware"), many), metavar=_metavar("DEVICE", many),
        help=f"Device by name, alias or path{several}; a mode after @ (orin@15w); one of a cluster by its name.",
    )  # fmt: skip


def stack_options(many: bool = False, usual: str = "transformers-4.52-eager") -> Callable[[F], F]:
    """Runtime, the `usual` one unless another is named, host and calibration."""
    return stacked(
        click.option(
            "--runtime", "-r", type=_each(t.Name("runtimes"), many), metavar=_metavar("RUNTIME", many),
            help=f"Software stack.  [default: {usual}]",
        ),
        click.option(
            "--host", type=_each(t.Name("hardware/hosts"), many), metavar=_metavar("HOST", many),
            help="Host that launches the kernels.  [default: the device's own]",
        ),
        click.option(
            "--calibration", type=_each(t.Name("hardware/calibrated", words=CHOICES), many),
            metavar=_metavar("NAME", many),
            help="Fitted parameters by name or path; auto: those shipped for this device, mode and runtime; none: "
            "priors.  [default: auto]",
        ),
    )  # fmt: skip


def devices_options(many: bool = False) -> Callable[[F], F]:
    """How a model is divided, and what devices stand in."""
    written = ": 8, or 1,2,4,8" if many else ""
    ways = {
        "tp": f"Devices that share every layer (tensor parallel){written}.",
        "pp": "Stages that follow each other (pipeline parallel).",
        "ep": "Devices among which experts are divided (expert parallel).",
        "dp": "Groups that each take a share of the sequences (data parallel).",
        "cp": "Devices that share the tokens of a sequence (context parallel).",
    }
    kind: click.ParamType[Any] = t.Range() if many else t.Tokens()
    return stacked(
        *(click.option(f"--{way}", type=kind, metavar=_metavar("N", many), help=words) for way, words in ways.items()),
        click.option(
            "--cluster", type=_each(t.Name("hardware/clusters"), many), metavar=_metavar("CLUSTER", many),
            help="What joins devices, by name or path.  [default: the device's usual one]",
        ),
    )  # fmt: skip


def format_options(many: bool = False) -> Callable[[F], F]:
    """What numbers are stored and computed in, and which positions are scored."""
    return stacked(
        number_options(many),
        click.option(
            "--logits", type=_each(t.Choice(["all", "last"]), many), metavar="all,last" if many else None,
            help="Positions that are scored.",
        ),
    )  # fmt: skip


def number_options(many: bool = False) -> Callable[[F], F]:
    """What numbers are stored and computed in."""
    return stacked(
        click.option(
            "--weights", type=_each(t.Word("WEIGHT_FORMATS"), many), metavar=_metavar("FMT", many),
            help="Format of the weights: q4_k_m, q8_0, int4-g128, fp8-block128, nvfp4 ...",
        ),
        click.option(
            "--cache", type=_each(t.Word("CACHE_BYTES"), many), metavar=_metavar("TYPE", many),
            help="Encoding of the KV cache: fp8, q8_0, q4_0 ...  [default: the dtype of activations]",
        ),
        click.option(
            "--dtype", type=_each(t.Word("DTYPE_BYTES"), many), metavar=_metavar("TYPE", many),
            help="Dtype of activations: bf16, fp16, fp32, fp8 ...",
        ),
    )  # fmt: skip


def batch_option(many: bool = False) -> Callable[[F], F]:
    """Sequences at once."""
    return _count("--batch", "-b", "Sequences at once.  [default: 1]", many)


def prompt_option(many: bool = False) -> Callable[[F], F]:
    """Tokens of the prompt."""
    written = "4096, 1k,4k,32k or 1k..256k*2" if many else "4096 or 32k"
    return _count("--prompt", "-p", f"Tokens of the prompt: {written}.  [default: 1024]", many)


def generate_option(many: bool = False) -> Callable[[F], F]:
    """Tokens that are generated, none at all included."""
    return _count("--generate", "-g", "Generated tokens.  [default: 128]", many, nought=True)


TERMS = "roofsim.terms"
"""Where a context keeps the changes of terms of use."""


def _keep_term(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(TERMS, []).append(value)


def _with_terms(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return (*value, *ctx.meta.get(TERMS, ()))


def _term(word: str, metavar: str, says: str) -> Callable[[F], F]:
    return click.option(
        f"--{word}", type=t.Term(word), metavar=metavar, default=None, is_eager=True, expose_value=False,
        callback=_keep_term, help=says,
    )  # fmt: skip


cost_options = stacked(
    _term("price", "USD/h|USD", "What a device costs: 2.5USD/h to rent, 1599USD to buy.  [default: of its cluster or "
          "its file]"),
    _term("lifetime", "TIME", "Over which what was bought is written off: 5y.  [default: 3y]"),
    _term("electricity", "USD/kWh", "Price of electricity: 0.15USD/kWh.  [default: of US households]"),
    _term("carbon", "g/kWh", "CO2 of electricity: 400g/kWh.  [default: of the world]"),
    _term("utilisation", "SHARE", "Part of the hours in which the device computes: 0.5.  [default: 1]"),
    _term("overhead", "FACTOR", "Power at the wall over that of devices: 1.5.  [default: of a node of its cluster]"),
)  # fmt: skip


offload_option = click.option(
    "--offload", type=t.Several(t.Word("WORDS", "roofsim.prediction.offload_words")), metavar="HOW",
    help="What lies in the memory of the host: auto (the fastest division that fits), layers=20 or 20 (on the device, "
    "as -ngl counts), experts=cpu (as --cpu-moe; experts=cpu:12: of so many layers), experts=stream, stream (each "
    "layer comes over the link in every pass), stream=20, stream=10GiB (of each device, as --cpu-offload-gb), cache "
    "(as --no-kv-offload); with a + between them several. "
    "Or try 0,16,auto or 0..32+8.  [default: nothing]",
)  # fmt: skip


def one_of(option: str, given: Sequence[T]) -> T:
    """The one value of an option that takes several elsewhere."""
    if len(given) > 1:
        raise InputError(f"{option}: one is expected here, not several")
    return given[0]


def set_option(many: bool = False) -> Callable[[F], F]:
    """What-ifs."""
    tried = "; or try several values of it, 0.5x..4x*2 or 1k,4k" if many else ""
    return click.option(
        "--set", "changes", multiple=True, type=t.Change(), metavar=f"PATH={_metavar('VALUE', many)}",
        callback=_with_terms,
        help="Change a field for a what-if: device.memory.bandwidth=2x, runtime.attention.mask=never, "
        f"parameters.gemm_efficiency=0.9{tried} (repeatable).",
    )  # fmt: skip


def _each(kind: click.ParamType[Any], many: bool) -> click.ParamType[Any]:
    return t.Several(kind) if many else kind


def _metavar(word: str, many: bool) -> str:
    return f"{word}S" if many else word


def _count(option: str, short: str, words: str, many: bool, nought: bool = False) -> Callable[[F], F]:
    kind: click.ParamType[Any] = t.Range(nought) if many else t.Tokens(nought)
    return click.option(option, short, type=kind, metavar="COUNTS" if many else "N", help=words)


model_filters = stacked(
    click.option("--kind", type=t.Choice(["transformer", "ssm", "hybrid", "moe"]), help="Only models of this kind."),
    click.option(
        "--family", metavar="NAME", default=None, help="Only models of this family, or of one whose name begins so."
    ),
    click.option(
        "--min-size", type=t.Parameters(), metavar="N", help="Only models with at least so many parameters: 1B."
    ),
    click.option(
        "--max-size", type=t.Parameters(), metavar="N", help="Only models with at most so many parameters: 8B."
    ),
)
output_options = stacked(
    click.option(
        "--format",
        "-f",
        "format_",
        type=t.Choice(sorted(FORMATS)),
        default="table",
        help="Form of the output.",
    ),
    click.option(
        "--output", "-o", type=t.Target(), metavar="FILE", default=None, help="Write there instead of to the terminal."
    ),
    click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr."),
)
_THEME = "roofsim.theme"
"""Where a context keeps the theme of its figures."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that is asked for: the file it goes to, and its theme."""

    path: str
    theme: Theme


class PlotFile(t.Target):
    """The file of a figure, whose ending is its format; --theme is read before it."""

    def __init__(self) -> None:
        super().__init__((".png", ".svg", ".pdf"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The file with the theme."""
        if isinstance(value, Plot):
            return value
        return Plot(super().convert(value, param, ctx), ctx.meta.get(_THEME, THEMES[0]) if ctx else THEMES[0])


def _keep_theme(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.meta[_THEME] = value


theme_option = click.option(
    "--theme", type=t.Choice(THEMES), default=THEMES[0], is_eager=True, expose_value=False, callback=_keep_theme,
    help="What figures are drawn for: paper, or a dark page.  [default: light]",
)  # fmt: skip


def theme_asked() -> Theme:
    """The theme that a command with `theme_option` is asked for."""
    theme: Theme = click.get_current_context().meta.get(_THEME, THEMES[0])
    return theme


def figure_option(name: str, words: str) -> Callable[[F], F]:
    """An option that draws a figure, a `Plot`; `theme_option` stands beside it once."""
    return click.option(name, type=PlotFile(), metavar="FILE", default=None, help=words)


def draw_option(names: Sequence[str], words: str) -> Callable[[F], F]:
    """An option that says which of several figures is drawn, the first unless another is named."""
    return click.option("--draw", type=t.Choice(names), default=names[0], help=f"{words}  [default: {names[0]}]")


plot_option = stacked(figure_option("--plot", "Draw a figure: .png, .svg or .pdf."), theme_option)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes, and in which form."""

    format_: str
    output: str | None
    quiet: bool

    def write(
        self, tables: Sequence[Table], data: Mapping[str, Any], records: Callable[[], Table] | None = None
    ) -> None:
        """Print the result, or write it to a file that appears whole or not at all.

        `records` makes the one table of the result as data, where `tables` are laid out for people.
        """
        if records and self.format_ == "csv":
            tables = [records()]
        text = FORMATS[self.format_](tables, {"schema": SCHEMA, **data}, self.output is None)
        if self.output is None:
            click.echo(text)
        else:
            writing.text(self.output, text + "\n")
            self.say(f"wrote {self.output}")

    def draw(self, plot: Plot | None, figure: Figure | None) -> None:
        """Write a figure, where one is asked for; it is made before the result is printed, since it may be refused."""
        if plot is not None and figure is not None:
            from roofsim.reports.figures.style import save

            save(figure, plot.path)
            self.say(f"drew {plot.path}")

    def remark(self, models: Sequence[str]) -> None:
        """What the files of models leave out, for results that have no line for it."""
        from roofsim import library

        for name in dict.fromkeys(models):
            for note in library.architecture(name).notes:
                self.say(f"note: {name}: {note}")

    def say(self, message: str) -> None:
        """A word to the user that is no part of the result."""
        if not self.quiet:
            click.echo(message, err=True)


def workload_of(s: Setup, options: Mapping[str, Any]) -> Workload:
    """The workload that a command's options describe; messages name the options."""
    from roofsim.specs.workload import workload

    with naming_options():
        return workload(**{"dtype": s.device.default_dtype, **fields_of(options)})


def naming_options() -> AbstractContextManager[None]:
    """Messages about fields of a workload name the options that set them."""
    from roofsim.specs.workload import called

    return called({"weight_format": "--weights", "cache_dtype": "--cache", "dtype": "--dtype"})


def fields_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The workload's fields among a command's options, those left out left out."""
    names = ("batch", "prompt", "generate", "dtype", "cache_dtype", "weight_format", "logits")
    return {name: options[name] for name in names if options.get(name) is not None}


def split_of(options: Mapping[str, Any]) -> dict[str, int]:
    """How a model is divided, by a command's options."""
    return {way: options[way] for way in RANKS if options.get(way) is not None}


def changed_setup(
    model: str, device: str, runtime: str | None, host: str | None, changes: Sequence[str],
    calibration: str, transfer: bool, split: Mapping[str, int] | None = None, cluster: str | None = None,
) -> Setup:  # fmt: skip
    """Everything but the workload, with the calibration and the changes of --set applied."""
    from roofsim.model.split import Split
    from roofsim.prediction.fitted import chosen
    from roofsim.prediction.setup import DEFAULT_RUNTIME, setup
    from roofsim.prediction.what_if import what_if

    asked = setup(model, device, runtime or DEFAULT_RUNTIME, host, Split(**split or {}), cluster)
    return what_if(chosen(asked, calibration, transfer=transfer), changes)


def serving_setup(model: str, device: str, options: Mapping[str, Any]) -> Setup:
    """What serves a model, by the options of a command about servers: by `USUAL_RUNTIME` unless another is named."""
    from roofsim.serving import USUAL_RUNTIME

    return changed_setup(
        model, device, options["runtime"] or USUAL_RUNTIME, options["host"], options["changes"],
        options["calibration"] or "auto", options["transfer"], split_of(options), options["cluster"],
    )  # fmt: skip
