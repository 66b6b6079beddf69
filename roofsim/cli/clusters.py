"""List the clusters that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.units import show
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped cluster: nodes of devices, and what joins them.

    \b
    Example: roofsim clusters
    """
    from roofsim import library

    rows: list[list[object]] = []
    data: list[dict[str, object]] = []
    for c in map(library.cluster, library.names(library.CLUSTERS)):
        hour = c.price_per_hour.value if c.price_per_hour else None
        ends = [(each.topology, each.rate, each.latency.value) if each else (None,) * 3 for each in c.links.levels]
        near = f"{show(c.links.node.rate, 'B/s')} {c.links.node.topology}" if c.links.node else None
        rows.append([c.id, c.device, f"{c.nodes} × {c.per_node}", near, ends[1][1], hour])
        values = (c.id, c.device, c.nodes, c.per_node, *ends[0], *ends[1], hour)
        data.append(dict(zip(UNITS, values, strict=True)))
    columns = [Column("cluster"), Column("device"), Column("nodes", "text"), Column("in a node", "text"),
               Column("between", "B/s"), Column("a node", "USD/h")]  # fmt: skip
    note = (
        "Nodes × devices in each, at most. Rates are what long messages reach, each way and for each device. `roofsim "
        "show CLUSTER` gives latencies, and the source of each number."
    )
    tables = [Table("Clusters", columns, rows, [note])]
    o.Output(format_, output, quiet).write(tables, {"clusters": data}, lambda: records(data, UNITS))


UNITS = {
    "id": None, "device": None, "nodes": "", "per_node": "", "node_topology": None,
    "node_rate": "B/s", "node_latency": "s", "between_topology": None, "between_rate": "B/s",
    "between_latency": "s", "price_per_hour": "USD/h",
}  # fmt: skip
