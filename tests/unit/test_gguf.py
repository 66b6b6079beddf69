"""GGUF files: what is read of them, and what is refused."""

from __future__ import annotations

import builtins
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roofsim import library, predict
from roofsim.adapters.gguf.header import Length, read_header
from roofsim.adapters.gguf.read import read_gguf
from roofsim.foundation.errors import InputError, MissingExtra, SpecError
from roofsim.specs.workload import workload

pytest.importorskip("gguf", reason="the package gguf is not installed")

SIZES = {
    "block_count": 2,
    "embedding_length": 256,
    "feed_forward_length": 512,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}
Write = Callable[..., int]


def llama(
    depth: int = 2,
    d: int = 256,
    kv: int = 128,
    width: int = 512,
    vocab: int = 64,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, tuple[tuple[int, ...], str]]:
    """The tensors of a Llama; `kinds` says the types that are not Q4_K."""
    shapes = {"attn_q": (d, d), "attn_k": (d, kv), "attn_v": (d, kv), "attn_output": (d, d)}
    shapes |= {"ffn_gate": (d, width), "ffn_up": (d, width), "ffn_down": (width, d)}
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for i in range(depth):
        found |= {f"blk.{i}.{name}.weight": (shape, "Q4_K") for name, shape in shapes.items()}
        found |= {f"blk.{i}.{name}_norm.weight": ((d,), "F32") for name in ("attn", "ffn")}
    found |= {"token_embd.weight": ((d, vocab), "Q4_K"), "output.weight": ((d, vocab), "Q6_K")}
    found["output_norm.weight"] = ((d,), "F32")
    return found | {name: (found[name][0], kind) for name, kind in (kinds or {}).items()}


@pytest.fixture
def small(tmp_path: Path, write_gguf: Write) -> Path:
    path = tmp_path / "small.gguf"
    write_gguf(path, "llama", SIZES, llama())
    return path


def more_bits(layer: int, of: int) -> bool:
    """Restated from llama-quant.cpp."""
    return layer < of // 8 or layer >= 7 * of // 8 or (layer - of // 8) % 3 == 2


def test_a_quantised_llama_takes_the_bytes_of_the_format_that_it_is_in(tmp_path: Path, write_gguf: Write) -> None:
    kinds = {f"blk.{i}.{name}.weight": "Q6_K" for i in range(32) for name in ("attn_v", "ffn_down") if more_bits(i, 32)}
    path = tmp_path / "Llama-3.1-8B-Q4_K_M.gguf"
    sizes = {**SIZES, "block_count": 32, "embedding_length": 4096, "feed_forward_length": 14336,
             "attention.head_count": 32, "attention.head_count_kv": 8}  # fmt: skip
    total = write_gguf(path, "llama", sizes, llama(32, 4096, 1024, 14336, 128_256, kinds))
    model, shipped = library.architecture(str(path)), library.architecture("Llama-3.1-8B")
    assert list(model.layers.values()) == list(shipped.layers.values())
    assert model.total_parameters == shipped.total_parameters
    held = model.weight_bytes(workload().precision("fp32", model))
    assert held == pytest.approx(total, rel=1e-12)
    assert held == pytest.approx(
        shipped.weight_bytes(workload(weight_format="q4_k_m").precision("fp32", shipped)), rel=1e-12
    )


def test_a_prediction_reads_the_weights_as_they_are_stored(small: Path) -> None:
    model = library.architecture(str(small))
    stored, plain = (predict(model, "rtx-4090", "ideal", weight_format=f) for f in (None, "bf16"))
    assert (stored.workload.weight_format, plain.workload.weight_format) == ("stored", "bf16")
    assert any(each.startswith("weights stored (") for each in stored.assumptions)
    assert stored.memory.weights == sum(tensor.size for tensor in read_header(small).tensors.values())
    assert plain.memory.weights == 2 * model.total_parameters
    weights = {row.operator: row.bytes_weights for row in stored.decode.operators}
    assert weights["lm_head"] == 256 * 64 * 6.5625 / 8
    assert weights["q_proj"] == 2 * 256 * 256 * 4.5 / 8
    assert weights["final_norm"] == 256 * 4


def test_a_file_that_stores_no_output_has_tied_embeddings(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "tied.gguf"
    tensors = llama()
    del tensors["output.weight"]
    write_gguf(path, "llama", SIZES, tensors)
    model = library.architecture(str(path))
    assert model.tied_embeddings
    assert model.stored
    assert model.stored.bits["lm_head"] == pytest.approx(4.5)


@pytest.mark.parametrize(("stated", "window"), [(4096, 4096), (1 << 20, None)])
def test_the_context_that_a_file_states_is_its_window_unless_it_is_what_stands_for_any(
    tmp_path: Path, write_gguf: Write, stated: int, window: int | None
) -> None:
    path = tmp_path / "long.gguf"
    write_gguf(path, "llama", {**SIZES, "context_length": stated}, llama())
    assert library.architecture(str(path)).context_window == window


def test_a_model_that_sees_what_follows_is_refused(tmp_path: Path, write_gguf: Write) -> None:
    for causal in (True, False):
        path = tmp_path / f"causal-{causal}.gguf"
        write_gguf(path, "llama", {**SIZES, "attention.causal": causal}, llama())
        if causal:
            assert read_gguf(path).values["family"] == "llama"
        else:
            with pytest.raises(SpecError, match=r"llama\.attention\.causal: a model that sees what follows"):
                read_gguf(path)


def test_what_balances_or_rotates_is_no_parameter(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "rope.gguf"
    write_gguf(path, "llama", SIZES, {**llama(), "rope_freqs.weight": ((32,), "F32")})
    assert read_gguf(path).notes == ()


def test_layers_that_predict_further_tokens_are_left_out_and_said(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "mtp.gguf"
    extra = {"blk.2.nextn.eh_proj.weight": ((512, 256), "Q4_K")}
    write_gguf(path, "llama", {**SIZES, "block_count": 3, "nextn_predict_layers": 1}, {**llama(), **extra})
    found = read_gguf(path)
    assert library.architecture(str(path)).depth == 2
    assert library.architecture(str(path)).mtp_modules == 1
    assert found.notes == (f"{512 * 256 * 4.5 / 8:,.0f} bytes of layers that predict further tokens are left out",)


def test_tensors_that_metadata_does_not_describe_are_named(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "odd.gguf"
    tensors = {**llama(), "blk.0.ffn_down.weight": ((1024, 256), "Q4_K"), "blk.1.extra.weight": ((256, 64), "Q4_K")}
    write_gguf(path, "llama", SIZES, tensors)
    with pytest.raises(SpecError) as error:
        read_gguf(path)
    assert "its tensors hold" in error.value.problems[0]
    assert "blk.0.ffn_down.weight and alike: 393,216 weights, counted are 262,144" in error.value.problems[1]
    assert "blk.1.extra.weight and alike: 16,384 weights, counted are 0" in error.value.problems[2]


def test_a_split_file_is_read_whole(tmp_path: Path, write_gguf: Write) -> None:
    names = [tmp_path / f"big-0000{i}-of-00002.gguf" for i in (1, 2)]
    tensors = llama()
    first = {name: tensors.pop(name) for name in list(tensors)[:5]}
    total = 0
    for path, part, sizes in zip(names, (first, tensors), (SIZES, {}), strict=True):
        total += write_gguf(path, "llama", {**sizes, "split.count": 2}, part)
    model = library.architecture(str(names[0]))
    assert model.weight_bytes(workload().precision("fp32", model)) == pytest.approx(total, rel=1e-12)
    with pytest.raises(SpecError, match="give the first"):
        read_header(names[1])
    names[1].unlink()
    with pytest.raises(SpecError, match=r"00002-of-00002\.gguf: no such file"):
        read_header(names[0])


def test_of_long_lists_only_the_length_is_kept(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "vocabulary.gguf"
    write_gguf(path, "llama", {**SIZES, "many": list(range(5000)), "words": ["a"] * 5000}, llama())
    fields = read_header(path).fields
    assert fields["llama.many"] == fields["llama.words"] == Length(5000)
    assert fields["tokenizer.ggml.tokens"][:2] == ["token 0", "token 1"]


def patched(small: Path, at: int, data: bytes) -> Path:
    whole = bytearray(small.read_bytes())
    whole[at : at + len(data)] = data
    small.write_bytes(bytes(whole))
    return small


@pytest.mark.parametrize(
    ("at", "data", "said"),
    [
        (0, b"GGML", "is no GGUF file"),
        (4, struct.pack("<I", 1), "has version 1"),
        (4, struct.pack(">I", 3), "is big-endian"),
        (8, struct.pack("<Q", 2**60), "states 1,152,921,504,606,846,976 tensors"),
        (16, struct.pack("<Q", 2**40), "states 1,099,511,627,776 fields"),
        (24, struct.pack("<Q", 2**50), "bytes of a name"),
    ],
)
def test_what_cannot_be_is_told(small: Path, at: int, data: bytes, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        read_gguf(patched(small, at, data))


def test_a_list_that_is_longer_than_the_file_is_refused_at_once(small: Path) -> None:
    at = small.read_bytes().index(b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens") + 8
    with pytest.raises(SpecError, match="entries of a list"):
        read_gguf(patched(small, at, struct.pack("<Q", 2**62)))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_told_so(small: Path, share: float) -> None:
    data = small.read_bytes()
    small.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SpecError, match=r"is it whole|too short"):
        read_gguf(small)


def test_a_file_that_lacks_its_last_byte_is_told_so(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-1])
    with pytest.raises(SpecError, match=r"output_norm\.weight: ends at byte"):
        read_gguf(small)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1), data=st.binary(min_size=1, max_size=12))
def test_a_damaged_header_is_read_or_refused_and_never_a_defect(small: Path, where: float, data: bytes) -> None:
    whole = small.read_bytes()
    end = whole.index(b"output_norm.weight") + 60
    copy = small.with_name("damaged.gguf")
    at = int(where * end)
    copy.write_bytes(whole[:at] + data + whole[at + len(data) :])
    said = str(copy)
    try:
        library.architecture(str(copy))
    except InputError as error:
        said = str(error)
    assert said.startswith(str(copy))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"block_count": 0}, "llama.block_count: is missing"),
        ({"embedding_length": 0}, "llama.embedding_length: is missing"),
        ({"attention.head_count": 3}, "does not divide embedding_length"),
        ({"attention.head_count": "many"}, "llama.attention.head_count: 'many' is not a whole number"),
        ({"attention.head_count_kv": [1, 2]}, "differs by layer"),
        ({"block_count": 10**9}, "1,000,000,000 layers are more than any model has"),
        ({"nextn_predict_layers": 2}, "is not more than nextn_predict_layers"),
    ],
)
def test_metadata_that_cannot_be_is_told_where_it_is(
    tmp_path: Path, write_gguf: Write, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "wrong.gguf"
    write_gguf(path, "llama", {**SIZES, **changes}, llama())
    with pytest.raises(SpecError, match=said) as error:
        read_gguf(path)
    assert all(line.startswith(f"{path}: ") for line in error.value.problems)


def test_an_architecture_that_is_not_known_is_told_what_is_near(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "other.gguf"
    write_gguf(path, "qwen4", SIZES, llama())
    with pytest.raises(SpecError, match="no 'qwen4'; nearest: qwen"):
        read_gguf(path)


def test_a_vocabulary_alone_is_no_model(tmp_path: Path, write_gguf: Write) -> None:
    path = tmp_path / "vocabulary.gguf"
    write_gguf(path, "llama", SIZES, {"output_norm.weight": ((256,), "F32")})
    with pytest.raises(SpecError, match=r"token_embd\.weight: is missing"):
        read_gguf(path)


@pytest.mark.parametrize("name", ["nowhere.gguf", "."])
def test_what_is_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"no such file|is a directory"):
        read_header(tmp_path / name)


def test_without_the_package_the_line_that_installs_it_is_told(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("gguf"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"--editable '\.\[gguf\]'$"):
        read_gguf(small)
