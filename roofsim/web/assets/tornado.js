// What a figure hangs on: by how many per cent it moves where a number grows by one per cent, the largest first.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const SHOWN = 10;
  const [BAR, LINE, SMALL] = [12, 14, 10]; // pixels: a bar with its gap, a line of its name, the letters of its value
  const ROUNDED = 0.005; // below half a hundredth of a per cent nothing is said

  function* draw(context) {
    const { state, width, theme } = context;
    const series = view.series.runs(context.series);
    if (!series.length) return view.chart.nothing(context);
    const figure = view.figure(state.wanted);
    const all = [];
    for (const one of series) {
      all.push(...roofsim.elasticities(one.asked, figure.name).map((row) => ({ one, ...row })));
      yield;
    }
    const groups = d3.sort(
      d3.groups(all, (row) => row.path),
      ([, rows]) => -d3.max(rows, (row) => Math.abs(row.value)),
    );
    const shown = groups.filter(([, rows]) => d3.max(rows, (row) => Math.abs(row.value)) > ROUNDED).slice(0, SHOWN);
    if (!shown.length)
      return { nodes: [view.chart.sentence(`Nothing moves ${figure.label}.`)], table: () => table(all, figure) };
    const signed = (value, number) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value), 2)} %`;
    const said = (value) => signed(value, view.text.significant);
    const tick = (value) => signed(value, view.text.plain);
    const beside = width > 480; // names stand beside their bars, else above them
    const [name, gap] = [beside ? 0 : 16, 8];
    const left = beside ? Math.min(210, width * 0.36) : 4;
    let below = 0;
    const bands = shown.map(([, found]) => {
      const rows = found.filter((row) => Math.abs(row.value) > ROUNDED);
      const top = below + name;
      const lines = beside ? Math.ceil(view.scale.width(found[0].label) / (left - 24)) : 1;
      const high = Math.max(rows.length * BAR, lines * LINE);
      below = top + high + gap;
      return { label: found[0].label, rows, top, middle: top + high / 2 };
    });
    const rows = bands.flatMap((band) => band.rows.map((row, i) => ({ ...row, top: band.top + i * BAR })));
    const room = (sign) =>
      d3.max(
        rows.filter((row) => Math.sign(row.value) === sign),
        (row) => view.scale.width(said(row.value), SMALL) + 4,
      ) ?? 0;
    const margin = { top: 18, right: 8, bottom: 36, left };
    const height = margin.top + margin.bottom + below;
    const px = d3.scaleLinear(
      [
        Math.min(
          0,
          d3.min(rows, (row) => row.value),
        ),
        Math.max(
          0,
          d3.max(rows, (row) => row.value),
        ),
      ],
      [margin.left + room(-1), width - margin.right - room(1)],
    );
    const axis = view.scale.linear(px, 50);

    const svg = view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken(figure, rows, said),
      x: { domain: px.domain(), range: px.range() },
      y: { domain: [0, below], range: [margin.top, height - margin.bottom] },
      marks: [
        ...view.chart.axes(context, {
          x: { ticks: axis, say: tick, label: `change of ${figure.label} per 1 % more of it` },
        }),
        Plot.rect(rows, {
          x1: 0,
          x2: "value",
          y1: "top",
          y2: (row) => row.top + BAR - 1,
          fill: (row) => row.one.colour,
        }),
        Plot.ruleX([0], { stroke: theme.ink }),
        ...[1, -1].map((sign) =>
          Plot.text(
            rows.filter((row) => Math.sign(row.value) === sign),
            {
              x: "value",
              y: (row) => row.top + BAR / 2 - 0.5,
              text: (row) => said(row.value),
              dx: 4 * sign,
              textAnchor: sign > 0 ? "start" : "end",
              fill: theme.soft,
              fontSize: SMALL,
            },
          ),
        ),
        view.chart.text(context, bands, {
          x: px.domain()[0],
          y: (band) => (beside ? band.middle : band.top - name / 2),
          text: "label",
          dx: (beside ? -8 : 0) - (px.range()[0] - margin.left),
          textAnchor: beside ? "end" : "start",
          fill: theme.ink,
          lineWidth: beside ? (margin.left - 12) / view.scale.FONT : Infinity,
        }),
        view.chart.tip(
          context,
          rows,
          {
            x: (row) => row.value / 2,
            y: (row) => row.top + BAR / 2,
            title: (row) => `${row.one.name}: ${row.label}\n1 % more: ${figure.label} ${said(row.value)}`,
          },
          Plot.pointer,
        ),
      ],
    });
    const legend = view.chart.legend(
      ...(series.length > 1 ? [view.keys(series)] : []),
      `what moves less than ${ROUNDED} % is left out`,
    );
    return { nodes: [svg, legend], table: () => table(all, figure), summary: svg.getAttribute("aria-label") };
  }

  function spoken(figure, rows, said) {
    const first = rows.slice(0, 6).map((row) => `${row.one.name}, ${row.label}: ${said(row.value)}`);
    return `What ${figure.label} hangs on, change per one per cent more: ${first.join("; ")}.`;
  }

  function table(all, figure) {
    const columns = [
      { name: "model", label: "model" },
      { name: "path", label: "number" },
      { name: "label", label: "meaning" },
      { name: `elasticity of ${figure.name}`, label: "% per %", unit: "1" },
    ];
    return { columns, rows: all.map((row) => [row.one.name, row.path, row.label, row.value]) };
  }

  (view.panels ??= {}).tornado = {
    order: 5,
    name: "What it hangs on",
    title: (state) => `What ${view.figure(state.wanted).label} hangs on`,
    options: [{ key: "wanted", label: "figure", choices: () => roofsim.figures }],
    draw,
    rests: true,
  };
}
