"""What speculative decoding gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import OfOne, as_engine
from roofsim.api.words import CalibrationLike, Changes, DeviceLike, HostLike, Logits, ModelLike, Quantity, RuntimeLike
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.serving import speculation as speculating
from roofsim.serving.acceptance import Acceptance
from roofsim.serving.drafting import Drafts
from roofsim.serving.drafts import drafter
from roofsim.serving.shapes import tree as tree_of
from roofsim.serving.states import SAID, Rollback
from roofsim.specs.workload import workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme

Chances: TypeAlias = "float | str | Sequence[float] | Acceptance"
"""How likely drafted tokens are accepted: a chance, one for each place, or text such as rate=0.56."""


@dataclass(frozen=True, repr=False)
class Speculated(OfOne, speculating.Speculation):
    """What drafts gain: `row` of those asked for, `rows` by length, `over_batch`, `pays_until`, 95 % `intervals`."""

    _given: Drafts = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: Drafts) -> Self:
        """What was asked for."""
        s = asked.setup()
        w = settled(s, asked.single(s.device))
        found = speculating.speculation(
            s, w, drafter(s, w, given.draft, given.weights), given.accepted, given.tokens,
            rollback=given.rollback, overhead=given.overhead, tree=given.tree,
        )  # fmt: skip
        return cls(**columns(found), asked=asked, on=s, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    def _short(self) -> str:
        low, high = self.intervals["speedup"]
        return (
            f"{self._where}, {self.chosen} drafted by {self.draft}: speedup {self.row.speedup:.2f} "
            f"[{low:.2f}-{high:.2f}]"
        )

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, speculating.Speculation).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.speculation import speculation_tables

        return speculation_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.speculation import speculation_records

        return speculation_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Speedup over the batch and over how likely drafts are accepted."""
        from roofsim.api import plots

        return plots.speculate(self, theme=theme)


def drafts_of(
    draft: ModelLike, accept: Chances, draft_tokens: int | str | None, tree: str | None, draft_weights: str | None,
    rollback: Rollback, overhead: Quantity,
) -> Drafts:  # fmt: skip
    """What is asked of drafts; raises InputError."""
    tokens = None if draft_tokens is None else checked.count("draft_tokens", draft_tokens)
    format_ = None
    if draft_weights is not None:
        format_ = variant(workload(weight_format=checked.text("draft_weights", draft_weights))).weight_format
    back: Rollback = "replay" if checked.one_of("rollback", rollback, SAID) == "replay" else "copies"
    given = Drafts(
        checked.spec("draft", draft, Architecture), accept, tokens,
        None if tree is None else tree_of(checked.text("tree", tree)), format_, back,
        checked.number("overhead", overhead, "s", nought=True),
    )  # fmt: skip
    return given.checked


def drafts_given(draft: ModelLike | None, accept: Chances | None, *more: Any) -> Drafts | None:
    """The same where there may be none; raises InputError."""
    if draft is None:
        if accept is not None or any(each is not None for each in more[:3]):
            raise InputError("accept, draft_tokens, tree, draft_weights: of which drafts? Give draft")
        return None
    if accept is None:
        raise InputError("draft: how likely are its tokens accepted? Give accept, like accept=0.7")
    return drafts_of(draft, accept, *more)


def speculate(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, draft: ModelLike,
    accept: Chances, draft_tokens: int | str | None = None, tree: str | None = None, draft_weights: str | None = None,
    rollback: Rollback = "copies", overhead: Quantity = 0.0, prompt: int | str = 1024, batch: int | str = 1,
    generate: int | str = 128, dtype: str | None = None, weights: str | None = None, cache: str | None = None,
    logits: Logits | None = None, host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False,
    set: Changes = (), weight_format: str | None = None, cache_dtype: str | None = None,
) -> Speculated:  # fmt: skip
    """Say what drafting tokens and verifying them in one step gains.

    `draft` is a model, or "ngram" (the text before it), "mtp" (the model's own module), "eagle" (a head of one dense
    layer), "eagle3" (one with an LM head of fewer tokens) or "medusa" (a head for each token). `accept` is how likely a
    drafted token is accepted: a chance, the chances that all tokens up to each place are, or text that says what
    servers report, "rate=0.56" (accepted of drafted tokens) or "length=3.2" (tokens of a round). `draft_tokens` are
    drafted at a time, as many as gain most if None, in `draft_weights`, or a `tree` like "depth=5,top=8,nodes=63";
    `rollback` says how recurrent states are taken back, "copies" or "replay", `overhead` is the time of a round beside
    its passes. The rest is as for `predict`. Raises InputError.
    """
    drafts = drafts_of(draft, accept, draft_tokens, tree, draft_weights, rollback, overhead)
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype)  # fmt: skip
    return Speculated.of(asked, drafts)
