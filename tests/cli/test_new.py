"""`roofsim new`: files to start from, which load, predict and say what each field is."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import click
import pytest

from roofsim import library
from roofsim.cli.new import KINDS, command
from roofsim.foundation.described import meanings
from roofsim.foundation.schema import Spec, items, variant
from roofsim.model.architecture import Architecture, Published, Stored, Stretch
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device
from roofsim.specs.files import build, mapping
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.template import WIDTH, template

LOAD: dict[str, Any] = {
    "device": library.device, "model": library.architecture, "runtime": library.runtime, "host": library.host,
    "cluster": library.cluster,
}  # fmt: skip
CLASSES: dict[str, type[Spec]] = {"device": Device, "model": Architecture, "runtime": Runtime, "host": Host,
                                  "cluster": Cluster}  # fmt: skip
USES = {
    "device": "predict mamba-130m -d {}",
    "model": "predict {} -d orin",
    "runtime": "predict mamba-130m -d orin -r {}",
    "host": "predict mamba-130m -d orin --host {}",
    "cluster": "predict Qwen2.5-0.5B -d h100-sxm -r ideal --tp 2 --cluster {}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_loads_as_it_is_printed_and_predicts_and_is_unsourced(roofsim, here, kind):
    roofsim(f"new {kind} mine -q")
    made = LOAD[kind]("mine.yaml")
    assert made.name == "mine"
    assert made.unsourced == ("",)
    assert "unsourced: all of mine" in " ".join(roofsim(USES[kind].format("mine.yaml")).split())
    assert "mine" in roofsim("show mine.yaml")


def switched_on(text: str) -> str:
    """The file with every field that is not set, set."""
    return re.sub(r"^(\s*)#(?=\w|  )", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_there_and_may_be_switched_on_by_taking_the_sign_away(roofsim, here, kind):
    roofsim(f"new {kind} mine -q")
    text = switched_on((here / "mine.yaml").read_text())
    (here / "mine.yaml").write_text(text)
    values = mapping(text, here / "mine.yaml")
    assert set(values) == {each.name for each in fields(CLASSES[kind])} - {"id", "aliases"}
    assert LOAD[kind]("mine.yaml").name == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_that_the_file_is_made_from_is_what_it_says(roofsim, here, kind):
    row = KINDS[kind]
    roofsim(f"new {kind} mine -q")
    text = (here / "mine.yaml").read_text()
    assert f"true of {row.example}" in text
    comments = re.findall(r"^(?:#  )?(?:  )?# \S.*$", text, re.MULTILINE)
    assert max(map(len, comments)) <= WIDTH + len("#  ")  # inside a group that is not set
    assert set(re.findall(r"^(\w+):", text, re.MULTILINE)) == {
        each.name for each in fields(CLASSES[kind]) if each.name in row.more or required(each)
    }


def test_sources_come_last_and_a_group_without_fields_is_one_that_is_not_set(roofsim, here):
    roofsim("new device mine -q")
    text = (here / "mine.yaml").read_text() + "links: {}\nsources: {}\n"
    (here / "mine.yaml").write_text(text)
    roofsim("new device other --from mine.yaml -q")
    assert library.device("other.yaml").links == library.device("mine.yaml").links
    lines = (here / "other.yaml").read_text().splitlines()
    assert [line for line in lines if re.match(r"#?\w+:", line)][-1].lstrip("#") == "sources: {}"


def required(field: Any) -> bool:
    return "MISSING" in repr(field.default) and "MISSING" in repr(field.default_factory)


@pytest.mark.parametrize(
    ("kind", "like"),
    [
        ("device", "orin@25w"), ("device", "h100-sxm"), ("device", "apple-m1"), ("model", "Zamba2-1.2B"),
        ("model", "gpt-oss-20b"), ("model", "dense:width=1024:depth=4"), ("runtime", "vllm"),
        ("runtime", "transformers-4.52-eager"), ("host", "grace"),
    ],
)  # fmt: skip
def test_a_file_like_another_is_that_one_under_its_own_name(roofsim, here, kind, like):
    roofsim(f"new {kind} mine --from {like} -q")
    made, other = LOAD[kind]("mine.yaml"), LOAD[kind](like)
    assert (made.id, made.name) == ("mine", "mine")
    own = {"id": "", "name": "", "aliases": ()}
    assert variant(made, **own) == variant(other, **own)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, row in KINDS.items() for name in sorted(library.names(row.folder))[::8]]
)
def test_what_a_template_is_made_of_can_be_read_from_it(kind, name, tmp_path):
    row = KINDS[kind]
    values = library.file_values(row.folder, row.known, name)
    text = template(CLASSES[kind], values, {}, ["about"])
    read = mapping(text, tmp_path)
    assert read == {key: each for key, each in values.items() if key not in ("id", "aliases")}


def test_a_published_config_is_a_model_to_start_from(roofsim, here):
    (here / "config.json").write_text(
        '{"model_type": "llama", "vocab_size": 1000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers":'
        ' 2, "num_attention_heads": 4}'
    )
    roofsim("new model mine --from config.json -q")
    made, other = library.architecture("mine.yaml"), library.architecture("config.json")
    assert variant(made, id="", name="") == variant(other, id="", name="")


SPECS = [Device, Host, Runtime, Architecture, Published, Stored, Stretch]
SPECS += [
    each for spec in (Device, Runtime) for hint in get_type_hints(spec).values() for each in (hint, *get_args(hint))
    if isinstance(each, type) and issubclass(each, Spec) and not hasattr(each, "unit")
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_every_field_says_what_it_is(spec):
    assert {each.name for each in fields(spec)} <= set(meanings(spec))
    assert all(re.fullmatch(r"[A-Z].*[.]", text) for text in meanings(spec).values())


def test_a_file_that_is_there_is_kept_unless_it_is_said(roofsim, refused, here):
    (here / "mine.yaml").write_text("precious")
    message = refused("new device mine")
    assert "mine.yaml: is there already; --force writes over it" in message
    assert (here / "mine.yaml").read_text() == "precious"
    roofsim("new device mine --force -q")
    assert library.device("mine.yaml").name == "mine"
    roofsim("new device mine -o other.yaml -q")
    assert library.device("other.yaml").id == "other"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_to_is_told(refused, here):
    here.chmod(0o500)
    assert "cannot" in refused("new device mine")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("new device ../mine", "'../mine' cannot be a name"),
        ("new device ''", "'' cannot be a name"),
        ("new device mine --from rtx-409", "devices: no 'rtx-409'; nearest: rtx-4090"),
        ("new model mine --from rtx-4090", "no 'rtx-4090'"),
        ("new gpu mine", "'gpu' is not one of 'device', 'model', 'runtime', 'host', 'cluster'"),
    ],
)
def test_what_cannot_be_made_is_refused(refused, line, said):
    assert said in " ".join(refused(line).split())


def test_the_name_may_be_that_of_the_file(roofsim, here):
    roofsim("new runtime mine.yaml -q")
    assert (here / "mine.yaml").is_file()


def test_the_example_of_a_device_is_sourced_no_more(roofsim, here):
    roofsim("new device mine -q")
    made = library.device("mine.yaml")
    assert build(Device, {**mapping((here / "mine.yaml").read_text(), here), "id": "mine"}, "x") == made
    assert made.memory.bandwidth.value == library.device("rtx-4090").memory.bandwidth.value


@pytest.mark.parametrize(("kind", "begun", "whole"), [("device", "h100-s", "h100-sxm"), ("runtime", "ide", "ideal"),
                                                     ("cluster", "dgx-h", "dgx-h100")])  # fmt: skip
def test_what_a_file_may_be_like_completes_to_its_kind(kind, begun, whole):
    context = click.Context(command, info_name="new")
    context.params["kind"] = kind
    (option,) = [each for each in command.params if each.name == "origin"]
    assert whole in [each.value for each in option.type.shell_complete(context, option, begun)]
    assert "mamba2-780m" not in [each.value for each in option.type.shell_complete(context, option, "mamba2-7")]


def test_a_cluster_to_start_from_has_its_links(roofsim, here):
    roofsim("new cluster mine -q")
    assert library.cluster("mine.yaml").links == without_source(library.cluster("dgx-h100").links)
    roofsim("new cluster pair --from 2x-dgx-spark -q")
    assert library.cluster("pair.yaml").links.between == library.cluster("2x-dgx-spark").links.between


def without_source(links):
    def bare(link):
        stripped = {name: variant(x, source="", note="") for name, x in items(link) if hasattr(x, "source")}
        return variant(link, **stripped)

    return variant(links, node=bare(links.node), between=bare(links.between))


def test_a_name_without_its_ending_is_told_that_there_is_a_file(roofsim, refused, here):
    roofsim("new device mine -q")
    assert "the file that is here is called by its path: mine.yaml" in refused("predict mamba-130m -d mine")
    assert "mine.yaml" in refused("show mine")


def test_hosts_are_listed_with_devices(roofsim):
    assert all(name in roofsim("devices") for name in library.names("hardware/hosts"))
