// A figure against length (or batch, or any number of the device): who is ahead where, and what ends a curve.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const COUNTS = {
    prompt: ["prompt length", "tokens"],
    generate: ["generated tokens", "tokens"],
    batch: ["batch", "sequences"],
  };
  const SHORTEST = 128; // shorter prompts are left out: every curve is flat there
  const [FEW, MANY] = [24, 96]; // points of a curve while dragging, and at rest

  /** What can stand on the x axis. */
  const paths = () => [
    ...Object.entries(COUNTS).map(([name, [label]]) => ({ name, label })),
    ...roofsim.knobs.map((knob) => ({ name: knob.path, label: knob.label })),
  ];

  /** Bounds, unit and name of the x axis. Lengths end beyond the longest prompt that fits, at a power of two. */
  function along(state, series) {
    const path = state.along;
    if (path === "prompt") {
      const fit = series.map((one) => Math.min(one.ends().max_prompt ?? Infinity, 2 ** 20));
      const last = Math.max(16384, state.prompt, ...fit) * 1.5;
      return {
        path,
        low: SHORTEST,
        high: Math.min(2 ** 21, 2 ** Math.ceil(Math.log2(last))),
        label: "prompt length (tokens)",
        unit: "tokens",
      };
    }
    if (COUNTS[path]) {
      const [label, unit] = COUNTS[path];
      const high = path === "batch" ? 256 : 16384;
      return { path, low: 1, high: Math.max(high, state[path]), label, unit };
    }
    const knob = roofsim.knobs.find((one) => one.path === path);
    return { path, low: knob.low, high: knob.high, label: knob.label, unit: knob.unit };
  }

  const now = (state, path) =>
    state[path] ??
    state.numbers[path] ??
    view.controls.given(
      state,
      roofsim.knobs.find((one) => one.path === path),
    );

  const title = (state) => {
    const figure = view.figure(state.figure);
    const [label] = COUNTS[state.along] ?? [
      roofsim.knobs.find((one) => one.path === state.along)?.label ?? state.along,
    ];
    return `${figure.label} against ${label}`;
  };

  function* draw(context) {
    const { state, live, series: all } = context;
    const series = view.series.runs(all);
    if (!series.length) return view.chart.nothing(context);
    const figure = view.figure(state.figure);
    const x = along(state, series);
    const xs = view.scale.steps(x.low, x.high, live ? FEW : MANY, x.unit);
    const curves = [];
    for (const one of series) {
      const values = roofsim.curve(one.asked, x.path, xs)[figure.name];
      const end = x.path === "prompt" ? one.ends() : {};
      const lines = { ...one, values, end, band: null, regimes: [] };
      if (!live) {
        yield;
        lines.band = roofsim.band(one.asked, figure.name, x.path, xs);
        if (x.path === "prompt") lines.regimes = roofsim.regimes(one.asked, x.low, x.high);
      }
      curves.push(lines);
    }
    const crossings = [];
    if (!live && x.path === "prompt") {
      for (const [i, a] of series.entries()) {
        for (const b of series.slice(i + 1)) {
          yield;
          for (const found of roofsim.crossings(a.asked, b.asked, figure.name, x.low, x.high))
            crossings.push({ a, b, ...found });
        }
      }
    }
    const svg = view.crossover.render(context, { figure, x, xs, curves, crossings });
    return {
      nodes: [svg, view.crossover.legend(curves, crossings)],
      table: () => table(x, xs, figure, curves),
      summary: svg.getAttribute("aria-label"),
      crossings,
    };
  }

  function table(x, xs, figure, curves) {
    const columns = [{ name: x.path, label: x.label.replace(" (tokens)", ""), unit: x.unit }];
    for (const one of curves) {
      columns.push({ name: `${one.name} ${figure.name}`, label: one.name, unit: figure.unit });
      if (one.band) {
        columns.push(
          { name: `${one.name} low`, label: "from", unit: figure.unit },
          { name: `${one.name} high`, label: "to", unit: figure.unit },
        );
      }
    }
    const rows = Array.from(xs, (value, i) => [
      value,
      ...curves.flatMap((one) => [one.values[i], ...(one.band ? [one.band.low[i], one.band.high[i]] : [])]),
    ]);
    return { columns, rows };
  }

  (view.panels ??= {}).crossover = {
    order: 1,
    name: "Crossover",
    title,
    options: [
      { key: "figure", label: "figure", choices: () => roofsim.figures },
      { key: "along", label: "against", choices: paths },
    ],
    draw,
  };
  view.paths = paths;
  view.now = now;
}
