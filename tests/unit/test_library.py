from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from roofsim import library
from roofsim.foundation.errors import InputError, SpecError, UnknownName
from roofsim.foundation.schema import variant

LOADERS = {
    "hardware": library.device,
    "models": library.architecture,
    "models/families": library.family,
    "models/families/scaling": library.scaling_law,
    "runtimes": library.runtime,
    "hardware/hosts": library.host,
    "hardware/clusters": library.cluster,
    "hardware/costs": library.terms,
    "hardware/calibrated": library.calibration,
    "hardware/priors": library.population,
    "runtimes/implementations": library.implementation,
}
SHIPPED = [(kind, name) for kind in LOADERS for name in library.names(kind)]


@pytest.mark.parametrize("kind", LOADERS)
def test_every_yaml_file_of_the_checkout_has_a_name(kind: str) -> None:
    files = set(library.folder(kind).rglob("*.yaml"))
    apart = {other for other in LOADERS if other.startswith(f"{kind}/")}
    assert set(library.names(kind).values()) == files - {p for other in apart for p in library.names(other).values()}
    assert set(library.names(kind)) == {path.stem for path in library.names(kind).values()}


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_a_spec_is_found_by_name_alias_and_path_in_any_case(kind: str, name: str) -> None:
    load = LOADERS[kind]
    spec = load(name)
    assert (spec.id if kind == "hardware/calibrated" else spec.id.partition("@")[0]) == name
    assert load(str(library.names(kind)[name])) == spec
    for other in (name.upper(), name.lower(), *spec.aliases, *(alias.upper() for alias in spec.aliases)):
        assert load(other) == spec


@pytest.mark.parametrize("kind", LOADERS)
def test_no_two_specs_of_a_kind_share_a_name_or_alias(kind: str) -> None:
    spelled = [name.lower() for name in library.names(kind)]
    spelled += [alias.lower() for name in library.names(kind) for alias in LOADERS[kind](name).aliases]
    assert [name for name, times in Counter(spelled).items() if times > 1] == []


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_aliases_are_written_on_one_line_where_the_index_reads_them(kind: str, name: str) -> None:
    indexed = {alias for alias, target in library.aliases(kind).items() if target == name}
    assert indexed == {alias.lower() for alias in LOADERS[kind](name).aliases}


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("hardware", "rtx-409", "devices: no 'rtx-409'; nearest: rtx-4090"),
        ("models", "Qwen-0.5B", "models: no 'Qwen-0.5B'; nearest: Qwen2.5-0.5B"),
        ("runtimes", "transformer-5", "runtimes: no 'transformer-5'; nearest: transformers-5"),
        ("hardware/hosts", "desktp", "hosts: no 'desktp'; nearest: desktop"),
        ("hardware", "orin@20w", "modes of jetson-orin-nano-8gb: no '20w'; nearest: "),
        ("hardware", "orin@", "modes of jetson-orin-nano-8gb: no ''; known: 7w, 15w, 25w, maxn"),
        ("hardware", "", "devices: no ''; known: "),
    ],
)
def test_an_unknown_name_is_told_what_is_near(kind: str, name: str, message: str) -> None:
    with pytest.raises(UnknownName) as error:
        LOADERS[kind](name)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("RTX 4090", "rtx-4090"), ("rtx_4090", "rtx-4090"), ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"), ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"), ("Tesla T4", "t4"),
        ("AMD Instinct MI300X", "mi300x"), ("Apple M4 Pro", "apple-m4-pro"), ("Ryzen AI Max+ 395", "strix-halo"),
        ("Jetson AGX Orin@MAXN", "jetson-agx-orin-64gb@maxn"), ("Orin Nano@15W", "jetson-orin-nano-8gb@15w"),
    ],
)  # fmt: skip
def test_a_device_is_known_as_drivers_and_people_write_it(spelled: str, name: str) -> None:
    assert library.device(spelled).id == name


def test_the_device_of_the_paper_is_the_orin_nano_at_25_watts() -> None:
    device = library.device("orin")
    assert (device.id, device.power.tdp.value) == ("jetson-orin-nano-8gb@maxn", 25)
    assert library.device("orin@maxn") == device


def test_a_variant_replaces_what_it_states_and_keeps_the_rest() -> None:
    fast, slow = library.device("orin"), library.device("orin@15w")
    assert (slow.memory.bandwidth.value, fast.memory.bandwidth.value) == (68e9, 102e9)
    assert slow.memory.capacity == fast.memory.capacity
    assert slow.memory.bandwidth.source == "orin"
    assert slow.peak.matrix["bf16"].value == pytest.approx(10.2e12)


def test_modes_are_listed_and_absent_where_a_device_has_but_one() -> None:
    assert library.modes("orin") == ("7w", "15w", "25w", "maxn")
    assert library.modes("rtx-4090") == ()
    with pytest.raises(UnknownName, match="modes of rtx-4090: no '300w'"):
        library.device("rtx-4090@300w")


def test_every_mode_of_every_device_is_listed_once() -> None:
    ids = [device.id for device in library.all_devices()]
    assert len(ids) == len(set(ids))
    assert {device.partition("@")[0] for device in ids} == set(library.names("hardware"))
    assert sum(device.startswith("jetson-orin-nano-8gb@") for device in ids) == 4


def test_a_device_has_what_was_measured_on_the_one_whose_chip_it_has() -> None:
    there, here = library.device("h100-sxm"), library.device("h200-sxm")
    assert library.stated(there) == there.parameters
    assert library.stated(here) == there.parameters
    own = variant(here, parameters={"gemm_fill": variant(there.parameters["gemm_fill"], value=7.0)})
    assert library.stated(own) == {**there.parameters, **own.parameters}
    assert library.stated(variant(here, like=None)) == {}


def test_a_device_may_be_like_none_that_is_like_another_or_unknown() -> None:
    here = library.device("h800-sxm")
    with pytest.raises(
        SpecError, match=r"h800-sxm: like: 'h200-sxm' is like another itself; name that one \(h100-sxm\)"
    ):
        library.stated(variant(here, like="h200-sxm"))
    with pytest.raises(UnknownName, match=r"no 'h100-sxn'.*h100-sxm"):
        library.stated(variant(here, like="h100-sxn"))


def test_a_path_may_hold_an_at_sign_and_end_in_a_mode(tmp_path: Path) -> None:
    folder = tmp_path / "user@host"
    folder.mkdir()
    copy = folder / "mine.yaml"
    copy.write_bytes(library.names("hardware")["jetson-orin-nano-8gb"].read_bytes())
    assert library.device(str(copy)).id == "mine@maxn"
    assert library.device(f"{copy}@7w").id == "mine@7w"


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_bytes(library.names("models")["mamba-130m"].read_bytes())
    assert library.architecture("~/mine.yaml").id == "mine"


PATHS = ["nope.yaml", "./nope", ".", "..", "/", "/dev/null", "/dev/zero", "a\0.yaml", "~nobody-here/x.yaml"]
LONG = ["a" * 5000 + ".yaml", "x/" * 3000, "x" * 10_000]


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("name", [*PATHS, *LONG, "-", "%s", "{}", "@", "a b"])
def test_a_name_that_finds_nothing_is_an_input_error(kind: str, name: str) -> None:
    with pytest.raises(InputError):
        LOADERS[kind](name)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SpecError, match=r"nope\.yaml: no such file"):
        library.device("nope.yaml")


def test_merging_lays_mappings_over_each_other_and_replaces_whole_quantities() -> None:
    base = {"memory": {"size": {"value": "1 GB", "note": "old"}, "kind": "hbm"}, "name": "a"}
    changes = {"memory": {"size": {"value": "2 GB"}}, "name": "b"}
    assert library.merge(base, changes) == {"memory": {"size": {"value": "2 GB"}, "kind": "hbm"}, "name": "b"}
    assert base["name"] == "a"
