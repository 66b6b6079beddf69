"""Refit every calibration in hardware/calibrated/.

usage: python tools/calibrate_shipped.py FOLDER [NAME ...]

FOLDER holds the files of runs named below; our own, in data/, are read from the
checkout. The other files are tables of published measurements: each row names its source, a repository and commit
or a paper. Needs SciPy.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from roofsim import library
from roofsim.fitting.run import Options, calibrate
from roofsim.reports.calibration import missing_terms
from roofsim.runs.importers import read_all
from roofsim.specs.files import dump

ROOT = Path(__file__).resolve().parents[1] / "hardware"
DATE = "2026-11-29"

SSM_SCOPE = "SSM-Scope (arXiv 2507.12442), artifact sapmitra/SSM-Scope at 574a2c2589"
LLAMA_BENCH = "XiongjieDai/GPU-Benchmarks-on-LLM-Inference at aa72e0ec86, LLaMA 3"
AICONFIGURATOR = "ai-dynamo/aiconfigurator at 095f58a51c, systems/data"

# Operators that are called one by one from Python take as long as the call below some 200 us; in a captured graph they
# take their own time. But products in a row overlap there (cuBLAS launches the next while one ends): 896 x 896 takes
# 3.5 us, where such kernels of a step take 3.9 to 4.7. So small ones say nothing of passes. A host that shared its
# processor with a compiler says nothing of the host.
QUIET = (
    "op == 'e2e' and not (metric == 'latency_s' and host_contended) "
    "or op != 'e2e' and (timed == 'graph' and op != 'linear' or value > 2e-4)"
)

# Passes of vLLM are fitted without tables of its operators: products there are timed in bursts, at clocks that passes
# do not keep, and attention in larger pages (docs/decisions/040).

# Below 1,024 tokens the Orin Nano ran at another clock: of mamba-130m, norms, products and scans alike take 1.7 to 2.2
# times as long per token at 256 and 512 tokens as at 1,024.
CLOCKED_UP = "metric == 'peak_mem_bytes' or prompt_len >= 1024"

# Two series of TTFT of mamba2-780m contradict each other (docs/decisions/008). Fitted to the slower one, memory is
# taken to reach half of its bandwidth, which no other row says.
UNDISPUTED = "not (model == 'mamba2-780m' and op == 'e2e' and phase == 'prefill' and metric == 'latency_s')"

# On the Orin Nano one configuration was measured in q8_0, of SmolLM2-360M, which a fit may follow by taking weights in
# at 9 bytes per unit and clock at 7 W and at 7.5 at 25 W, where all others take 5.6. Other models of the same table,
# which are in no file here, come out 23 to 32 % too fast then, and right without it (docs/decisions/063).
OF_SEVERAL = "weight_dtype == 'q4_k_m'"


@dataclass(frozen=True)
class Shipped:
    """One calibration: what it is fitted to, and why not to all of it."""

    name: str
    device: str
    runtime: str
    files: tuple[str, ...]
    source: str
    where: str = ""


SHIPPED = (
    Shipped("h100-sxm@transformers-5", "h100-sxm", "transformers-5-eager", ("h100_sxm_transformers_eager.csv",),
            "our own measurements, data/h100_sxm_transformers_eager.csv", QUIET),
    Shipped("h100-sxm@transformers-5-static", "h100-sxm", "transformers-5-static", ("h100_static_graphs.csv",),
            "our own measurements, transformers 5.17 with a StaticCache, one captured graph per decode step",
            "'captured' in framework"),
    Shipped("h100-sxm@vllm", "h100-sxm", "vllm",
            ("h100_vllm.csv",), "our own measurements, vLLM 0.23 in the calling process"),
    Shipped("epyc-genoa-2-cores@transformers-5", "epyc-genoa-2-cores", "transformers-5-cpu",
            ("epyc_2_cores_transformers_eager.csv",), "our own measurements, data/epyc_2_cores_transformers_eager.csv"),
    Shipped("rtx-4090@ssm-scope", "rtx-4090", "transformers-4.52-eager",
            ("ssmscope_rtx4090_orin_nano.csv",), SSM_SCOPE, UNDISPUTED),
    Shipped("jetson-orin-nano-8gb@ssm-scope", "jetson-orin-nano-8gb", "transformers-4.52-eager",
            ("ssmscope_rtx4090_orin_nano.csv",), SSM_SCOPE, CLOCKED_UP),
    *(Shipped(f"jetson-orin-nano-8gb@llama.cpp{mode.replace('@', '-')}", f"jetson-orin-nano-8gb{mode}", "llama.cpp",
              ("jetson_orin_nano_super_llamacpp.csv",), "YuvrajSingh-mist/smolperfbenchmark at ba92a6e0b1", OF_SEVERAL)
      for mode in ("", "@25w", "@15w", "@7w")),
    Shipped("epyc-naples-2-cores@llama.cpp-cpu", "epyc-naples-2-cores", "llama.cpp-cpu",
            ("epyc_2_cores_llamacpp.csv",), "our own measurements, llama.cpp of 2026-10-01 on two cores, llama-bench"),
    Shipped("h100-sxm@llama.cpp", "h100-sxm", "llama.cpp", ("h100_llamacpp.csv",),
            "our own measurements, llama.cpp of 2026-10-01 with CUDA 13, llama-bench and llama-batched-bench"),
    *(Shipped(f"{device}@llama.cpp-b2824", device, "llama.cpp-b2824", ("llamacpp_llama3_gpus_apple.csv",), LLAMA_BENCH)
      for device in ("rtx-3090", "rtx-4070-ti", "rtx-4090", "a100-pcie-80gb")),
    *(Shipped(f"{device}@llama.cpp-b2797", device, "llama.cpp-b2797-metal", ("llamacpp_llama3_gpus_apple.csv",),
              LLAMA_BENCH) for device in ("apple-m1-7-core", "apple-m2-ultra")),
    *(Shipped(f"{device}@vllm-operators", device, "vllm",
              ("op_gemm_a100_h100.csv", "op_attention_a100_h100.csv", "op_ssm_h100_b200.csv"), AICONFIGURATOR)
      for device in ("h100-sxm", "a100-sxm-80gb")),
)  # fmt: skip


def main() -> None:
    """Write the files, and print the errors on rows held out."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for each in SHIPPED:
        if names and each.name not in names:
            continue
        device, runtime = library.device(each.device), library.runtime(each.runtime)
        own = ROOT.parent / "data"
        data = read_all([str(own / f if (own / f).is_file() else folder / f) for f in each.files])
        host = library.host(device.host) if device.host else None
        options = Options(where=each.where, name=f"{device.name}, {runtime.name}", source=each.source, date=DATE)
        result = calibrate(data, device, runtime, host, options)
        (ROOT / "calibrated" / f"{each.name}.yaml").write_text(dump(result.calibration), encoding="utf-8")
        print(f"{each.name}: {len(result.lines)} rows")
        for h in result.calibration.held_out:
            if h.lengths == "all":
                print(f"  {h.metric} of {h.phase}: {h.rows} rows, median {h.median_error:.1%}, "
                      f"90th {h.p90_error:.1%}, covered {h.coverage:.0%}")  # fmt: skip
        for line in missing_terms(result):
            print(f"  ! {line}")


if __name__ == "__main__":
    main()
