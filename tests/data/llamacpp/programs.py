#!/usr/bin/env python3
"""Stands in for llama-bench, llama-batched-bench and llama-quantize: prints lines as they do, made up by hand.

The fields are those of the README of llama-bench (llama.cpp, tools/llama-bench) and of the source of batched-bench.
The time of a token is 10 us and 10 ns for each that went before; FAKE_MEMORY tokens fit. FAKE_BENCH=HOW@TOKENS spoils
the line of a prompt or depth of so many: `crash` and `killed` before it, `cut` in the middle of it, `other` by other
JSON, `zero` by a time that is none, `lost` leaves it out; `late` is a crash before the second such line.
"""

import json
import os
import shutil
import signal
import sys

NAME = os.path.basename(sys.argv[0])
MEMORY = int(os.environ.get("FAKE_MEMORY", "1000000"))
HOW, _, WHERE = os.environ.get("FAKE_BENCH", "").partition("@")
SEEN = []


def options():
    words = sys.argv[1:]
    return {name: value for name, value in zip(words[::2], words[1::2], strict=False)}


def counts(text):
    return [int(each) for each in text.split(",")]


def over(said):
    print(
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 81920.00 MiB on device 0: cudaMalloc failed: out of "
        f"memory\nmain: error: {said}",
        file=sys.stderr,
    )
    sys.exit(1)


def tell(tokens, data):
    """Print a line, or what FAKE_BENCH makes of it."""
    SEEN.append(tokens)
    if WHERE and tokens == int(WHERE) and (HOW != "late" or SEEN.count(tokens) > 1):
        if HOW in ("crash", "killed", "late"):
            os.kill(os.getpid(), signal.SIGKILL if HOW == "killed" else signal.SIGABRT)
        if HOW == "cut":
            print(json.dumps(data)[:40], flush=True)
        if HOW == "other":
            print(json.dumps({"version": 2, "results": [data]}), flush=True)
        if HOW == "zero":
            print(json.dumps({**data, "samples_ns": [0], "t_tg": 0}), flush=True)
    else:
        print(json.dumps(data), flush=True)


def bench(given):
    for prompt, generated, depth in (
        (p, n, d) for p in counts(given["-p"]) for n in counts(given["-n"]) for d in counts(given.get("-d", "0"))
    ):
        if prompt + generated + depth > MEMORY:
            over("failed to create context with model")
        seconds = (prompt or generated) * (1e-5 + 1e-8 * (prompt / 2 + depth))
        samples = [int(1e9 * seconds * (1 + i / 100)) for i in range(int(given["-r"]))]
        average = sum(samples) // len(samples)
        tell(prompt or depth, {
            "build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor",
            "gpu_info": "NVIDIA GeForce RTX 4090", "backends": "CUDA", "model_filename": given["-m"],
            "model_type": "qwen2 ?B F16", "model_size": os.path.getsize(given["-m"]), "model_n_params": 7615616512,
            "n_batch": int(given["-b"]), "n_ubatch": int(given["-ub"]), "n_threads": 8, "type_k": "f16",
            "type_v": "f16", "n_gpu_layers": -1, "flash_attn": 1, "n_prompt": prompt, "n_gen": generated,
            "n_depth": depth, "test_time": "2025-04-24T11:59:33Z", "avg_ns": average, "stddev_ns": 883196,
            "avg_ts": 1e9 * (prompt or generated) / average, "stddev_ts": 90.9, "samples_ns": samples,
            "samples_ts": [1e9 * (prompt or generated) / each for each in samples],
        })  # fmt: skip


def batched(given):
    prompt, steps = int(given["-npp"]), int(given["-ntg"])
    if int(given["-c"]) > MEMORY:
        over("failed to create the llama_context")
    print("0.00.130.003 I llama_batched_bench: not a line of JSON")
    for batch in counts(given["-npl"]):
        pp = batch * prompt * (1e-5 + 1e-8 * prompt / 2)
        tg = steps * (1e-5 + 1e-6 * batch)
        tell(prompt * batch, {
            "n_kv_max": int(given["-c"]), "n_batch": 2048, "n_ubatch": 512, "flash_attn": 1, "is_pp_shared": 0,
            "n_gpu_layers": 99, "n_threads": 8, "n_threads_batch": 8, "pp": prompt, "tg": steps, "pl": batch,
            "n_kv": batch * (prompt + steps), "t_pp": round(pp, 6), "speed_pp": batch * prompt / pp,
            "t_tg": round(tg, 6), "speed_tg": batch * steps / tg, "t": pp + tg, "speed": 1.0,
        })  # fmt: skip


def main():
    if NAME == "llama-quantize":
        if os.environ.get("FAKE_QUANTIZE") in ("fails", sys.argv[3]):
            print("main: failed to quantize model: error: no such type", file=sys.stderr)
            sys.exit(1)
        shutil.copyfile(sys.argv[1], sys.argv[2])
    elif "--list-devices" in sys.argv:
        print("Available devices:\n  CUDA0: NVIDIA GeForce RTX 4090 (24081 MiB, 23642 MiB free)")
    elif HOW == "fails":
        print("main: error: failed to load model", file=sys.stderr)
        sys.exit(1)
    elif NAME == "llama-bench":
        bench(options())
    else:
        batched(options())


if __name__ == "__main__":
    main()
