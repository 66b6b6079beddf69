"""What an operator or a kernel costs, before any device is known."""

from __future__ import annotations

from dataclasses import dataclass

from roofsim.arith import Number


@dataclass(frozen=True, slots=True)
class Cost:
    """Work (FLOP) and memory traffic (bytes).

    `matrix` is work for the matrix unit, `vector` everything element-wise, reducing or transcendental:
    the two run on different hardware. Traffic is split by what is moved: `weights` (read once per
    pass), `activations` (read and written between operators), `state` (KV cache and recurrent state,
    read and written).
    """

    matrix: Number = 0
    vector: Number = 0
    weights: Number = 0
    activations: Number = 0
    state: Number = 0

    @property
    def bytes(self) -> Number:
        """All traffic, in bytes."""
        return self.weights + self.activations + self.state

    @property
    def flops(self) -> Number:
        """All work, in FLOP."""
        return self.matrix + self.vector

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.matrix + other.matrix,
            self.vector + other.vector,
            self.weights + other.weights,
            self.activations + other.activations,
            self.state + other.state,
        )

    def __mul__(self, times: Number) -> Cost:
        return Cost(
            self.matrix * times,
            self.vector * times,
            self.weights * times,
            self.activations * times,
            self.state * times,
        )

    __rmul__ = __mul__
