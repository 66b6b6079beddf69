// Memory against length: what fills it, part by part, up to what the device has and what its system takes of it.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const [FEW, MANY] = [14, 72];
  const GIB = 2 ** 30;

  function* draw(context) {
    const { state, width, live } = context;
    const series = view.series.runs(context.series);
    if (!series.length) return view.chart.nothing(context);
    const { low, high } = view.lengths(state, series);
    const before = view.chart.still("memory", context, "prompt", [low, high]);
    if (before) return before;
    const xs = view.scale.steps(low, high, live ? FEW : MANY, "tokens");
    const across = Math.min(series.length === 4 ? 2 : Math.min(series.length, 3), Math.max(1, Math.floor(width / 340)));
    const box = document.createElement("div");
    box.className = `multiples across-${across}`;
    const drawn = [];
    for (const one of series) {
      const found = { one, ...roofsim.memory(one.asked, xs) };
      found.names = Object.keys(found.parts).filter((name) => found.parts[name].some((value) => value > 0));
      drawn.push(found);
      if (!live) yield;
    }
    for (const found of drawn)
      box.append(
        render(context, found, xs, ceiling(found), Math.floor((width - (across - 1) * 12) / across), across > 1),
      );
    return view.chart.keep("memory", context, "prompt", [low, high], {
      nodes: [box, legend(drawn)],
      table: () => table(drawn, xs),
      summary: drawn.map((found) => spoken(found, xs)).join(" "),
    });
  }

  /** Air above the capacity, so that what does not fit is seen to; what is far beyond is cut there. */
  function ceiling({ names, parts, capacity }) {
    const used = d3.sum(names, (name) => parts[name][0]);
    return Math.max(capacity * 1.3, Math.min(used * 1.15, capacity * 4));
  }

  function render(context, { one, parts, labels, names, capacity, usable }, xs, top, width, small) {
    const { theme, state } = context;
    const height = Math.round(Math.min(small ? 250 : 360, Math.max(230, width * 0.6)));
    const margin = { top: 36, right: 84, bottom: 36, left: 58 };
    const frame = [margin.left, margin.top, width - margin.right, height - margin.bottom];
    const px = view.scale.log(xs[0], xs.at(-1), frame[0], frame[2]);
    const py = d3.scaleLinear([0, top], [frame[3], frame[1]]);
    const word = (name) => labels?.[name] ?? name.replaceAll("_", " ");
    const sums = new Float64Array(xs.length);
    const rows = [];
    names.forEach((name, i) => {
      const fill = view.theme.tint(one.colour, 0.92 - 0.67 * (i / Math.max(1, names.length - 1)), theme);
      xs.forEach((x, j) => {
        const from = sums[j];
        sums[j] += parts[name][j];
        rows.push({ x, name, fill, from: Math.min(from, top), to: Math.min(sums[j], top), bytes: parts[name][j] });
      });
    });
    const last = xs.length - 1;
    const ends = names.map((name) => rows.find((row) => row.name === name && row.x === xs[last]));
    const middles = ends.map((row) => py((row.from + row.to) / 2));
    const seen = ends
      .map((row, i) => ({ ...row, middle: middles[i] }))
      .filter((row) => row.to > row.from + top * 0.004);
    const heights = view.scale.apart(
      seen.map((row) => row.middle),
      12,
      frame[1] + 2,
      frame[3] - 2,
    );
    const end = one.ends().max_prompt;
    const totals = Array.from(xs, (x, j) => ({ x, y: Math.min(sums[j], top), j }));
    // words stand on the paper, or where a model does not fit on what fills the chart
    const above = rows.find((row) => row.x === xs[0] && row.from <= usable && row.to >= capacity);
    const ink = above ? { fill: view.theme.over(above.fill), stroke: "none" } : { fill: theme.ink };
    const unit = top > 4096 * GIB ? 2 ** 40 : GIB;

    const svg = view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken({ one, parts, names, capacity, usable }, xs),
      x: { type: "log", domain: [xs[0], xs[last]] },
      y: { domain: [0, top] },
      marks: [
        ...view.chart.axes(context, {
          x: {
            ticks: view.scale.fitting(xs[0], xs[last], "tokens", frame[2] - frame[0]),
            unit: "tokens",
            label: "prompt length (tokens)",
          },
          y: { ticks: niceBytes(top, unit), unit: "B" },
        }),
        Plot.text([one.name], {
          frameAnchor: "top-left",
          dx: -margin.left + 2,
          dy: -28,
          fill: one.words,
          textAnchor: "start",
          fontWeight: 600,
        }),
        Plot.areaY(rows, {
          x: "x",
          y1: "from",
          y2: "to",
          z: "name",
          fill: "fill",
          stroke: theme.paper,
          strokeWidth: 0.5,
        }),
        capacity > usable &&
          Plot.rectY([0], { x1: xs[0], x2: xs[last], y1: usable, y2: capacity, fill: theme.soft, fillOpacity: 0.22 }),
        Plot.ruleY([usable], { stroke: theme.ink, strokeWidth: 1.6 }),
        view.chart.text(context, [0], {
          x: xs[0],
          y: capacity,
          text: [`${view.text.say(usable, "B")} usable of ${view.text.say(capacity, "B")}`],
          dx: 4,
          dy: py(usable) - py(capacity) > 15 ? 9 : -8, // inside the system's share where that is high enough
          textAnchor: "start",
          ...ink,
        }),
        view.chart.now(context, state.prompt),
        end > xs[0] &&
          end < xs[last] &&
          Plot.dot([end], { x: [end], y: [usable], symbol: "times", stroke: theme.ink, strokeWidth: 2.2, r: 5 }),
        end > xs[0] &&
          end < xs[last] &&
          view.chart.text(context, [end], {
            x: [end],
            y: [usable],
            text: [view.text.say(end)],
            dy: 12,
            dx: px(end) < frame[0] + 40 ? 8 : -8,
            textAnchor: px(end) < frame[0] + 40 ? "start" : "end",
            fontWeight: 700,
            fill: theme.ink,
          }),
        Plot.text(seen, {
          x: () => xs[last],
          y: (_, i) => py.invert(heights[i]),
          text: (row) => word(row.name),
          dx: 5,
          textAnchor: "start",
          fill: theme.soft,
        }),
        view.chart.tip(context, totals, {
          x: "x",
          y: "y",
          title: (row) => reading(one, parts, names, word, row, sums, usable),
        }),
        view.chart.cursor(context, totals),
        sums[0] > top &&
          view.chart.text(context, [0], {
            frameAnchor: "top",
            dy: 6,
            text: [`goes on to ${view.text.say(sums[0], "B")} and more`],
            ...ink,
            lineAnchor: "top",
          }),
      ],
    });
    return view.chart.moving(svg, px);
  }

  const niceBytes = (top, unit) => d3.ticks(0, top / unit, 5).map((value) => value * unit);

  function reading(one, parts, names, word, row, sums, usable) {
    const { say, tokens } = view.text;
    const said = names.map((name) => `${word(name)} ${say(parts[name][row.j], "B")}`);
    return [
      `${one.name} at ${tokens(row.x)}`,
      `${say(sums[row.j], "B")}${sums[row.j] > usable ? ", does not fit" : ""}`,
      ...said.reverse(),
    ].join("\n");
  }

  function legend(drawn) {
    const said = ["thick line: what can be used"];
    if (drawn.some((found) => found.capacity > found.usable)) said.push("grey: what the system takes");
    if (drawn.some((found) => found.one.ends().max_prompt)) said.push("×: the longest prompt that fits");
    return view.chart.legend(said.join(" · "));
  }

  function spoken({ one, parts, names, usable, capacity }, xs) {
    const { say, tokens } = view.text;
    const total = (j) => d3.sum(names, (name) => parts[name][j]);
    const end = one.ends().max_prompt;
    const fits =
      end === null
        ? "every length fits"
        : end > 0
          ? `the longest prompt that fits has ${say(end)} tokens`
          : "it does not fit";
    const [first, last] = [0, xs.length - 1].map((j) => `${say(total(j), "B")} at ${tokens(xs[j])}`);
    const room = `${say(usable, "B")} usable of ${say(capacity, "B")}`;
    return `Memory of ${one.name}: from ${first} to ${last} tokens, ${room}; ${fits}.`;
  }

  function table(drawn, xs) {
    const names = [...new Set(drawn.flatMap((found) => found.names))];
    const columns = [
      { name: "model", label: "model" },
      { name: "prompt", label: "prompt", unit: "tokens" },
      ...names.map((name) => ({ name, label: name.replaceAll("_", " "), unit: "B" })),
      { name: "total", label: "total", unit: "B" },
    ];
    const rows = drawn.flatMap((found) =>
      Array.from(xs, (x, j) => {
        const values = names.map((name) => found.parts[name]?.[j] ?? 0);
        return [found.one.name, x, ...values, d3.sum(values)];
      }),
    );
    return { columns, rows };
  }

  (view.panels ??= {}).memory = {
    order: 4,
    name: "Memory",
    title: (state) => (state.tp > 1 ? `Memory of each of ${state.tp} devices against length` : "Memory against length"),
    options: [],
    draw,
    wide: true,
  };
}
