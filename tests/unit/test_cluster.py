"""Clusters: how many devices there are, which link a group crosses, what cannot be a cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import InputError, SpecError
from roofsim.foundation.schema import variant
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.specs.cluster import Cluster
from roofsim.specs.files import build

NODE = {"bandwidth": "450 GB/s", "latency": "0.6 us", "topology": "switch", "efficiency": 0.8}
BETWEEN = {"bandwidth": "50 GB/s", "latency": "3 us", "topology": "fabric", "efficiency": 0.9}


def cluster(**changes: Any) -> Cluster:
    values = {"name": "four of eight", "device": "h100-sxm", "nodes": 4, "per_node": 8,
              "links": {"node": NODE, "between": BETWEEN}}  # fmt: skip
    return build(Cluster, {**values, **changes}, "mine.yaml")


def test_devices_are_those_of_all_nodes() -> None:
    assert cluster().devices == 32
    assert cluster(nodes=1, per_node=2).devices == 2


def test_long_messages_reach_a_part_of_what_the_data_sheet_says() -> None:
    found = cluster().links
    assert found.node is not None
    assert found.between is not None
    assert found.node.rate == pytest.approx(360e9)
    assert found.between.rate == pytest.approx(45e9)
    assert found.levels == (found.node, found.between)


@pytest.mark.parametrize(
    ("ranks", "stride", "level", "neighbours"),
    [
        (2, 1, "node", 2), (8, 1, "node", 8), (9, 1, "between", 8), (16, 1, "between", 8),
        (4, 2, "node", 4), (2, 4, "node", 2), (8, 2, "between", 4), (2, 8, "between", 1), (4, 8, "between", 1),
        (2, 16, "between", 1), (3, 2, "node", 3), (2, 3, "node", 2), (3, 3, "between", 2),
    ],
)  # fmt: skip
def test_a_group_crosses_the_slowest_link_that_lies_between_its_devices(
    ranks: int, stride: int, level: str, neighbours: int
) -> None:
    c = cluster()
    assert c.link(ranks, stride) is getattr(c.links, level)
    assert c.neighbours(ranks, stride) == neighbours


def test_nodes_of_one_device_have_but_links_between_them_and_one_node_none() -> None:
    apart = cluster(per_node=1, links={"between": BETWEEN})
    assert apart.link(2, 1) is apart.links.between
    assert apart.neighbours(4, 1) == 1
    alone = cluster(nodes=1, links={"node": NODE})
    assert alone.link(8, 1) is alone.links.node
    assert alone.link(16, 1) is alone.links.node


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"links": {"between": BETWEEN}}, "links.node is missing: how do the 8 devices of a node reach each other?"),
        ({"links": {"node": NODE}}, "links.between is missing: how do the 4 nodes reach each other?"),
        ({"nodes": 1, "per_node": 1, "links": {}}, "holds one device"),
        ({"links": {"node": {**NODE, "bandwidth": "40 GB/s"}, "between": BETWEEN}}, "links.node is slower than"),
        ({"links": {"node": {**NODE, "bandwidth": "450 PB/s"}, "between": BETWEEN}}, "450 PB/s is not plausible here"),
        ({"links": {"node": {**NODE, "bandwidth": "450"}, "between": BETWEEN}}, "'450' is not a quantity in B/s"),
        ({"links": {"node": {**NODE, "latency": "0.1 s"}, "between": BETWEEN}}, "a latency of 0.1 s is not plausible"),
        ({"links": {"node": {**NODE, "topology": "star"}, "between": BETWEEN}}, "links.node.topology"),
        ({"links": {"node": {**NODE, "efficiency": 1.2}, "between": BETWEEN}}, "1.2 is not plausible here"),
        ({"nodes": 0}, "nodes"),
        ({"price_per_hour": "23 USD"}, "write it like '2.5 USD/h'"),
        ({"price_per_hour": "23 EUR/h"}, "write it like '2.5 USD/h'"),
        ({"racks": 3}, "racks: no such field"),
    ],
)
def test_what_cannot_be_a_cluster_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        cluster(**changes)


def test_a_device_that_is_not_known_is_told_with_its_nearest(spec_file: Any) -> None:
    path = str(spec_file("hardware/clusters", "dgx-h100", {"device": "h100-sx"}))
    with pytest.raises(SpecError, match="device: devices: no 'h100-sx'; nearest: h100-sxm"):
        library.cluster(path)


def test_devices_may_be_called_by_an_alias(spec_file: Any) -> None:
    assert library.cluster(str(spec_file("hardware/clusters", "dgx-h100", {"device": "h100"}))).devices == 256


@pytest.mark.parametrize("name", library.names("hardware/clusters"))
def test_a_shipped_cluster_names_its_device_by_its_file_and_is_of_one_that_stands_in_some(name: str) -> None:
    found = library.cluster(name)
    assert found.device in library.names("hardware")
    assert library.cluster_of(library.device(found.device)).device == found.device


@pytest.mark.parametrize("name", library.names("hardware"))
def test_a_device_stands_in_a_cluster_of_such_devices(name: str) -> None:
    device = library.device(name)
    assert device.cluster is None or library.standing(device) == library.cluster(device.cluster)
    assert device.cluster is None or library.cluster(device.cluster).device == name


def test_a_device_of_which_no_cluster_ships_stands_eight_behind_its_own_link() -> None:
    device = library.device("mi210")
    found = library.cluster_of(device)
    assert (found.nodes, found.per_node, found.device) == (1, 8, "mi210")
    assert found.links.node is not None
    assert found.links.node.bandwidth.value == 150e9  # of 300 GB/s in both directions
    assert found.links.node.rate == pytest.approx(120e9)
    assert found.links.node.latency.value == pytest.approx(0.6e-6)
    assert not found.links.node.reduces
    assert not found.unsourced
    assert {"assumed"} <= set(found.sources)


def test_a_device_without_a_link_says_what_to_give() -> None:
    with pytest.raises(InputError, match="rtx-3060: no file says how several of it are linked; name a cluster"):
        library.cluster_of(library.device("rtx-3060"))


def test_a_mode_of_a_device_stands_where_the_device_does(spec_file: Any) -> None:
    device = library.device("h100-sxm")
    assert library.cluster_of(variant(device, id="h100-sxm@quiet")).id == "dgx-h100"


def test_clusters_of_a_device_whose_file_names_none_are_told() -> None:
    with pytest.raises(InputError, match=r"--cluster \(2x-rtx-4090, 4x-rtx-4090\)"):
        library.cluster_of(variant(library.device("rtx-4090"), cluster=None))


def test_a_device_file_may_name_a_cluster(spec_file: Any) -> None:
    mine = library.device(str(spec_file("hardware", "rtx-3060", {"cluster": "2x-rtx-4090"})))
    assert library.cluster_of(mine).id == "2x-rtx-4090"


def within(name: str | None) -> Setup:
    from dataclasses import replace

    return replace(setup("Qwen2.5-0.5B", "h100-sxm", "ideal"), cluster=name and library.cluster(name))


def test_a_what_if_changes_a_link() -> None:
    made = what_if(within("dgx-h100"), ["cluster.links.node.bandwidth=2x", "cluster.nodes=2"])
    assert made.cluster is not None
    assert made.cluster.links.node is not None
    assert made.cluster.links.node.bandwidth.value == 900e9
    assert made.cluster.devices == 16
    assert made.changes == ("cluster.links.node.bandwidth=2x", "cluster.nodes=2")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (None, "cluster.nodes=2", "--set cluster: one device is used"),
        ("dgx-h100", "cluster.links.node.bandwith=2x", "no 'bandwith'; nearest: bandwidth"),
        ("dgx-h100", "cluster.links.node.bandwidth=0.01x", "links.node is slower than links.between"),
        ("dgx-h100", "cluster.links.node.topology=star", "topology"),
    ],
)
def test_a_what_if_that_cannot_be_is_told(name: str | None, change: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        what_if(within(name), [change])
