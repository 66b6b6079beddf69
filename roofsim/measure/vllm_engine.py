"""Times vLLM's offline engine: a program for the Python that vLLM is installed in, which need not have roofsim.

usage: python vllm_engine.py ASKED.json

What is asked: `fields` and `parameters` of the model, `engine` with arguments of vLLM's LLM, `points` as pairs of batch
and tokens, `steps`, `repeats`, `budget` of tokens that one step of the engine takes, `seconds` after which no repeat is
begun, and a `folder` for the config. What is answered are lines of JSON under the key `roofsim`, among whatever vLLM
prints. Each says what it is under `is`: `engine` once it is up, `at` before a point, `times` after it, `failed` or
`oom` if the engine refused it, `refused` if the model is another one.

Read of vLLM 0.23.0: entrypoints/llm.py, v1/engine/core_client.py (blocks of the cache), model_loader/dummy_loader.py.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from importlib import import_module
from typing import Any

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1"}
"""Nothing is asked of the network, which there may be none of, nor told to it."""

PATIENCE = 5.0
"""Seconds that an engine may take to shut down."""


def tell(what: str, **said: Any) -> None:
    """One line of the answer."""
    sys.stdout.write(json.dumps({"roofsim": {"is": what, **said}}) + "\n")
    sys.stdout.flush()


def config(fields: dict[str, Any], parameters: int | None, folder: str) -> str:
    """Write the config.json that vLLM reads; what is wrong with the model, or nothing."""
    torch, transformers = import_module("torch"), import_module("transformers")
    classes = import_module("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    given = {name: value for name, value in fields.items() if name not in ("model_type", "auto_map")}
    whole = transformers.AutoConfig.for_model(fields["model_type"], **given)
    whole.architectures = [classes[fields["model_type"]]]
    whole.save_pretrained(folder)
    if parameters is None:
        return ""
    with torch.device("meta"):
        held = sum(each.numel() for each in transformers.AutoModelForCausalLM.from_config(whole).parameters())
    return "" if held == parameters else f"its config makes {held:,} parameters, our description has {parameters:,}"


def clocked(model: Any, prompts: list[Any], tokens: int) -> float:
    """Seconds of one call that adds so many tokens to every prompt, all of them handed in at once."""
    sampling = import_module("vllm").SamplingParams(
        temperature=1.0, max_tokens=tokens, ignore_eos=True, detokenize=False
    )
    start = time.perf_counter()
    model.generate(prompts, sampling, use_tqdm=False)
    return time.perf_counter() - start


def late(batch: int, tokens: int, budget: int) -> int:
    """Steps of the engine after the first until all prompts are read."""
    return -(-batch * tokens // budget) - 1


def times(model: Any, batch: int, tokens: int, asked: dict[str, Any], vocab: int) -> tuple[list[float], list[float]]:
    """Seconds of a prefill of all sequences, and of one decode step of all, of every repeat.

    The first token of a sequence comes with the last piece of its prompt, and pieces of `budget` tokens go one after
    another, so that some sequences decode before others have begun. Two calls that differ by `steps` tokens, and are
    both longer than that, differ by steps of all sequences together and nothing else.
    """
    random.seed(batch * 1_000_003 + tokens)
    prompts = [{"prompt_token_ids": random.choices(range(vocab), k=tokens)} for _ in range(batch)]
    behind = late(batch, tokens, asked["budget"])
    clocked(model, prompts, behind + 2)
    prefill: list[float] = []
    decode: list[float] = []
    began = time.perf_counter()
    while len(prefill) < asked["repeats"] and (not prefill or time.perf_counter() - began < asked["seconds"]):
        first = clocked(model, prompts, 1)
        short = clocked(model, prompts, 1 + behind) if behind else first
        long = clocked(model, prompts, 1 + behind + asked["steps"])
        prefill.append(first)
        decode.append((long - short) / asked["steps"])
    return prefill, decode


def main(path: str) -> int:
    """Do what is asked."""
    with open(path, encoding="utf-8") as file:
        asked = json.load(file)
    if wrong := config(asked["fields"], asked["parameters"], asked["folder"]):
        tell("refused", said=wrong)
        return 0
    vllm = import_module("vllm")
    model = vllm.LLM(
        model=asked["folder"], load_format="dummy", skip_tokenizer_init=True, enable_prefix_caching=False, seed=0,
        **asked["engine"],
    )  # fmt: skip
    settings = model.llm_engine.vllm_config
    cache, vocab = settings.cache_config, settings.model_config.get_vocab_size()
    blocks, block = cache.num_gpu_blocks, cache.block_size
    tell("engine", version=vllm.__version__, blocks=blocks, block_size=block)
    for batch, tokens in asked["points"]:
        tell("at", batch=batch, tokens=tokens)
        longest = tokens + asked["steps"] + late(batch, tokens, asked["budget"])
        if batch * -(-longest // block) > blocks:  # sequences would wait for each other
            tell("oom", batch=batch, tokens=tokens, said=f"the cache has room for {blocks * block:,} tokens")
            continue
        try:
            prefill, decode = times(model, batch, tokens, asked, vocab)
        except Exception as error:
            if type(error).__name__ == "EngineDeadError":
                raise
            said = f"{type(error).__name__}: {error}"
            tell("oom" if "out of memory" in said else "failed", batch=batch, tokens=tokens, said=said[:300])
        else:
            tell("times", batch=batch, tokens=tokens, prefill=prefill, decode=decode)
    end = threading.Timer(PATIENCE, os._exit, [0])  # an engine that does not shut down is left
    end.daemon = True
    end.start()
    return 0


if __name__ == "__main__":
    os.environ.update(OFFLINE)
    beside = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != beside]  # files here have names of packages
    sys.exit(main(sys.argv[1]))
