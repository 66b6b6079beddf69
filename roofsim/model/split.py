"""How one model is divided among devices."""

from __future__ import annotations

from dataclasses import dataclass, fields

from roofsim.foundation.errors import InputError


@dataclass(frozen=True, slots=True)
class Split:
    """Ranks over which a model and its sequences are divided; 1 each is one device.

    `tp` ranks share every layer (heads, channels, columns of weights), `pp` stages follow each other, `cp` ranks share
    the tokens of a sequence, and `dp` groups of them each take a share of the sequences. Experts are divided among `ep`
    of the tp × cp × dp ranks of a stage: 1 divides each expert as the other layers are. With `ep`, the groups of `dp`
    have the experts in common, and exchange tokens; without, they are copies of the model.
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    cp: int = 1

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{each.name}: {value!r} is not a whole number from 1 on")
        if self.stage % self.ep:
            raise InputError(
                f"ep: {self.ep} does not divide the {self.stage} ranks of a stage "
                f"(tp {self.tp} × cp {self.cp} × dp {self.dp}), among which experts are divided"
            )

    @property
    def stage(self) -> int:
        """Ranks of one stage."""
        return self.tp * self.cp * self.dp

    @property
    def devices(self) -> int:
        """All ranks."""
        return self.stage * self.pp

    @property
    def alone(self) -> bool:
        """Whether it is one device."""
        return self.devices == 1
