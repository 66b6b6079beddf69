"""Which encodings a runtime can keep a KV cache in."""

from __future__ import annotations

from roofsim.foundation.errors import Unsupported
from roofsim.model.architecture import Architecture
from roofsim.model.weights import ENCODINGS
from roofsim.specs.runtime import Runtime


def check_cache(name: str, dtype: str, runtime: Runtime, architecture: Architecture) -> None:
    """Raises Unsupported where a runtime keeps no cache in an encoding beside activations in `dtype`."""
    known, block = runtime.caches, ENCODINGS[name].group
    if known is None or name == dtype:
        return
    stack = runtime.id or runtime.name
    if name not in known:
        takes = ", ".join(dict.fromkeys((dtype, *known)))
        raise Unsupported(f"{stack} keeps no KV cache in {name}; there it takes {takes} (see --runtime for others)")
    if not block:
        return
    if runtime.attention.kernel != "flash":
        raise Unsupported(f"{stack} runs attention without a flash kernel, which alone reads values in {name}")
    for each in sorted(architecture.cached_heads):
        if each % block:
            model = architecture.id or architecture.name
            raise Unsupported(f"{stack}: blocks of {block} in {name} do not divide the heads of {model}, {each} wide")
