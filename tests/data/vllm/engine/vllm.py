"""Stands in for vLLM: takes the arguments that vLLM 0.23.0 has, and keeps a clock of its own in place of a GPU's.

A step takes 1 s and 1 ms for every token that it works on. As vLLM's scheduler does it, sequences that decode come
first, and prompts get what the budget leaves.
"""

import json
import os
import time
from dataclasses import dataclass
from types import SimpleNamespace

__version__ = "0.23.0"
NOW = [0.0]
time.perf_counter = lambda: NOW[0]


@dataclass
class SamplingParams:
    temperature: float
    max_tokens: int
    ignore_eos: bool
    detokenize: bool


class LLM:
    def __init__(
        self, model, *, load_format, skip_tokenizer_init, enable_prefix_caching, seed, dtype, max_model_len,
        max_num_batched_tokens, max_num_seqs, gpu_memory_utilization, quantization=None,
    ):  # fmt: skip
        with open(os.path.join(model, "config.json")) as file:
            config = json.load(file)
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert load_format == "dummy"
        assert skip_tokenizer_init
        assert not enable_prefix_caching
        assert config["max_position_embeddings"] >= max_model_len
        assert quantization in (None, "fp8")
        self.budget, self.longest, self.vocab = max_num_batched_tokens, max_model_len, config["vocab_size"]
        self.llm_engine = SimpleNamespace(vllm_config=SimpleNamespace(
            cache_config=SimpleNamespace(num_gpu_blocks=80, block_size=16),
            model_config=SimpleNamespace(get_vocab_size=lambda: self.vocab),
        ))  # fmt: skip

    def generate(self, prompts, sampling, use_tqdm):
        assert sampling.ignore_eos
        left = [len(each["prompt_token_ids"]) for each in prompts]
        assert all(0 <= token < self.vocab for each in prompts for token in each["prompt_token_ids"])
        assert max(left) + sampling.max_tokens <= self.longest
        if max(left) == 48:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
        made = [0] * len(left)
        while min(made) < sampling.max_tokens:
            budget = self.budget
            for i, each in enumerate(left):
                if each == 0 and made[i] < sampling.max_tokens:
                    made[i], budget = made[i] + 1, budget - 1
            for i, each in enumerate(left):
                piece = min(each, budget)
                left[i], budget = each - piece, budget - piece
                if piece and left[i] == 0:
                    made[i] += 1
            NOW[0] += 1 + 1e-3 * (self.budget - budget)
        return []
