"""What a token costs: the hours of the devices that it takes, the electricity, and the CO2 of that.

A token of the prompt carries its share of the prefill, a token of the answer its share of a decode step. Dollars are

    N (R or P / L) / u · t  +  e · E_wall        E_wall = o (E + (1/u - 1) N P_idle t)

for t seconds in which N devices draw E joules: R is the rent of a device, in which its electricity is contained
(e = 0), P / L its price over its lifetime, e the price of electricity, u the part of the hours in which they compute,
o the power at the wall over that of the devices.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, NamedTuple

from roofsim import library
from roofsim.engine.energy import idle_power
from roofsim.foundation.arith import Number, maximum
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.specs.cluster import Cluster

HOUR = 3600.0
KWH = 3.6e6
MILLION = 1e6
KILO = 1e3


class Rates(NamedTuple):
    """What seconds of all devices, and joules that they draw, cost, draw at the wall and emit.

    Dollars and watts of a second, dollars of a joule at the wall, joules at the wall of one drawn, kilograms of CO2 of
    a joule at the wall.
    """

    second: Number
    idle: Number
    joule: Number
    overhead: Number
    carbon: Number

    def wall(self, time: Number, energy: Number) -> Number:
        """Joules at the wall."""
        return self.overhead * (energy + self.idle * time)

    def dollars(self, time: Number, energy: Number) -> Number:
        """What seconds of all devices cost in which they draw so many joules."""
        rented = isinstance(self.joule, float) and self.joule == 0
        return self.second * time if rented else self.second * time + self.joule * self.wall(time, energy)

    def kilograms(self, time: Number, energy: Number) -> Number:
        """CO2 of the electricity."""
        return self.carbon * self.wall(time, energy)


class Paid(NamedTuple):
    """What is paid for so many `devices`: for an hour if they are `rented`, else once. `why` says where it is from."""

    amount: Number
    rented: bool
    devices: int
    why: str


def paid(s: Setup) -> Paid | None:
    """The rent that is asked for, else the price, else the rent of the cluster, its price, the price of the device.

    None where nothing says what the device costs.
    """
    terms, device, cluster = s.terms, s.device, priced_cluster(s)
    asked, node = "as asked for", f"a node of {cluster.id or cluster.name}" if cluster else ""
    each = cluster.per_node if cluster else 1
    for amount, rented, devices, why in (
        (terms.price_per_hour, True, 1, asked), (terms.price, False, 1, asked),
        (cluster and cluster.price_per_hour, True, each, node), (cluster and cluster.price, False, each, node),
        (device.price, False, 1, device.price.note if device.price else ""),
    ):  # fmt: skip
        if amount:
            return Paid(amount.value, rented, devices, why)
    return None


def hourly(s: Setup) -> Number:
    """Dollars of an hour of one device in use, without electricity that is paid apart; no number if none is known."""
    found, used = paid(s), s.terms.utilisation.value
    if found is None:
        return nan
    each = found.amount / found.devices
    return each / used if found.rented else each / (s.terms.lifetime.value / HOUR) / used


def priced(s: Setup) -> str:
    """Where the price is from and on which terms, in words."""
    found, terms = paid(s), s.terms
    if found is None:
        named = s.device.id or s.device.name
        return f"nothing says what {named} costs (--price 2.5USD/h or --price 1599USD does)"
    said = show(float(found.amount), "USD/h" if found.rented else "USD")
    each = f" for {found.devices}" if found.devices > 1 else " each" if s.devices > 1 else ""
    what = [f"{said}{each}{f' ({found.why})' if found.why else ''}"]
    if s.devices > 1:
        what.append(f"{s.devices} of them")
    if not found.rented:
        usual = library.usual_terms().electricity
        of = usual.note if terms.electricity == usual else "as asked for"
        what += [f"over {show(float(terms.lifetime.value), 's')}"]
        what += [f"electricity {terms.electricity.value:g} USD/kWh ({of})"]
    if terms.utilisation.value != 1:
        what.append(f"{terms.utilisation.value:.0%} of the hours in use")
    return ", ".join(what)


def drawn(s: Setup) -> str:
    """What draws the electricity, and what CO2 it makes, in words."""
    factor, asked = float(overhead(s)), s.terms.overhead
    node = priced_cluster(s)
    by = "as asked for" if asked else f"a node of {node.id or node.name} against its devices" if node else ""
    more = f"at the wall {factor:.2f} times what devices draw ({by})" if factor != 1 else "devices alone"
    carbon, usual = s.terms.carbon, library.usual_terms()
    source = usual.sources[usual.carbon.source].partition(" (http")[0]
    return f"{more}; {carbon.value:g} g of CO2 a kWh ({source if carbon == usual.carbon else 'as asked for'})"


def priced_cluster(s: Setup) -> Cluster | None:
    """The cluster whose price and power count: the setup's, else the shipped one that the device stands in."""
    return s.cluster or library.standing(s.device)


def overhead(s: Setup) -> Number:
    """Power at the wall over that of the devices."""
    if s.terms.overhead:
        return s.terms.overhead.value
    cluster, tdp = priced_cluster(s), s.device.power.tdp
    if cluster is None or cluster.power is None or tdp is None:
        return 1.0
    return maximum(cluster.power.value / (cluster.per_node * tdp.value), 1.0)


def rates(s: Setup) -> Rates:
    """What seconds and joules of a setup cost."""
    terms, found = s.terms, paid(s)
    spare = 1 / terms.utilisation.value - 1
    return Rates(
        second=hourly(s) / HOUR * s.devices,
        idle=spare * s.devices * idle_power(s.device),
        joule=0.0 if found and found.rented else terms.electricity.value / KWH,
        overhead=overhead(s),
        carbon=terms.carbon.value / KILO / KWH,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs in dollars, and a million of its tokens; joules at the wall of a token, kilograms of CO2."""

    request: Number
    usd_per_million_input: Number
    usd_per_million_output: Number
    joules_per_input_token: Number
    joules_per_token: Number
    co2_per_million_input: Number
    co2_per_million_output: Number


NO_COST = Cost(nan, nan, nan, nan, nan, nan, nan)
"""Where nothing is said of costs."""


@dataclass(frozen=True, slots=True)
class CostBasis:
    """On which terms costs are: dollars of an hour of one device in use, and in words what is paid and what is drawn.

    Dollars of a kWh, 0 where rent contains it, kilograms of CO2 of one, joules at the wall of one drawn.
    """

    usd_per_device_hour: Number
    usd_per_kwh: Number
    co2_per_kwh: Number
    overhead: Number
    paid: str
    drawn: str


def cost_basis(s: Setup) -> CostBasis:
    """The terms of a setup of numbers."""
    found = rates(s)
    return CostBasis(
        hourly(s), found.joule * KWH, found.carbon * KWH, found.overhead, priced(s), drawn(s)
    )  # fmt: skip


def cost_of(
    found: Rates, prompts: tuple[Number, Number, Number], steps: tuple[Number, Number, Number], whole: Number
) -> Cost:
    """The cost of tokens, by seconds and joules of so many: of `prompts` and of what `steps` make.

    `serve` has those of a steady state, `predict` those of a request, which costs the `whole`.
    """
    (t_in, e_in, n_in), (t_out, e_out, n_out) = prompts, steps
    return Cost(
        whole,
        MILLION * found.dollars(t_in, e_in) / n_in,
        MILLION * found.dollars(t_out, e_out) / n_out,
        found.wall(t_in, e_in) / n_in,
        found.wall(t_out, e_out) / n_out,
        MILLION * found.kilograms(t_in, e_in) / n_in,
        MILLION * found.kilograms(t_out, e_out) / n_out,
    )


def steady(found: Rates, rate: Number, energy: Number, share: Number, prompt: Number, generate: Number) -> Cost:
    """The cost of tokens where `rate` requests of so many tokens are answered in a second, for `energy` joules each.

    Prompts have a `share` of the time and of the energy, the answers the rest: idle time is theirs in proportion.
    """
    time = 1 / rate
    rest = 1 - share
    return cost_of(
        found, (share * time, share * energy, prompt), (rest * time, rest * energy, generate),
        found.dollars(time, energy),
    )  # fmt: skip
