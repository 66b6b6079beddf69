"""What a page is told of where calibrations are less sure."""

from __future__ import annotations

from roofsim import library
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.fitted import chosen, doubted
from roofsim.prediction.intervals import scatter
from roofsim.prediction.setup import setup
from roofsim.web.cases import doubts
from roofsim.web.stacks import beside

FITTED = "jetson-orin-nano-8gb@llama.cpp"
FORMATS = {"bf16": None, "q4_k_m": "q4_k_m", "q8_0": "q8_0"}


def test_formats_that_were_not_measured_are_in_doubt_by_model_and_calibration():
    everything = dict.fromkeys(("bf16", "q8_0", "q4_0"), "rates")
    assert doubts(setup("Llama-3.2-1B", "orin", "llama.cpp"), FORMATS) == {
        FITTED: {"bf16": everything, "q8_0": everything, "q4_k_m": {"q8_0": "scatter", "q4_0": "scatter"}}
    }  # fmt: skip
    assert doubts(setup("mamba2-130m", "orin", "llama.cpp"), FORMATS) == {FITTED: dict.fromkeys(FORMATS, everything)}
    assert doubts(setup("Llama-3.2-1B", "rtx-4090", "llama.cpp"), FORMATS) == {}


def test_in_doubt_rates_have_the_spread_of_the_population_and_figures_its_scatter():
    s = chosen(setup("Llama-3.2-1B", "orin", "llama.cpp"))
    order = list(PARAMETERS)
    for known, rate in ((s, 0), (doubted(s, "rates"), s.priors.shown * s.priors.spreads["unpacked_bytes"])):
        found = beside(known)
        assert found["spreads"][order.index("unpacked_bytes")] == rate
        assert found["spreads"][order.index("kernel_time")] == 0
        assert found["scatter"]["tpot"] == [scatter(known, ("latency_s", "decode"), host) for host in (False, True)]
    assert beside(setup("Llama-3.2-1B", library.device("orin"), "llama.cpp"))["spreads"].count(0) == 0
