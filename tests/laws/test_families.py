"""Members of families with the numbers of published models are those models."""

from __future__ import annotations

import pytest

from roofsim import library, predict
from roofsim.foundation.cost import COLUMNS, Cost
from roofsim.foundation.schema import variant
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision
from roofsim.reports.specs import order

FAMILIES = library.names(library.FAMILIES)
QWEN = (
    "mamba2-hybrid:attention_every=1:width=896:depth=24:head_dim=64:kv_heads=2:rotary_dim=0:qkv_bias=1"
    ":declared_window=32k:mlp_width=4864:vocab=151936:tied=1:context_window=32k"
)
MEMBERS = {
    "dense": "Qwen2.5-0.5B",
    "dense:width=1536:depth=28:head_dim=128:mlp_width=8960": "Qwen2.5-1.5B",
    "moe": "OLMoE-1B-7B",
    "sliding-window": "Gemma-3-1B",
    "parallel-hybrid": "Falcon-H1-0.5B",
    "mamba2-hybrid:attention_from=9": "Bamba-9B",
    # every layer attends: a Transformer; none does, and no MLP: Mamba-2
    QWEN: "Qwen2.5-0.5B",
    "mamba2-hybrid:attention_every=0:mamba_mlp_width=0:width=1536:depth=48:vocab=50288:tied=1": "mamba2-780m",
}
same = pytest.mark.parametrize(("member", "model"), MEMBERS.items())


def work(a: Architecture, p: Pass) -> list[float]:
    total = sum((row.count * each.cost for row in a.rows(p) for each in row.operators), start=Cost())
    return [float(getattr(total, column)) for column in COLUMNS]


def test_every_family_has_a_member_that_is_published() -> None:
    assert {library.split_member(name)[0] for name in MEMBERS} == set(FAMILIES)


@same
def test_a_member_at_the_numbers_of_a_published_model_has_its_parameters_state_and_work(
    member: str, model: str
) -> None:
    made, published = library.architecture(member), library.architecture(model)
    assert made.total_parameters == published.total_parameters
    assert made.active_parameters == published.active_parameters
    assert made.family == published.family
    p = Precision()
    for n in (0, 1, 700, 5000):
        assert made.state_bytes(n, p) == published.state_bytes(n, p)
    for each in (Pass(2, 700, 0, p, "all"), Pass(1, 1, 5000, p, "last", "decode")):
        assert work(made, each) == pytest.approx(work(published, each), rel=1e-12)


@same
def test_it_takes_as_long_and_as_much_as_that_model(member: str, model: str) -> None:
    one, other = (predict(name, "h100-sxm", prompt=2048) for name in (member, model))
    assert one.request == other.request
    assert one.memory == other.memory


@pytest.mark.parametrize("name", ["sliding-window", "mamba2-hybrid:attention_from=9"])
def test_its_layers_stand_in_the_published_order(name: str) -> None:
    made, published = library.architecture(name), library.architecture(MEMBERS[name])

    def sequence(a: Architecture) -> list[str]:
        return [name for stretch in a.layout for _ in range(stretch.repeat) for name in stretch.of]

    assert sequence(made) == sequence(published)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sliding-window", "4 × (windowed × 5, attention), windowed × 2"),
        ("mamba2-hybrid:depth=12:attention_every=4", "3 × (mamba × 3, attention)"),
        ("mamba2-hybrid:depth=4:attention_every=0", "mamba × 4"),
        ("mamba2-hybrid:depth=5:attention_every=2:attention_from=3", "mamba × 3, attention, mamba"),
        ("parallel-hybrid:depth=6:attention_every=2", "3 × (mamba, hybrid)"),
    ],
)
def test_the_order_of_layers_in_words(name: str, words: str) -> None:
    assert order(library.architecture(name)) == words


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("share", [0.8, 1.3])
def test_a_number_of_parameters_is_met_as_near_as_its_multiples_allow(name: str, share: float) -> None:
    family, usual = library.family(name), library.architecture(name).total_parameters
    wanted, step = round(usual * share), family.parameters[family.solved].multiple
    values = family.values({"parameters": wanted})
    found = library.architecture(f"{name}:parameters={wanted}")

    def count(k: int) -> int:
        return family.member({family.solved: values[family.solved] + k * step}).total_parameters

    assert found.total_parameters == count(0)
    assert values[family.solved] % step == 0
    assert abs(count(0) - wanted) <= min(abs(count(1) - wanted), abs(count(-1) - wanted))


def test_a_member_is_not_another_by_being_named_otherwise() -> None:
    named = library.architecture("dense:width=896")
    bare = library.architecture("dense")
    assert named.id == "dense:width=896"
    assert variant(named, name=bare.name, id=bare.id) == bare
