// How the crossover is drawn: curves with bands, crossings, where memory ends, where what binds changes.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const NARROW = 480; // pixels below which the pointer reads no intervals
  const FEW = 2; // curves up to which the chart says where what binds changes; the pointer reads it always
  const ALONE = new Set(["ttft", "tpot"]); // figures of one pass, which need not name it

  /** What binds a pass, in words. */
  const bound = (figure, { phase, to }) => `${ALONE.has(figure.name) ? "" : `${phase} `}${to}-bound`;

  /** Values of a curve at any x between its points, straight on log axes. */
  function read(xs, ys, x) {
    const i = Math.min(Math.max(d3.bisectLeft(xs, x), 1), xs.length - 1);
    const share = Math.log(x / xs[i - 1]) / Math.log(xs[i] / xs[i - 1]);
    return ys[i - 1] * (ys[i] / ys[i - 1]) ** share;
  }

  function render(context, { figure, x, xs, curves, crossings }) {
    const { state, theme, width } = context;
    const height = Math.round(Math.min(420, Math.max(300, width * 0.62)));
    const labelled = Math.max(...curves.map((one) => view.scale.width(one.name, view.scale.FONT, 600)));
    const every = curves.flatMap((one) => [...one.values, ...(one.band ? [...one.band.low, ...one.band.high] : [])]);
    const [bottom, top] = view.scale.around(curves.flatMap((one) => [...one.values]));
    const [low, high] = [
      Math.max(bottom / 3, d3.min(every.filter((v) => v > 0)) ?? bottom),
      Math.min(top * 3, d3.max(every)),
    ];
    const domain = [Math.min(bottom, low), Math.max(top, high)];
    const marks = view.scale.ticks(...domain, figure.unit, 7);
    const left = view.scale.gutter(marks, (tick) => view.text.sayInput(tick, figure.unit));
    const margin = { top: 34, right: labelled + 6, bottom: 38, left };
    const frame = [margin.left, margin.top, width - margin.right, height - margin.bottom];
    const px = view.scale.log(x.low, x.high, frame[0], frame[2]);
    const py = view.scale.log(...domain, frame[3], frame[1]);
    const inside = ({ one, x: at, i }) =>
      x.path === "prompt" ? at <= (one.end.max_prompt ?? Infinity) : one.fits[i] === 1;

    const rows = curves.flatMap((one) =>
      Array.from(xs, (value, i) => ({
        one,
        i,
        x: value,
        y: one.values[i],
        low: one.band?.low[i],
        high: one.band?.high[i],
      })),
    );
    const solid = rows.filter(inside);
    const bounds = curves.flatMap((one) => {
      const last = one.end.max_prompt;
      return last > x.low && last < x.high ? [{ one, x: last, y: read(xs, one.values, last) }] : [];
    });
    const windows = curves.flatMap((one) => {
      const last = one.end.window;
      return last > x.low && last < x.high ? [{ one, x: last, y: read(xs, one.values, last) }] : [];
    });
    const changes = curves.flatMap((one) =>
      one.regimes.map((change) => ({ one, ...change, y: read(xs, one.values, change.x) })),
    );
    const met = crossings.map((found) => ({
      ...found,
      y: read(xs, curves.find((one) => one.name === found.a.name).values, found.x),
    }));

    const stroke = (row) => row.one.colour;
    const z = (row) => row.one.slot;
    const here = view.series.value(state, x.path);
    const ends = curves.map((one) => ({ one, y: py(one.values.at(-1)) }));
    const heights = view.scale.apart(
      ends.map((end) => end.y),
      14,
      frame[1] + 4,
      frame[3] - 4,
    );
    const own = (mark, text, r) => {
      const { one, x: at, y } = mark;
      const said = `${one.name}: ${text}${mark.to ? ` from ${view.text.say(at, x.unit)}` : ""}`;
      return { x: at, y, r, text, fill: one.words, said };
    };
    const spans = met
      .filter((found) => found.low)
      .map((found) => [found.low, found.high].map((at) => [px(d3.median([x.low, at, x.high])), py(found.y)]));
    const marked = [
      ...met.map((found) => ({
        x: found.x,
        y: found.y,
        r: 4,
        text: view.text.say(found.x, x.unit),
        fill: theme.ink,
        weight: 700,
        said: `${found.a.name} and ${found.b.name} are equal at ${view.text.say(found.x, x.unit)}`,
      })),
      ...bounds.map((end) => own(end, `fits to ${view.text.say(end.x)}`, 5)),
      ...windows.map((end) => own(end, `window ${view.text.say(end.x)}`, 5)),
      ...(curves.length > FEW ? [] : changes).map((change) => own(change, bound(figure, change), 3)),
    ].map((label) => ({ ...label, x: px(label.x), y: py(label.y) }));
    const { placed, left: unplaced } = view.scale.place(marked, frame, {
      taken: marked.map(({ x: at, y, r }) => [at - r, y - r, at + r, y + r]),
      lines: [...curves.map((one) => Array.from(xs, (value, i) => [px(value), py(one.values[i])])), ...spans],
    });

    const svg = view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken(state, figure, x, curves, crossings),
      x: { type: "log", domain: [x.low, x.high] },
      y: { type: "log", domain },
      marks: [
        ...view.chart.axes(context, {
          x: {
            ticks: view.scale.fitting(x.low, x.high, x.unit, frame[2] - frame[0]),
            unit: x.unit,
            label: x.label,
          },
          y: {
            ticks: marks,
            unit: figure.unit,
            label: figure.label,
            dx: -margin.left + 2,
          },
        }),
        view.chart.now(context, here),
        Plot.areaY(
          rows.filter((row) => row.high > 0),
          {
            x: "x",
            y1: (row) => Math.max(row.low, domain[0]),
            y2: (row) => Math.min(row.high, domain[1]),
            z,
            fill: stroke,
            fillOpacity: 0.14,
            curve: "linear",
          },
        ),
        Plot.lineY(rows, { x: "x", y: "y", z, stroke, strokeWidth: 1.2, strokeDasharray: "2 3" }),
        Plot.lineY(solid, { x: "x", y: "y", z, stroke, strokeWidth: 2 }),
        Plot.dot(changes, { x: "x", y: "y", r: 3, fill: theme.paper, stroke, strokeWidth: 1.5 }),
        Plot.dot(bounds, { x: "x", y: "y", symbol: "times", stroke, strokeWidth: 2.2, r: 5 }),
        Plot.ruleX(windows, {
          x: "x",
          y1: (end) => py.invert(py(end.y) + 7),
          y2: (end) => py.invert(py(end.y) - 7),
          stroke,
          strokeWidth: 2.5,
        }),
        Plot.ruleY(
          met.filter((found) => found.low),
          {
            x1: (found) => Math.max(found.low, x.low),
            x2: (found) => Math.min(found.high, x.high),
            y: "y",
            stroke: theme.ink,
            strokeOpacity: 0.4,
            strokeWidth: curves.length > 2 ? 2 : 5,
          },
        ),
        Plot.dot(met, { x: "x", y: "y", r: 4.5, stroke: theme.ink, fill: theme.paper, strokeWidth: 1.8 }),
        view.chart.labels(context, placed, px, py),
        Plot.text(curves, {
          x: () => x.high,
          y: (_, i) => py.invert(heights[i]),
          text: "name",
          fill: "words",
          textAnchor: "start",
          dx: 6,
          fontWeight: 600,
        }),
        view.chart.tip(context, rows, {
          x: "x",
          y: "y",
          title: (row) => reading(figure, x, curves, row, width < NARROW),
        }),
        view.chart.cursor(context, rows),
      ],
    });
    return { svg: view.chart.moving(svg, px), unplaced: unplaced.map((label) => label.said) };
  }

  /** What binds each pass of a curve at a length, of the passes in which it changes. */
  function binding(changes, x) {
    return d3
      .groups(changes, (change) => change.phase)
      .map(([phase, all]) => {
        const past = all.filter((change) => change.x <= x).at(-1);
        return { phase, to: past ? past.to : all[0].from };
      });
  }

  /** What the pointer reads: every curve at that x, the best first. */
  function reading(figure, x, curves, row, narrow) {
    const { i } = row;
    const better = figure.better === "more" ? d3.descending : d3.ascending;
    const said = d3
      .sort(curves, (a, b) => better(a.values[i], b.values[i]))
      .map((one) => {
        const band =
          one.band && !narrow
            ? ` [${view.text.say(one.band.low[i], figure.unit)} – ${view.text.say(one.band.high[i], figure.unit)}]`
            : "";
        const beyond =
          row.x > (one.end.max_prompt ?? Infinity) || (x.path !== "prompt" && !one.fits[i])
            ? ", beyond memory"
            : row.x > (one.end.window ?? Infinity)
              ? ", beyond the window"
              : "";
        const by = binding(one.regimes, row.x).map((state) => `, ${bound(figure, state)}`);
        return `${one.name}: ${view.text.say(one.values[i], figure.unit)}${band}${by.join("")}${beyond}`;
      });
    return [`${x.label.replace(" (tokens)", "")} ${view.text.say(row.x, x.unit)}`, ...said].join("\n");
  }

  /** What the lines and marks mean, below the chart; only what is drawn, and first what has no room in it. */
  function legend(x, curves, crossings, unplaced) {
    const lengths = x.path === "prompt";
    const said = ["line: prediction"];
    if (curves.some((one) => one.band)) said.push("band: 95 % interval");
    if (crossings.length)
      said.push(`○ crossing with the ${lengths ? "lengths" : "values"} at which the order is not certain`);
    if (curves.some((one) => one.end.max_prompt > 0)) said.push("× memory ends, dotted beyond");
    else if (curves.some((one) => one.fits.some((fits) => !fits) || one.end.max_prompt === 0))
      said.push("dotted: does not fit into the memory");
    if (curves.some((one) => one.end.window)) said.push("| context window ends");
    if (curves.some((one) => one.regimes.length)) said.push("small ○: what binds changes");
    const more = unplaced.length ? [view.chart.legend(`also marked: ${unplaced.join("; ")}`)] : [];
    return [...more, view.chart.legend(said.join(" · "))];
  }

  /** The chart in words, for those who do not see it. */
  function spoken(state, figure, x, curves, crossings) {
    const { say } = view.text;
    const ranges = curves.map(
      (one) => `${one.name} from ${say(one.values[0], figure.unit)} to ${say(one.values.at(-1), figure.unit)}`,
    );
    const tokens = x.unit === "tokens" ? " tokens" : "";
    const met = crossings.map(
      (found) => `${found.a.name} and ${found.b.name} are equal at ${say(found.x, x.unit)}${tokens}`,
    );
    const span = `${say(x.low, x.unit)} to ${say(x.high, x.unit)}`;
    return `${figure.label} for ${x.label} from ${span}: ${[...ranges, ...met].join("; ")}.`;
  }

  view.crossover = { render, legend };
}
