"""Options of drafted tokens, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.serving.drafting import Drafts

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("draft", "accept", "draft_tokens", "tree", "draft_weights", "rollback", "draft_overhead")


def draft_options(required: bool) -> Callable[[F], F]:
    """What drafts, how many tokens, how likely they are accepted."""
    return o.stacked(
        click.option(
            "--draft", required=required, type=t.Name("models", words=("ngram", "mtp", "eagle", "eagle3", "medusa")),
            metavar="MODEL",
            help="What drafts: a model; ngram, the text before it; mtp, the model's own module; eagle, a head of one "
            "dense layer; eagle3, one with an LM head of its own; medusa, a head for each token.",
        ),
        click.option(
            "--accept", required=required, metavar="CHANCE",
            help="How likely a drafted token is accepted: 0.7 each; 0.8,0.6,0.5 all up to each place, as vLLM logs it; "
            "rate=0.56, accepted of drafted tokens; length=3.2, tokens of a round.",
        ),
        click.option(
            "--draft-tokens", "-k", type=t.Tokens(), metavar="N", help="Drafted tokens.  [default: the best]"
        ),
        click.option(
            "--tree", metavar="SHAPE", default=None,
            help="A tree of drafted tokens in place of a chain: depth=5,top=8,nodes=63; as deep, the best of each "
            "pass, and how many are verified.",
        ),
        click.option(
            "--draft-weights", type=t.Word("WEIGHT_FORMATS"), metavar="FMT",
            help="Format of the draft's weights.  [default: that of the model's]",
        ),
        click.option(
            "--rollback", type=t.Choice(["copies", "replay"]), default="copies",
            help="How recurrent states are taken back: one is kept of every token, or what was accepted runs again.  "
            "[default: copies]",
        ),
        click.option(
            *(("--overhead",) if required else ()), "--draft-overhead", "draft_overhead", type=t.Quantity("s"),
            default=0.0, metavar="TIME",
            help="Time of a round beside its passes: 0.5ms.  [default: none]",
        ),
    )  # fmt: skip


def drafts_of(options: dict[str, Any]) -> Drafts | None:
    """What options say of drafts, taken out of them; None where there are none. Raises InputError."""
    from roofsim.foundation.errors import InputError

    if options["draft"] is not None:
        if options["accept"] is None:
            raise InputError("--draft: how likely are its tokens accepted? Give --accept, like --accept 0.7")
        return drafts_asked(options)
    given = {name: options.pop(name) for name in NAMES}
    for option, name in (("--accept", "accept"), ("--draft-tokens", "draft_tokens"), ("--tree", "tree"),
                         ("--draft-weights", "draft_weights"), ("--draft-overhead", "draft_overhead")):  # fmt: skip
        if given[name]:
            raise InputError(f"{option}: of which drafts? Give --draft")
    return None


def drafts_asked(options: dict[str, Any]) -> Drafts:
    """The same where drafts are asked for."""
    from roofsim.serving.drafting import Drafts
    from roofsim.serving.shapes import tree

    draft, accept, tokens, shape, weights, rollback, overhead = (options.pop(name) for name in NAMES)
    return Drafts(draft, accept, tokens, tree(shape) if shape else None, weights, rollback, overhead)
