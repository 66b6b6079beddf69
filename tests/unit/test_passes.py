from __future__ import annotations

from roofsim.model.step import Pass, Precision


def test_unless_said_all_is_two_bytes_wide_but_recurrent_states() -> None:
    assert Precision() == Precision(weights=2, activations=2, cache=2, state=4)
    assert (Precision(1).weights, Precision(activations=1).activations, Precision(cache=1).cache) == (1, 1, 1)


def test_the_tokens_of_a_pass_are_the_new_ones_of_all_its_sequences() -> None:
    p = Pass(batch=3, new=5, context=100, precision=Precision(activations=4))
    assert p.tokens == 15
    assert p.activation_bytes(10) == 15 * 10 * 4
