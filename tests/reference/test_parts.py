"""Every mixer and channel mixer against rows of operators, tensors and state written down by hand."""

from __future__ import annotations

import pytest
from counting import attention_parts, channel_parts, recurrent_parts
from counting.rows import PARTS, check

from roofsim.ops import gemm
from roofsim.ops.base import Role

WRITTEN = {"attention": attention_parts.CASES, "recurrent": recurrent_parts.CASES, "channel": channel_parts.CASES}
CASES = {f"{family}: {name}": case for family, cases in WRITTEN.items() for name, case in cases.items()}


def test_every_kind_of_part_is_written_down() -> None:
    assert {case.fields["kind"] for case in CASES.values()} == set(PARTS)


@pytest.mark.parametrize("name", CASES)
def test_a_part_has_the_operators_tensors_and_state_of_its_definition(name: str) -> None:
    check(CASES[name])


def test_uses_of_a_block_share_what_is_no_adapter_and_not_the_matrix_behind_it() -> None:
    block = CASES["channel: shared block"]
    own = {each.name for each in block.operators if "lora" in each.name and each.function is gemm.linear}
    matrices = [each for each in block.part.operators(block.p, 10) if each.function is gemm.linear]
    assert {each.name for each in matrices if not block.part.shares(each.role)} == own | {"block_out"}
    assert not CASES["channel: gated"].part.shares(Role.FFN_GATE)


def test_a_table_has_a_row_for_every_token_of_the_vocabulary() -> None:
    assert dict(CASES["channel: looked up"].part.tables) == {"layer_embedding": (7, 4)}
    assert dict(CASES["channel: gated"].part.tables) == {}


def test_parts_are_normed_but_for_shared_blocks_and_embeddings_of_layers() -> None:
    assert {kind for kind, part in PARTS.items() if not part.normed} == {"shared_block", "layer_embedding"}
