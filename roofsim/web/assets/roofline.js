// Operators under the roofs of the device: work per byte against the rate reached, sized by time.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const PHASES = { prefill: "circle", decode: "triangle" };
  const LABELS = [6, 3, 2]; // operators of a pass that have their name beside them, of one, two and more models
  const NARROW = 480; // pixels below which it is half of them: the pointer and the table have all
  const SMALL = 10; // pixels: the letters of names and ridge points
  const RIDGE = 30; // pixels that the number of a ridge point takes
  const SMALLEST = 0.02; // and share of it from which they do
  const LARGEST = 15; // pixels: the radius of an operator that takes all of its pass

  function points(series, phases) {
    return series.flatMap((one) => {
      const { rows, phases: passes } = one.operators();
      return rows
        .filter((row) => phases.includes(row.phase))
        .map((row) => {
          const work = row.matrix_flops + row.vector_flops;
          const share = row.time / passes[row.phase].device_time;
          return { one, ...row, work, share, x: work / row.bytes, y: work / row.time };
        });
    });
  }

  const drawable = (point) => point.work > 0 && point.bytes > 0 && point.time > 0;

  const sayRate = (rate) => view.text.say(rate, "FLOP/s");

  function* draw(context) {
    const { state, width, theme } = context;
    const series = view.series.runs(context.series);
    if (!series.length) return view.chart.nothing(context);
    const phases = state.phases === "both" ? Object.keys(PHASES) : [state.phases];
    const all = points(series, phases);
    const shown = d3.sort(all.filter(drawable), (point) => -point.share);
    const roofs = roofsOf(series);
    const height = Math.round(Math.min(420, Math.max(300, width * 0.62)));
    const widest = Math.max(...roofs.map((roof) => view.scale.width(roof.dtype)));
    const xs = view.scale.around([...shown.map((point) => point.x), ...roofs.map((roof) => roof.ridge)], 2.2);
    const ys = view.scale.around([...shown.map((point) => point.y), ...roofs.map((roof) => roof.peak)], 1.7);
    const marks = view.scale.ticks(...ys, "FLOP/s", 7);
    const margin = { top: 34, right: widest + 8, bottom: 38, left: view.scale.gutter(marks, sayRate) };
    const frame = [margin.left, margin.top, width - margin.right, height - margin.bottom];
    const px = view.scale.log(...xs, frame[0], frame[2]);
    const py = view.scale.log(...ys, frame[3], frame[1]);
    const radius = (point) => 2 + (LARGEST - 2) * Math.sqrt(Math.min(1, point.share));

    const lines = roofs.map((roof) => {
      const left = Math.max(xs[0], ys[0] / roof.bandwidth);
      return [
        [left, left * roof.bandwidth],
        [roof.ridge, roof.peak],
        [xs[1], roof.peak],
      ].map(([x, y]) => ({ x, y, roof }));
    });
    const heights = view.scale.apart(
      roofs.map((roof) => py(roof.peak)),
      12,
      frame[1] + 2,
      frame[3],
    );
    const ridges = d3.groups(roofs, (roof) => roof.ridge).map(([, same]) => same[0]);
    const most = LABELS[Math.min(series.length, LABELS.length) - 1] / (width < NARROW ? 2 : 1);
    const groups = d3.group(shown, (point) => `${point.one.slot} ${point.phase}`);
    const wanted = shown.filter(
      (point) => point.share > SMALLEST && groups.get(`${point.one.slot} ${point.phase}`).indexOf(point) < most,
    );
    const ridgeLabels = spaced(ridges, px);
    const disc = (x, y, r) => [x - r, y - r, x + r, y + r];
    const { placed: names } = view.scale.place(
      wanted.map((point) => ({
        x: px(point.x),
        y: py(point.y),
        r: radius(point),
        text: point.operator,
        fill: point.one.words,
      })),
      frame,
      {
        taken: [
          ...shown.map((point) => disc(px(point.x), py(point.y), radius(point) * 0.8)),
          ...ridgeLabels.map((roof) => [px(roof.ridge), frame[3] - 16, px(roof.ridge) + RIDGE, frame[3]]),
        ],
        lines: lines.map((line) => line.map(({ x, y }) => [px(x), py(y)])),
        size: SMALL,
      },
    );
    const missing = all.filter((point) => !drawable(point) && point.time > 0);

    const svg = view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken(shown, roofs),
      x: { type: "log", domain: xs },
      y: { type: "log", domain: ys },
      r: { type: "identity" },
      symbol: { type: "identity" },
      marks: [
        ...view.chart.axes(context, {
          x: {
            ticks: view.scale.fitting(...xs, "", frame[2] - frame[0]),
            unit: "",
            label: "work per byte (FLOP/B)",
          },
          y: {
            ticks: marks,
            unit: "FLOP/s",
            label: "rate reached",
            dx: -margin.left + 2,
          },
        }),
        lines.map((line) => Plot.line(line, { x: "x", y: "y", stroke: theme.soft, strokeWidth: 1.5 })),
        Plot.ruleX(ridges, { x: "ridge", y1: ys[0], y2: "peak", stroke: theme.soft, strokeDasharray: "1 4" }),
        view.chart.text(context, ridgeLabels, {
          x: "ridge",
          y: ys[0],
          text: (roof) => view.text.plain(roof.ridge),
          dy: -7,
          dx: 3,
          textAnchor: "start",
          fill: theme.soft,
          fontSize: SMALL,
        }),
        Plot.text(roofs, {
          x: xs[1],
          y: (_, i) => py.invert(heights[i]),
          text: "dtype",
          textAnchor: "start",
          dx: 5,
          fill: theme.soft,
        }),
        Plot.dot(shown, {
          x: "x",
          y: "y",
          r: radius,
          symbol: (point) => PHASES[point.phase],
          fill: (point) => point.one.colour,
          fillOpacity: 0.55,
          stroke: (point) => point.one.colour,
        }),
        view.chart.labels(context, names, px, py, SMALL),
        view.chart.tip(context, shown, { x: "x", y: "y", title: reading }, Plot.pointer),
      ],
    });
    yield;
    return {
      nodes: [svg, legend(series, phases, missing, roofs)],
      table: () => table(all),
      summary: svg.getAttribute("aria-label"),
    };
  }

  /** The roofs of all curves, each once: models on one device share them. */
  function roofsOf(series) {
    const all = d3.groups(
      series.flatMap((one) => one.ridges()),
      (roof) => `${roof.peak} ${roof.bandwidth}`,
    );
    return all.map(([, same]) => ({ ...same[0], dtype: [...new Set(same.map((roof) => roof.dtype))].join(", ") }));
  }

  /** Of ridge points those whose numbers do not touch. */
  function spaced(ridges, px) {
    let free = -Infinity;
    return d3
      .sort(ridges, (roof) => roof.ridge)
      .filter((roof) => {
        if (px(roof.ridge) < free) return false;
        free = px(roof.ridge) + view.scale.width(view.text.plain(roof.ridge), SMALL);
        return true;
      });
  }

  function reading(point) {
    const { say } = view.text;
    return [
      `${point.one.name}: ${point.operator} (${point.phase}, ${point.layer})`,
      `${say(point.time, "s")} on the device, ${say(point.share * 100, "%")} of the pass`,
      `${say(point.work, "FLOP")}, ${say(point.bytes, "B")}: ${view.text.significant(point.x)} FLOP/B`,
      `reaches ${say(point.y, "FLOP/s")}, bound by ${point.bound}`,
    ].join("\n");
  }

  function legend(series, phases, missing, roofs) {
    const names = phases.map((phase) => `${PHASES[phase] === "circle" ? "●" : "▲"}\u00a0${phase}`);
    const share = d3.max(
      d3.rollups(
        missing,
        (rows) => d3.sum(rows, (row) => row.share),
        (row) => `${row.one.slot} ${row.phase}`,
      ),
      ([, sum]) => sum,
    );
    const lacks = missing.length
      ? [`operators without arithmetic are not on it (at most ${view.text.say(share * 100, "%")} of a pass)`]
      : [];
    const over = roofs.map((roof) => `${roof.dtype} ${view.text.say(roof.peak, "FLOP/s")}`);
    const rates = [...new Set(roofs.map((roof) => view.text.say(roof.bandwidth, "B/s")))].join(" and ");
    const keys = series.length > 1 ? [view.keys(series)] : [];
    return view.chart.legend(
      ...keys,
      [
        ...names,
        "area: share of the pass's device time",
        `roofs: ${over.join(", ")}, memory ${rates}`,
        "dotted: ridge points",
      ]
        .concat(lacks)
        .join(" · "),
    );
  }

  function spoken(shown, roofs) {
    const { say, significant } = view.text;
    const largest = shown
      .slice(0, 5)
      .map(
        (point) =>
          `${point.one.name} ${point.operator} in ${point.phase}: ${significant(point.x)} FLOP per byte, ` +
          `${say(point.y, "FLOP/s")}, ${point.bound}-bound`,
      );
    const over = roofs.map(
      ({ dtype, peak, ridge }) => `${dtype} ${say(peak, "FLOP/s")}, ridge at ${significant(ridge)} FLOP per byte`,
    );
    return `Roofline. Roofs: ${over.join("; ")}. The largest operators: ${largest.join("; ")}.`;
  }

  function table(all) {
    const columns = [
      { name: "model", label: "model" },
      { name: "phase", label: "phase" },
      { name: "layer", label: "layer" },
      { name: "operator", label: "operator" },
      { name: "kind", label: "kind" },
      { name: "time", label: "device time", unit: "s" },
      { name: "work", label: "work", unit: "FLOP" },
      { name: "bytes", label: "bytes", unit: "B" },
      { name: "intensity", label: "FLOP/B", unit: "1" },
      { name: "rate", label: "rate", unit: "FLOP/s" },
      { name: "bound", label: "bound by" },
    ];
    const rows = d3
      .sort(all, (a, b) => a.one.slot - b.one.slot || d3.ascending(b.phase, a.phase) || b.time - a.time)
      .map((point) => [
        point.one.name,
        point.phase,
        point.layer,
        point.operator,
        point.kind,
        point.time,
        point.work,
        point.bytes,
        point.bytes ? point.x : null,
        point.time ? point.y : null,
        point.bound,
      ]);
    return { columns, rows };
  }

  (view.panels ??= {}).roofline = {
    order: 2,
    name: "Roofline",
    title: () => "Operators on the roofline",
    options: [
      {
        key: "phases",
        label: "pass",
        choices: () => [
          { name: "both", label: "prefill and decode" },
          { name: "prefill", label: "prefill" },
          { name: "decode", label: "decode" },
        ],
      },
    ],
    draw,
  };
}
