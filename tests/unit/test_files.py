from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim import library
from roofsim.foundation.errors import InputError, SpecError
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import setup
from roofsim.specs.files import read_mapping
from roofsim.specs.workload import workload

Write = Callable[[str, str, Mapping[str, Any]], Path]
LOADERS = (library.device, library.architecture, library.runtime, library.host)

NOT_A_MAPPING = {
    "empty": ("", "holds nothing"),
    "comment": ("# nothing here", "holds nothing"),
    "word": ("hello", "holds 'hello'"),
    "list": ("- a\n- b", "holds a list of 2"),
    "two documents": ("a: 1\n---\nb: 2", "line 2"),
    "tab": ("a:\n\tb: 1", "line 2, column 1"),
    "colon in a value": ("a: b: c", "line 1, column 5"),
    "open bracket": ("a: [1, 2", "not valid YAML"),
    "control character": ("a: \x01", "not valid YAML"),
    "impossible date": ("a: 2024-13-45", "month"),
    "number of 5000 digits": ("a: " + "9" * 5000, "too many digits"),
    "list as key": ("? [a, b]\n: 1", "unhashable"),
    "bad base64": ("a: !!binary AAA", "line 1: tags"),
    "no truth": ("a: !!bool maybe", "line 1: tags (tag:yaml.org,2002:bool) are not allowed; write the value alone"),
    "no number": ("a: 1\nb: !!int x", "line 2: tags"),
    "no date": ("a: !!timestamp x", "line 1: tags"),
    "set": ("a: !!set {b, c}", "line 1: tags"),
    "duplicate key": ("a: 1\nb: 2\na: 3", "line 3, column 1: not valid YAML: 'a' is written twice"),
    "duplicate key inside": ("a:\n  b: 1\n  b: 2", "line 3, column 3: not valid YAML: 'b' is written twice"),
    "python object": ("!!python/object/apply:os.system ['true']", "tag"),
    "anchor": ("a: &x 1\nb: *x", "line 1: anchors and aliases"),
    "expanding anchors": (
        "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "anchors and aliases",
    ),
    "lists nested 10,000 deep": ("a: " + "[" * 10_000 + "]" * 10_000, "nest"),
    "mappings nested 10,000 deep": ("{a: " * 10_000 + "1" + "}" * 10_000, "nest"),
}


@pytest.mark.parametrize(("text", "said"), NOT_A_MAPPING.values(), ids=NOT_A_MAPPING)
def test_what_is_no_mapping_is_refused_with_the_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        read_mapping(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    "text", ["1: 2", "~: 2", ".nan: 2", "a: b", "name: [x]", "name: 5", "sources: 5", "aliases: {a: b}"]
)
def test_a_mapping_that_is_no_spec_is_refused(load: Callable[[str], Any], text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        load(str(path))
    assert all(line.startswith(f"{path}: ") for line in str(error.value).splitlines())


NOT_TEXT = {
    "latin": (b"name: caf\xe9", "not a text file"),
    "utf-16": ("name: x".encode("utf-16"), "not a text file"),
    "nul": (b"name: x\0", "not a text file"),
    "gzip": (b"\x1f\x8b\x08\0", "not a text file"),
}


@pytest.mark.parametrize(("content", "said"), NOT_TEXT.values(), ids=NOT_TEXT)
def test_what_is_no_text_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=said):
        read_mapping(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nkind: gpu\r\n")
    assert read_mapping(path) == {"name": "x", "kind": "gpu"}


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is a directory"):
        read_mapping(tmp_path)


def test_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(SpecError, match="1,000,000,000 bytes are too many"):
        read_mapping(path)


def read_in_a_process(path: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from roofsim import library; library.device(sys.argv[1])"
    return subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=10, check=False)


def test_nesting_that_exhausts_the_stack_is_an_error_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("a: " + "[" * 200_000 + "]" * 200_000)
    done = read_in_a_process(path)
    assert (done.returncode, "SpecError" in done.stderr) == (1, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert "SpecError" in read_in_a_process(path).stderr


PROBLEMS = [
    ("memory.bandwidth.value", "3.35TBs", "'3.35TBs' is not a quantity in B/s; write it like '1008 GB/s'"),
    ("memory.bandwidth.value", "1 B/s", "1.00 B/s is not plausible here; between 1.00 MB/s"),
    ("memory.bandwidth.value", "-1008 GB/s", "is not plausible here"),
    ("memory.bandwidth.value", 1008, "1008 has no unit; write it like '1008 GB/s'"),
    ("memory.bandwidth.value", float("nan"), "nan has no unit"),
    ("memory.bandwidth.value", "nan GB/s", "'nan GB/s' is not a quantity in B/s"),
    ("memory.bandwidth.value", "inf GB/s", "'inf GB/s' is not a quantity in B/s"),
    ("memory.bandwidth.value", "1e999 GB/s", "'1e999 GB/s' is not finite"),
    ("memory.bandwidth.value", True, "True is not a quantity; write it like '1008 GB/s'"),
    ("memory.bandwidth.value", [1], "[1] is not a quantity; write it like '1008 GB/s'"),
    ("memory.bandwidth.value", None, "None is not a quantity; write it like '1008 GB/s'"),
    ("memory.bandwidth", "3.35TBs", "'3.35TBs' is not a quantity in B/s; write it like '1008 GB/s'"),
    ("memory.bandwidth", 1008, "1008 has no unit; write it like '1008 GB/s'"),
    ("memory.bandwidth", None, "None is not a quantity; write it like '1008 GB/s'"),
    ("memory", "1008 GB/s", "'1008 GB/s' is no group of fields (key: value)"),
    ("memory.bandwith", "1 TB/s", "no such field; nearest: bandwidth"),
    ("peak.vector", 3, "a group of fields (key: value) is expected, not '3'"),
    ("name", 4090, "text (in quotes if it looks like a number) is expected, not '4090'"),
    ("aliases", "mine", "a list ([a, b]) is expected, not 'mine'"),
    ("memory.bandwidth.origin", "guess", "no such field"),
    ("memory.capacity.value", "0 GB", "is not plausible here"),
    ("memory.unified", "maybe", "not 'maybe'"),
    ("peak.matrix.bf16.value", "1e21 FLOP/s", "1,000 EFLOP/s is not plausible here"),
    ("peak.matrix.bf17", {"value": "1 TFLOP/s", "source": "ada"}, "not 'bf17'"),
    ("units.value", 0, "0 is not plausible here; between 1"),
    ("units.value", float("nan"), "is not"),
    ("power.tdp.value", "450", "'450' is not a quantity in W; write it like '450 W'"),
    ("kind", "tpu", "'gpu', 'soc', 'cpu' or 'accelerator', not 'tpu'"),
    ("aliases", ["a b"], "not 'a b'"),
    ("host", "../../etc/passwd", "not '../../etc/passwd'"),
    ("sources", [], "not a list of 0"),
]


@pytest.mark.parametrize(("field", "value", "said"), PROBLEMS)
def test_a_wrong_field_is_told_with_its_file_its_path_what_was_read_and_what_would_be_right(
    spec_file: Write, field: str, value: Any, said: str
) -> None:
    path = spec_file("hardware", "rtx-4090", {field: value})
    with pytest.raises(SpecError) as error:
        library.device(str(path))
    mine = [line for line in error.value.problems if line.startswith(f"{path}: {field.removesuffix('.value')}")]
    assert any(said in line for line in mine), error.value


def test_all_problems_of_a_file_are_told_at_once(spec_file: Write, absent: object) -> None:
    path = spec_file(
        "hardware", "rtx-4090",
        {"memory.bandwidth.value": "fast", "power.tdp.value": "-1 W", "vendor": absent, "colour": "black"},
    )  # fmt: skip
    with pytest.raises(SpecError) as error:
        library.device(str(path))
    places = sorted(line.split(": ")[1] for line in error.value.problems)
    assert places == ["colour", "memory.bandwidth", "power.tdp", "vendor"]


MODEL_PROBLEMS = [
    ("d_model", 0, "not '0'"),
    ("d_model", 10**400, "d_model"),
    ("vocab", 1.5, "not '1.5'"),
    ("layers.decoder.0.kind", "atention", "'attention'"),
    ("layers.decoder.0.kind", None, "`kind` is missing"),
    ("layers.decoder.0.kv_heads", 5, "kv_heads 5 does not divide heads 32"),
    ("layers.decoder.0.window", -1, "not '-1'"),
    ("layers.spare", [{"kind": "mlp", "width": 1}], "layers defined but not in the layout: spare"),
    ("layout", [{"repeat": 1, "of": ["x", "decoder"]}], "layout names layers that are not defined: x"),
    ("layout", [], "layout: needs 1 or more, not a list of 0"),
    ("layout", ["decoder"], "layout.0: 'decoder' is no group of fields ({repeat: 2, of: [a, b]})"),
    ("layers.decoder.0", "mlp", "layers.decoder.0: 'mlp' is no group of fields ({kind: mlp, width: 4096})"),
    ("layers.decoder.1.bais", True, "layers.decoder.1.bais: no such field; nearest: bias"),
    ("famly", "llama", "famly: no such field; nearest: family"),
    ("published_parameters.source", "hearsay", "source 'hearsay' is not in sources"),
]


def test_what_is_wrong_with_an_entry_is_told_once(spec_file: Write) -> None:
    path = spec_file("models", "Llama-3.2-1B", {"layout": ["decoder"]})
    with pytest.raises(SpecError) as error:
        library.architecture(str(path))
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(("field", "value", "said"), MODEL_PROBLEMS)
def test_a_wrong_field_of_a_model_is_told(spec_file: Write, field: str, value: Any, said: str) -> None:
    path = spec_file("models", "Llama-3.2-1B", {field: value})
    with pytest.raises(SpecError) as error:
        library.architecture(str(path))
    assert said in str(error.value)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_too_long_to_print_is_refused(sign: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    shipped = library.locate("models", "models", "Llama-3.2-1B").read_text()
    path.write_text(shipped.replace("vocab: 128256", f"vocab: {sign}0x{'f' * 5000}"))
    with pytest.raises(SpecError, match="vocab"):
        library.architecture(str(path))


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [
        ("hardware", "rtx-4090", "memory.bandwidth.source"),
        ("hardware", "h100-sxm", "parameters.gemm_efficiency.source"),
        ("hardware/hosts", "desktop", "dispatch.source"),
        ("hardware/clusters", "dgx-h100", "links.node.latency.source"),
        ("runtimes", "cuda-graph", "host.replay.source"),
    ],
)
def test_a_source_that_the_file_does_not_list_is_refused(spec_file: Write, kind: str, name: str, field: str) -> None:
    load = {"hardware": library.device, "hardware/hosts": library.host, "runtimes": library.runtime,
            "hardware/clusters": library.cluster}[kind]  # fmt: skip
    path = spec_file(kind, name, {field: "hearsay"})
    with pytest.raises(SpecError, match="'hearsay' is not in sources"):
        load(str(path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters.gemm_eficiency": {"value": 0.5, "source": "ours"}}, "gemm_efficiency"),
        ({"parameters.gemm_efficiency": {"value": 522, "source": "ours"}}, "522"),
    ],
)
def test_a_device_states_only_known_parameters_within_their_limits(
    spec_file: Write, changes: Mapping[str, Any], said: str
) -> None:
    path = spec_file("hardware", "h100-sxm", changes)
    with pytest.raises(SpecError, match=said):
        library.device(str(path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variants": [1]}, "variants"),
        ({"variants": {"a": 5}}, "variants"),
        ({"default_variant": "40w"}, "'40w' is not among variants"),
        ({"default_variant": ["15w"]}, "default_variant"),
        ({"variants": {15: {}}, "default_variant": "15w"}, "variants"),
        ({"variants.15w.memory.bandwidth": {"value": "fast", "source": "orin"}}, "'fast'"),
    ],
)
def test_wrong_variants_are_told(spec_file: Write, changes: Mapping[str, Any], said: str) -> None:
    changes = {"variants.15w.memory": {}, **changes}
    path = spec_file("hardware", "jetson-orin-nano-8gb", changes)
    with pytest.raises(SpecError, match=said):
        library.device(f"{path}@15w" if "variants.15w.memory.bandwidth" in changes else str(path))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1 B", "1e30 TB/s", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=4,
)
DEVICE_FIELDS = [
    "memory", "memory.capacity", "memory.capacity.value", "peak.matrix", "peak.matrix.bf16.value", "units",
    "units.value", "parameters", "links", "power.idle", "variants", "default_variant", "sources", "aliases", "id",
    "host",
]  # fmt: skip
MODEL_FIELDS = [
    "d_model", "vocab", "layers", "layers.mamba", "layers.mamba.0", "layers.mamba.0.kind", "layers.mamba.0.heads",
    "layers.hybrid.0.attention.window", "layers.hybrid.0.block", "layout", "layout.0.repeat", "prefix_tokens",
    "positions", "tied_embeddings", "published_parameters", "id", "family",
]  # fmt: skip


@given(field=st.sampled_from(DEVICE_FIELDS), value=anything)
def test_a_device_file_with_anything_in_a_field_predicts_or_is_an_input_error(
    spec_file: Write, field: str, value: Any
) -> None:
    path = spec_file("hardware", "rtx-4090", {field: value})
    with suppress(InputError):
        predict_request(setup("mamba-130m", str(path), "ideal"), workload())


@given(field=st.sampled_from(MODEL_FIELDS), value=anything)
def test_a_model_file_with_anything_in_a_field_predicts_or_is_an_input_error(
    spec_file: Write, field: str, value: Any
) -> None:
    path = spec_file("models", "Zamba2-1.2B", {field: value})
    with suppress(InputError):
        predict_request(setup(str(path), "rtx-4090", "ideal"), workload())
