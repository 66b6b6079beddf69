"""The parameters that can be calibrated: what each means, its unit, its limits and its prior.

The fit, the command line and the docs iterate this one table. A device file may state its own value
(`parameters:`), which wins over the prior; a calibration wins over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import exp, log
from types import MappingProxyType
from typing import Annotated, Any

from roofsim.foundation.errors import nearest
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.units import parse
from roofsim.foundation.values import dataclass

EDGE = 1e-6
"""How near to a limit a value may come, as a share of the range, before its scale without limits has an end."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row: `symbol` is how formulas print it, `scope` whose property it is, `source` why the prior.

    `spread` is how much it differs from one device or host to the next, as a share of the prior: the standard
    deviation that a fit gives the prior.
    """

    name: str
    symbol: str
    unit: str
    prior: float
    low: float
    high: float
    spread: float
    scope: str
    meaning: str
    source: str

    def free(self, value: float) -> float:
        """The value on a scale without limits, log((x − low) / (high − x)); near a limit as if inside by 10⁻⁶."""
        share = min(max((value - self.low) / (self.high - self.low), EDGE), 1 - EDGE)
        return log(share / (1 - share))

    def bounded(self, free: float) -> float:
        """The value that a number on the scale without limits stands for."""
        return self.low + (self.high - self.low) / (1 + exp(-free))

    def stretch(self, value: float) -> float:
        """By how much the value changes for a step on the scale without limits."""
        return (value - self.low) * (self.high - value) / (self.high - self.low)

    @property
    def free_spread(self) -> float:
        """The spread of the prior on the scale without limits."""
        return self.spread * self.prior / self.stretch(self.prior)


_ROWS = (
    Parameter(
        "gemm_efficiency", "eta_g", "", 0.80, 0.05, 1, 0.25, "device",
        "fraction of the dense matrix peak that a large matrix product reaches",
        "large products on A100 0.70-0.90, H100 0.71-0.79, RTX 4090 0.98, Orin Nano 0.58 "
        "(op_gemm_*.csv, op_vidur_a100.csv, op_llmservingsim_rtx4090.csv, ssmscope_*.csv)",
    ),
    Parameter(
        "vector_product_efficiency", "eta_x", "", 0.85, 0.05, 1, 0.15, "device",
        "fraction of the fp32 vector peak that a large matrix product reaches on the vector unit: those in fp32 where "
        "the software does not round to tf32",
        "large products of PyTorch in fp32: V100 PCIe 0.98, A100 PCIe 0.81, T4 0.48, whose clock its 70 W hold down "
        "(op_gemm_fp32_neusight.csv)",
    ),
    Parameter(
        "gemm_fill", "h_g", "", 1700, 0, 20000, 0.5, "device",
        "output elements per compute unit at which a matrix product in the dtype of the activations runs at half its "
        "rate (Hockney's n1/2); on a narrower unit the loss takes as long",
        "fits of 1.6e5 to 2.9e5 output elements on A100, H100 and RTX 4090, over 108-132 units",
    ),
    Parameter(
        "attention_efficiency", "eta_a", "", 0.90, 0.2, 1, 0.15, "device",
        "fraction of the matrix peak in the two products of fused attention, the softmax counted apart",
        "A100 0.90, H100 0.94, RTX 4090 0.86 (op_attention_*.csv, op_llmservingsim_rtx4090.csv, our H100 rows)",
    ),
    Parameter(
        "softmax_efficiency", "eta_s", "", 0.26, 0.02, 1, 0.5, "device",
        "fraction of the vector peak in the softmax of fused attention (five FLOP per pair)",
        "difference of head widths 64 and 128 on the H100 (sdpa_causal rows); A100 agrees",
    ),
    Parameter(
        "tile_time", "t_w", "s", 3.5e-6, 0, 1e-4, 0.5, "device",
        "time that a block of fused attention or of a delta rule takes beside its work, until its first data arrive "
        "and to write its results; each compute unit pays it once for every block that it gets",
        "H100 3.1 us, A100 4.1 us, RTX 4090 4.3 us (op_attention_a100_h100.csv, op_llmservingsim_rtx4090.csv)",
    ),
    Parameter(
        "masked_attention_efficiency", "eta_m", "", 1.5, 0.2, 6, 0.4, "device",
        "rate of attention's products when a mask is passed, as a multiple of the fp32 vector peak: every pair is "
        "scored by a memory-efficient kernel that the matrix unit does not bound; that for heads wider than 64",
        "H100 2.1-2.2 at head width 128 (docs/decisions/013); Zamba2 on the RTX 4090 1.0-1.2 "
        "(ssmscope_*.csv, op:aten::scaled_dot_product_attention)",
    ),
    Parameter(
        "narrow_masked_efficiency", "eta_n", "", 1.5, 0.2, 6, 0.4, "device",
        "the same for heads of up to 64, whose kernel has tiles of half as many keys",
        "H100 1.4-1.6 at head width 64 (docs/decisions/013)",
    ),
    Parameter(
        "quantised_efficiency", "eta_q", "", 0.2, 0.005, 2, 1.0, "device",
        "rate of matrix-vector products on quantised weights as a fraction of the fp32 vector peak: unpacking weights "
        "takes longer than reading them on a small device",
        "decode of Llama-3.2-1B in Q4_K_M on an Orin Nano in four power modes: 0.06 to 0.07 of the peak at each clock "
        "(jetson_orin_nano_super_llamacpp.csv); RTX 3090 at least 0.05: large cards are not bound by the prior",
    ),
    Parameter(
        "unpacked_bytes", "b_q", "B", 6, 1, 64, 0.4, "device",
        "bytes of weights that a compute unit's kernels for single rows take in per clock, unpacked or not",
        "decode on an Orin Nano 5.1 to 5.8 at 612 to 1,020 MHz, Q4_K_M and Q8_0; H100 6 in Q4_K_M, 7.7 in Q8_0 over "
        "2 us a kernel; in fp16 5.5 on the H100, 5.7 on the A100 (jetson_orin_nano_super_llamacpp.csv, "
        "h100_llamacpp.csv, llamacpp_llama3_gpus_apple.csv)",
    ),
    Parameter(
        "row_bytes", "b_v", "B", 5.7, 1, 64, 0.3, "device",
        "bytes of weights in fp16 that a compute unit's kernels for few rows take in per clock",
        "decode of Llama-3-8B in f16 (llama.cpp of 2024): A100 5.8, RTX 3090 5.5, M2 Ultra 5.6; RTX 4090 is bound by "
        "its memory (llamacpp_llama3_gpus_apple.csv); steps of eight sequences on an H100 (h100_llamacpp.csv)",
    ),
    Parameter(
        "tile_flops", "f_q", "FLOP", 740, 50, 8192, 0.3, "device",
        "FLOP per compute unit and clock in products of many rows on quantised weights, unpacking apart",
        "in tiles of 128 rows, which unpacking makes a third longer: H100 660, Orin Nano 820 to 900 in four modes "
        "(h100_llamacpp.csv, jetson_orin_nano_super_llamacpp.csv)",
    ),
    Parameter(
        "tile_columns", "a_q", "", 45, 0, 1000, 0.5, "device",
        "rows of activations whose products take as long as unpacking the weights of a tile does, in products of many "
        "rows on quantised weights",
        "prompts of 128 to 2,048 tokens on an Orin Nano, which the last piece makes uneven, and steps of 32 sequences "
        "on an H100 (jetson_orin_nano_super_llamacpp.csv, h100_llamacpp.csv)",
    ),
    Parameter(
        "step_time", "t_s", "s", 0.85e-6, 1e-8, 1e-4, 0.5, "device",
        "time of one step of a block of threads that joins states and tokens, element by element",
        "prompts and steps of mamba2-2.7b and LFM2-1.2B (h100_llamacpp.csv)",
    ),
    Parameter(
        "indexed_elements", "n_x", "", 1.25, 0.1, 32, 0.1, "device",
        "elements that a compute unit finds per clock in a broadcast or permuted tensor of two operands: index "
        "arithmetic, whatever they move",
        "six kernels on two devices, the work of each relative to such a product, 1.18 to 1.32: products, halves "
        "negated or joined, repeated heads on an H100 (h100_kernels.jsonl, h100_static_graphs.csv); joined halves, "
        "repeated heads on an Orin Nano (ssmscope_rtx4090_orin_nano.csv)",
    ),
    Parameter(
        "block_efficiency", "eta_b", "", 0.5, 0.05, 1.5, 0.3, "device",
        "rate of ggml's products of many rows on a processor, in fp16 or fp32, as a fraction of the fp32 vector peak: "
        "small tiles in registers, no blocks for the caches; that of k-quants where they go row by row",
        "Qwen2.5-0.5B and LFM2-350M in f16 on two cores of an EPYC 7001: 0.48 to 0.55 (epyc_2_cores_llamacpp.csv); "
        "bf16 on a Ryzen 9 7950X 0.5, q3_k to q6_k there in 2024 0.49 to 0.56 (cpu_ryzen7950x_ik.csv)",
    ),
    Parameter(
        "dot_efficiency", "eta_i", "", 0.62, 0.05, 1, 0.3, "device",
        "rate of ggml's products of many rows on a processor in blocks of 32 with a scale (q8_0, q5_0), as a fraction "
        "of what eight-bit products at their peak and the scaling of their sums would reach together",
        "q5_0 and q8_0 on two cores of an EPYC 7001, which has no dot-product instruction, 0.60 "
        "(epyc_2_cores_llamacpp.csv); on a Ryzen 9 7950X, which has one, q5_0 0.55, iq4_nl 0.60, q8_0 0.72 "
        "(cpu_ryzen7950x_ik.csv)",
    ),
    Parameter(
        "repacked_efficiency", "eta_k", "", 0.9, 0.05, 4, 0.4, "device",
        "rate of ggml's products of many rows on a processor where weights lie interleaved (q4_0, q4_k) or are "
        "unpacked tile by tile (other k-quants), as a fraction of the fp32 vector peak",
        "LFM2-350M in q4_k_m on two cores of an EPYC 7001 0.92 (epyc_2_cores_llamacpp.csv), q4_0 on a Ryzen 9 7950X "
        "0.95 (cpu_ryzen7950x_ik.csv)",
    ),
    Parameter(
        "unpacked_per_flop", "b_u", "B", 0.12, 0.01, 2, 0.3, "device",
        "bytes of quantised weights that one row's product on a processor takes in for each FLOP of the vector peak",
        "decode on two cores of an EPYC 7001 0.11 (Qwen2.5-0.5B, q5_0 and q8_0) to 0.14 (LFM2-350M, q4_k); two threads "
        "of a Ryzen 9 7950X 0.09 (q5_0) to 0.16 (q4_0) (epyc_2_cores_llamacpp.csv, cpu_ryzen7950x_ik.csv)",
    ),
    Parameter(
        "row_attention_efficiency", "eta_o", "", 0.04, 0.002, 1, 0.5, "device",
        "rate of attention on a processor where queries go one by one, as a fraction of the fp32 vector peak: ggml "
        "keeps sums in fp16 and converts them at each key; PyTorch in a decode step",
        "decode at depths of 0 and 512 in f16 on two cores of an EPYC 7001: 2.6 GFLOP/s in LFM2-350M and Qwen2.5-0.5B "
        "(epyc_2_cores_llamacpp.csv); PyTorch in bf16 on two cores of an EPYC 9004: the same, 0.016 of their peak "
        "(epyc_2_cores_transformers_eager.csv)",
    ),
    Parameter(
        "scalar_flops", "f_s", "FLOP", 0.6, 0.05, 8, 0.5, "device",
        "FLOP per core and clock in loops of ggml that use no vector unit: short convolutions, the scan of Mamba-1 "
        "with an exponential for each element of the state",
        "the loop of the scan by itself on a core of an EPYC 9005, 4.1 ns for nine FLOP at 16 elements a channel",
    ),
    Parameter(
        "barrier_time", "t_b", "s", 4e-6, 1e-8, 1e-3, 1.0, "device",
        "time that a node of the graph takes on a processor beside its work: threads wait for each other after each",
        "decode of mamba2-130m on two cores of an EPYC 7001 (epyc_2_cores_llamacpp.csv)",
    ),
    Parameter(
        "ssd_efficiency", "eta_d", "", 0.9, 0.05, 3, 0.5, "device",
        "rate of the chunked Mamba-2 scan as a fraction of the fp32 vector peak (its Triton products do not scale "
        "with the matrix unit)",
        "H100 1.0, B200 0.9, RTX 4090 at least 0.6 (our ssd_chunk_scan rows, op_ssm_h100_b200.csv, ssmscope_*.csv)",
    ),
    Parameter(
        "delta_efficiency", "eta_z", "", 0.4, 0.02, 1, 0.5, "device",
        "fraction of the matrix peak in a fused gated delta rule, chunk after chunk, when every unit has a head",
        "H100 0.4: 2.9 us for a chunk of 64 tokens (FlashInfer's kernel, op_ssm_h100_b200.csv)",
    ),
    Parameter(
        "scan_efficiency", "eta_c", "", 0.085, 0.01, 1, 0.3, "device",
        "fraction of the vector peak in the selective scan of Mamba-1 (nine FLOP per state element)",
        "H100 0.10 up to 4,096 tokens and 0.08 from 16,384, Orin Nano 0.11 and 0.08 (selective_scan and "
        "mambainnerfn rows)",
    ),
    Parameter(
        "vector_efficiency", "eta_v", "", 0.5, 0.05, 1, 0.5, "device",
        "fraction of the vector peak in element-wise kernels (nearly always bound by memory instead)",
        "prior: half of the peak counts multiply-add pairs that these kernels lack",
    ),
    Parameter(
        "memory_efficiency", "eta_w", "", 0.90, 0.1, 1, 0.12, "device",
        "fraction of the memory bandwidth that streaming reaches",
        "copies and sums: H100 0.91, RTX 4090 0.92, Orin Nano 0.93, A100 0.89",
    ),
    Parameter(
        "strided_efficiency", "eta_r", "", 0.70, 0.1, 1, 0.25, "device",
        "fraction of the bandwidth in kernels that convert, reduce or broadcast",
        "pieces of an eager norm: H100 0.56-0.72 (h100_kernels.jsonl), RTX 4090 0.88 and Orin Nano 0.72-0.77 "
        "(ssmscope_*.csv)",
    ),
    Parameter(
        "transpose_efficiency", "eta_t", "", 0.17, 0.02, 1, 0.5, "device",
        "fraction of the bandwidth in copies that turn rows into columns",
        "copies before the selective scan of mamba-790m on the H100, 0.53 TB/s of 3.35 (h100_kernels.jsonl)",
    ),
    Parameter(
        "cache_speed", "kappa", "", 1.8, 1, 10, 0.5, "device",
        "bandwidth of the last-level cache as a multiple of memory's, for tensors that stay in it",
        "RTX 4090: gated activation of 22 to 44 MB at 1.8 times the rate of a large one (op_llmservingsim_rtx4090.csv)",
    ),
    Parameter(
        "cache_share", "phi", "", 0.6, 0, 1, 0.4, "device",
        "share of the last-level cache in which one kernel finds what the kernel before it wrote",
        "RTX 4090: gated activations of 66 to 176 MB miss all but 45 MB of a 75 MB cache "
        "(op_llmservingsim_rtx4090.csv)",
    ),
    Parameter(
        "piece_gap", "b_p", "B", 4000, 0, 1e5, 0.7, "device",
        "bytes that memory could have moved in the time that each piece of a paged cache takes beside its own: keys or "
        "values of a page",
        "H100: attention in pages of 64 tokens, pieces of 64 and 128 KiB, streams 3.1 TB/s beyond its fixed times "
        "(op_attention_a100_h100.csv); steps of Qwen2.5-1.5B, pieces of 8 KiB, 1.9 TB/s (h100_vllm.csv)",
    ),
    Parameter(
        "kernel_time", "t_k", "s", 1.2e-6, 0, 1e-4, 0.6, "device",
        "shortest time of a kernel on the device",
        "H100: 1.1-1.2 us for kernels on a few kilobytes (h100_kernels.jsonl)",
    ),
    Parameter(
        "strided_kernel_time", "t_r", "s", 2.0e-6, 0, 1e-4, 0.6, "device",
        "shortest time of a kernel that converts, reduces or broadcasts",
        "H100 decode: conversions 2.4 us, means 2.2 us, broadcasts 1.6 us (h100_kernels.jsonl)",
    ),
    Parameter(
        "tensor_kernel_time", "t_g", "s", 3e-6, 0, 1e-4, 0.6, "device",
        "time that a matrix product or scan kernel takes beside its work",
        "H100 3.8 us, A100 5.4 us, RTX 4090 5.8 us over vLLM's products; 2.2-3 us for the smallest in an H100 decode",
    ),
    Parameter(
        "attention_kernel_time", "t_a", "s", 4.5e-6, 0, 1e-4, 1.0, "device",
        "time that a fused attention kernel takes beside its tiles, its scheduling included",
        "beside tile_time and replay_time 1 us on H100, 1 to 6 us on RTX 4090 and A100 (op_attention_a100_h100.csv, "
        "op_llmservingsim_rtx4090.csv)",
    ),
    Parameter(
        "replay_time", "t_y", "s", 4e-6, 0, 1e-4, 0.5, "device",
        "time between the end of a captured graph and the first kernel of the next: of a step that is one, or of an "
        "operator measured as one",
        "smallest attention kernels 8.3 to 9.8 us on an H100 and 12 us on an A100, replayed one call at a time; "
        "products of the same collector, five in a graph, 3 us (op_attention_a100_h100.csv, op_gemm_a100_h100.csv)",
    ),
    Parameter(
        "link_speed", "eta_l", "", 1, 0.1, 1.5, 0.1, "device",
        "rate of links from device to device (NVLink, Infinity Fabric) relative to what the file of a cluster says "
        "that long messages reach",
        "rings on 2 to 8 H100 reach 365 to 370 GB/s (NVIDIA/nccl issue 1455) of the 371 that NCCL counts on; spread as "
        "of bus bandwidths that users report",
    ),
    Parameter(
        "path_speed", "eta_h", "", 1, 0.05, 1.5, 0.3, "device",
        "the same of ways through processors and networks (PCIe, Ethernet, InfiniBand, Thunderbolt)",
        "prior: as the file says; 22 to 40 GB/s in bus bandwidth of eight RTX PRO 6000, by how they are plugged "
        "(voipmonitor/rtx6kpro, hardware/pcie-bandwidth.md)",
    ),
    Parameter(
        "link_delay", "kappa_l", "", 1, 0, 20, 0.5, "device",
        "latency of links relative to what the file of a cluster says",
        "prior: as the file says; spread assumed",
    ),
    Parameter(
        "collective_time", "t_n", "s", 6.6e-6, 0, 1e-3, 0.5, "device",
        "time that a collective of NCCL takes beside its steps and its bytes, in the fastest protocol",
        "NCCL's own model, baseLatencies of src/graph/tuning.cc at commit 5067397c26; all-reduces of 0.5 MiB on 4 and "
        "8 H100 take 21 and 24 us (vllm-project/vllm pull requests 24532 and 42324)",
    ),
    Parameter(
        "peer_time", "t_e", "s", 3.4e-6, 0, 1e-3, 0.5, "device",
        "time of a round of a kernel that reads the memory of other devices, beside the latency of its messages",
        "H100: one round on 4 and 6 devices takes 5.7 us beside its bytes, two on 8 take 11 us, a sum in the switch "
        "9 us (the same pull requests), with messages of 0.6 us each",
    ),
    Parameter(
        "peer_efficiency", "eta_p", "", 0.7, 0.05, 1, 0.2, "device",
        "part of the rate of links that such kernels reach in two rounds, or where the switch adds up",
        "H100: 0.60 and 0.75 on 4 and 6 devices, 0.68 on 8; 0.64 to 0.68 where the switch adds up (the same pull "
        "requests, slopes from 0.5 to 64 MiB)",
    ),
    Parameter(
        "dispatch", "t_h", "s", 12e-6, 1e-7, 1e-3, 1.0, "host",
        "host time to prepare and launch one kernel in eager mode",
        "12.4 ms for about 1,030 kernels on the desktop of the RTX 4090 (ssmscope_*.csv)",
    ),
    Parameter(
        "triton_dispatch", "t_t", "s", 60e-6, 0, 1e-3, 1.0, "host",
        "host time that a kernel launched through Triton takes beside that of dispatch",
        "mamba2-780m decode on the desktop of the RTX 4090: 13.7-14.7 ms for 435 kernels, 144 of them Triton's "
        "(ssmscope_*.csv)",
    ),
    Parameter(
        "attention_plan", "t_p", "s", 0.040, 0, 0.5, 0.5, "host",
        "host time to plan attention for a length of keys not seen before, once per shape and decode step, on devices "
        "where PyTorch prefers attention that needs a plan (cuDNN's)",
        "H100, PyTorch 2.11: 37 to 60 ms for most shapes whatever the length; a step of Qwen2.5-0.5B takes 95 ms as it "
        "is, 28 ms with cuDNN's attention switched off and 29 ms at lengths seen before (data/README.md)",
    ),
    Parameter(
        "workspace", "M_w", "B", 8.125 * 2**20, 0, 2**30, 0.7, "device",
        "memory that the matrix library keeps for itself once it has been used",
        "PyTorch's default for cuBLAS, 8.125 MiB (32 MiB on Hopper); measured peaks exceed the live tensors by it",
    ),
    Parameter(
        "waiting_power", "p_w", "", 0.088, 0, 0.4, 0.5, "device",
        "share of the dynamic power (TDP - idle) drawn as long as a program holds the device, its clocks up",
        "tools/fit_power.py on 156 passes of 20 models on an H100 (energy_j of data/h100_sxm_transformers_eager.csv): "
        "median error 1.9 % in decode and 2.6 % in prefill on models left out",
    ),
    Parameter(
        "active_power", "p_a", "", 0.48, 0, 1, 0.3, "device",
        "share of the dynamic power drawn while the units are at work, beyond the fixed time of a kernel",
        "as for waiting_power; the supply of an Orin Nano's units agrees within 9 % in three power modes",
    ),
    Parameter(
        "flop_power", "p_f", "", 1.17, 0, 3, 0.4, "device",
        "share of the dynamic power drawn on top by work at its peak rate",
        "as for waiting_power",
    ),
    Parameter(
        "byte_power", "p_b", "", 0.27, 0, 2, 0.4, "device",
        "share of the dynamic power drawn on top by memory traffic at full bandwidth",
        "as for waiting_power",
    ),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameter] = MappingProxyType({row.name: row for row in _ROWS})
"""Every calibratable parameter by name."""


def priors() -> dict[str, float]:
    """The prior of every parameter."""
    return {row.name: row.prior for row in _ROWS}


def stated(values: Mapping[str, Sourced]) -> None:
    """Raises ValueError unless a spec states values of parameters that there are, within their limits."""
    for name, each in values.items():
        row = PARAMETERS.get(name)
        if row is None:
            near = ", ".join(nearest(name, PARAMETERS)) or ", ".join(PARAMETERS)
            raise ValueError(f"parameters: no '{name}'; nearest: {near}")
        if not row.low <= each.value <= row.high:
            raise ValueError(f"parameters.{name}: {each.value:g} is not from {row.low:g} to {row.high:g}")


class _InUnits:
    """Reads values of parameters with their units."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(_in_si, handler(source))


Stated = Annotated[Mapping[str, Sourced], _InUnits()]
"""Values of parameters by their names, with a unit (2 us) or as numbers in SI units."""


def _in_si(values: Any) -> Any:
    """Values of parameters in SI units; raises ValueError for one in another unit."""
    if not isinstance(values, Mapping):
        return values
    return {name: _number(name, each) for name, each in values.items()}


def _number(name: str, given: Any) -> Any:
    if isinstance(given, Mapping):
        return {**given, "value": _number(name, given["value"])} if "value" in given else given
    row = PARAMETERS.get(name)
    if row is None or not isinstance(given, str):
        return given
    with suppress(ValueError):
        return float(given)  # text to YAML: 2e-6
    try:
        return parse(given, row.unit)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
