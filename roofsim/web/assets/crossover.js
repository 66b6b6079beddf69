// A figure against length (or batch, or any number of the device): who is ahead where, and what ends a curve.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const COUNTS = {
    prompt: ["prompt length", "tokens"],
    generate: ["generated tokens", "tokens"],
    batch: ["batch", "sequences"],
  };
  const [SHORTEST_END, LONGEST] = [16384, 2 ** 20];
  const SHORTEST = 128; // shorter prompts are left out: every curve is flat there
  const WIDE = 16; // own numbers from so many times less to so many times more than now
  const PIECE = 8; // intervals that are computed without a pause
  const [FEW, MANY] = [24, 96]; // points of a curve while dragging, and at rest

  /** What can stand on the x axis. */
  const paths = () => [
    ...Object.entries(COUNTS).map(([name, [label]]) => ({ name, label })),
    ...roofsim.knobs.map((knob) => ({ name: knob.path, label: knob.label })),
  ];

  /** The lengths that are shown: to a power of two beyond the longest prompt that fits. */
  function lengths(state, series) {
    const fit = series.map((one) => one.ends().max_prompt ?? LONGEST);
    const last = 1.5 * Math.max(SHORTEST_END, state.prompt, ...fit);
    return { low: SHORTEST, high: Math.min(LONGEST, 2 ** Math.ceil(Math.log2(last))) };
  }

  /** Bounds, unit and name of the x axis. */
  function along(state, series) {
    const path = state.along;
    if (path === "prompt") {
      return { path, ...lengths(state, series), label: "prompt length (tokens)", unit: "tokens" };
    }
    if (COUNTS[path]) {
      const [label, unit] = COUNTS[path];
      const high = path === "batch" ? 256 : 16384;
      return { path, low: 1, high: Math.max(high, state[path]), label, unit };
    }
    const knob = roofsim.knobs.find((one) => one.path === path);
    const own = view.series.value(state, path);
    const [low, high] = [Math.max(knob.low, own / WIDE), Math.min(knob.high, own * WIDE)];
    return { path, low, high, label: knob.label, unit: knob.unit };
  }

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
    const before = view.chart.still("crossover", context, x.path, [x.low, x.high]);
    if (before) return before;
    const xs = view.scale.steps(x.low, x.high, live ? FEW : MANY, x.unit);
    const curves = [];
    for (const one of series) {
      const { [figure.name]: values, fits } = roofsim.curve(one.asked, x.path, xs);
      if (!values.some(Number.isFinite)) continue; // such as the energy of a device that states no power
      const end = x.path === "prompt" ? one.ends() : {};
      const lines = { ...one, values, fits, end, band: null, regimes: [] };
      if (!live) {
        yield;
        lines.band = yield* band(one.asked, figure.name, x.path, xs);
        if (x.path === "prompt") lines.regimes = regimes(one, figure.name, x);
      }
      curves.push(lines);
    }
    if (!curves.length)
      return { nodes: [view.chart.sentence(`${view.text.capital(figure.label)} is not known here.`)] };
    const crossings = [];
    if (!live) {
      for (const [i, a] of series.entries()) {
        for (const b of series.slice(i + 1)) {
          yield;
          for (const found of roofsim.crossings(a.asked, b.asked, figure.name, x.low, x.high, {
            path: x.path,
            intervals: true,
          }))
            crossings.push({ a, b, ...found });
        }
      }
    }
    const { svg, unplaced } = view.crossover.render(context, { figure, x, xs, curves, crossings });
    return view.chart.keep("crossover", context, x.path, [x.low, x.high], {
      nodes: [svg, ...view.crossover.legend(x, curves, crossings, unplaced)],
      table: () => table(x, xs, figure, curves),
      summary: svg.getAttribute("aria-label"),
      crossings: { x, met: crossings },
    });
  }

  /** The interval at every x, in pieces between which the reader is not kept waiting. */
  function* band(asked, figure, path, xs) {
    const whole = { low: new Float64Array(xs.length), high: new Float64Array(xs.length) };
    for (let from = 0; from < xs.length; from += PIECE) {
      const piece = roofsim.band(asked, figure, path, xs.slice(from, from + PIECE));
      whole.low.set(piece.low, from);
      whole.high.set(piece.high, from);
      yield;
    }
    return whole;
  }

  /** Where what binds changes, of the passes that a figure is made of. */
  function regimes(one, figure, x) {
    const phase = { ttft: "prefill", tpot: "decode" }[figure];
    return roofsim.regimes(one.asked, x.low, x.high).filter((change) => !phase || change.phase === phase);
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
  view.lengths = lengths;
}
