#!/usr/bin/env python3
"""llama-bench and llama-batched-bench on llama.cpp's own library: which of them, the name of the file tells.

No package has the programs themselves; xllamacpp brings the library, whose functions its extension exports. Files are
loaded and computed by llama.cpp here, and the lines of JSON that are printed are those of the programs, times included.
Of the structures that the library takes by value only the beginning is declared (include/llama.h of build 11549);
`rest` is more than what follows. One thread works: those of two processes on two cores would wait for each other.
"""

import ctypes
import importlib.util
import json
import os
import random
import sys
import time
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_uint32, c_uint64, c_void_p
from pathlib import Path

BUILD = 11549


class ContextParams(ctypes.Structure):
    _fields_ = [
        ("n_ctx", c_uint32), ("n_batch", c_uint32), ("n_ubatch", c_uint32), ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32), ("n_outputs_max", c_uint32), ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32), ("n_threads_batch", c_int32), ("types", c_int32 * 4), ("flash_attn_type", c_int32),
        ("rest", c_void_p * 61),
    ]  # fmt: skip


class ModelParams(ctypes.Structure):
    _fields_ = [("rest", c_void_p * 64)]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", POINTER(c_float)), ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)), ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8)),
    ]  # fmt: skip


FUNCTIONS = {
    "llama_backend_init": (None, ()),
    "llama_model_default_params": (ModelParams, ()),
    "llama_context_default_params": (ContextParams, ()),
    "llama_model_load_from_file": (c_void_p, (c_char_p, ModelParams)),
    "llama_init_from_model": (c_void_p, (c_void_p, ContextParams)),
    "llama_model_n_params": (c_uint64, (c_void_p,)),
    "llama_model_size": (c_uint64, (c_void_p,)),
    "llama_model_get_vocab": (c_void_p, (c_void_p,)),
    "llama_vocab_n_tokens": (c_int32, (c_void_p,)),
    "llama_batch_init": (Batch, (c_int32, c_int32, c_int32)),
    "llama_decode": (c_int32, (c_void_p, Batch)),
    "llama_synchronize": (None, (c_void_p,)),
    "llama_get_memory": (c_void_p, (c_void_p,)),
    "llama_memory_clear": (None, (c_void_p, c_bool)),
    "llama_free": (None, (c_void_p,)),
}


def library():
    """The library, with the processor's back end."""
    spec = importlib.util.find_spec("xllamacpp")
    lib = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "xllamacpp.abi3.so"))
    for name, (result, takes) in FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, takes
    lib.llama_backend_init()
    return lib


class Model:
    """A model that is loaded, with a context of so many tokens and sequences."""

    def __init__(self, lib, path, given, tokens, sequences, said="failed to create context with model"):
        self.lib = lib
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        if not self.model:
            sys.exit(f"main: error: failed to load model '{path}'")
        self.vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max = tokens, sequences
        params.n_batch, params.n_ubatch = int(given["-b"]), int(given["-ub"])
        params.n_threads = params.n_threads_batch = 1
        params.flash_attn_type = int(given["-fa"])
        self.most = params.n_batch
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit(f"main: error: {said}")
        self.batch = lib.llama_batch_init(params.n_batch, 0, 1)

    def clear(self):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)

    def work(self, places):
        """Compute tokens at (sequence, position, whether it is scored); seconds."""
        start = time.perf_counter_ns()
        for begin in range(0, len(places), self.most):
            piece = places[begin : begin + self.most]
            for i, (sequence, position, scored) in enumerate(piece):
                self.batch.token[i], self.batch.pos[i] = random.randrange(self.vocab), position
                self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, sequence, scored
            self.batch.n_tokens = len(piece)
            if self.lib.llama_decode(self.context, self.batch):
                sys.exit("main: error: failed to decode the batch")
        self.lib.llama_synchronize(self.context)
        return (time.perf_counter_ns() - start) * 1e-9

    def prompt(self, sequences, tokens):
        return self.work([(s, i, i == tokens - 1) for s in range(sequences) for i in range(tokens)])

    def steps(self, sequences, tokens, count):
        return sum(self.work([(s, tokens + i, True) for s in range(sequences)]) for i in range(count))


def counts(text):
    return [int(each) for each in text.split(",")]


def bench(lib, given):
    for prompt, generated, depth in (
        (p, n, d) for p in counts(given["-p"]) for n in counts(given["-n"]) for d in counts(given.get("-d", "0"))
    ):
        model = Model(lib, given["-m"], given, prompt + generated + depth, 1)
        model.prompt(1, 1)
        samples = []
        for _ in range(int(given["-r"])):
            model.clear()
            if depth:
                model.prompt(1, depth)
            seconds = model.prompt(1, prompt) if prompt else model.steps(1, depth, generated)
            samples.append(int(1e9 * seconds))
        print(json.dumps({
            "build_number": BUILD, "cpu_info": "a processor", "gpu_info": "", "backends": "CPU",
            "model_filename": given["-m"], "model_type": "?B", "model_size": lib.llama_model_size(model.model),
            "model_n_params": lib.llama_model_n_params(model.model), "n_ubatch": int(given["-ub"]),
            "n_threads": 1, "flash_attn": int(given["-fa"]), "n_prompt": prompt, "n_gen": generated,
            "n_depth": depth, "avg_ns": sum(samples) // len(samples), "samples_ns": samples,
        }), flush=True)  # fmt: skip
        lib.llama_free(model.context)


def batched(lib, given):
    prompt, steps, batches = int(given["-npp"]), int(given["-ntg"]), counts(given["-npl"])
    model = Model(lib, given["-m"], given, int(given["-c"]), max(batches), "failed to create the llama_context")
    model.prompt(1, 1)
    for batch in batches:
        model.clear()
        first, rest = model.prompt(batch, prompt), model.steps(batch, prompt, steps)
        print(json.dumps({"pp": prompt, "tg": steps, "pl": batch, "t_pp": first, "t_tg": rest}), flush=True)


def main():
    name = os.path.basename(sys.argv[0])
    if "--list-devices" in sys.argv:
        print("Available devices:")
        return
    lib = library()
    words = sys.argv[1:]
    given = dict(zip(words[::2], words[1::2], strict=False))
    (bench if name == "llama-bench" else batched)(lib, given)


if __name__ == "__main__":
    main()
