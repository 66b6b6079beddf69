// A figure over two sliders at once: a map of one model, or of who is ahead of whom.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const PAIR = " / ";
  const STRONGEST = 0.9;
  const FULL = 8; // a ratio of this much or more has the full colour

  /** The models alone, then each pair of them. */
  function subjects(state) {
    const names = state.models.filter(Boolean);
    const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => a + PAIR + b));
    return [...pairs, ...names].map((name) => ({
      name,
      label: name.includes(PAIR) ? `${name.replace(PAIR, " against ")}` : name,
    }));
  }

  function chosen(state) {
    const all = subjects(state);
    return all.find((one) => one.name === state.subject)?.name ?? all[0]?.name ?? "";
  }

  const otherwise = (state, key) => {
    const paths = view.paths();
    const known = paths.find((path) => path.name === state[key]);
    return (
      known ?? paths.find((path) => path.name === (key === "across" ? "prompt" : (roofsim.knobs[0]?.path ?? "batch")))
    );
  };

  /** The values of an axis: powers of two of what is counted, of numbers from a quarter to four times the device's. */
  function axis(path, state) {
    const knob = roofsim.knobs.find((one) => one.path === path.name);
    if (knob) {
      const own = view.series.value(state, knob.path, true);
      return {
        ...path,
        unit: knob.unit,
        values: d3
          .range(-4, 5)
          .map((n) => own * 2 ** (n / 2))
          .filter((x) => x >= knob.low && x <= knob.high),
      };
    }
    const [first, last, unit] = { prompt: [8, 17, "tokens"], generate: [0, 14, "tokens"], batch: [0, 9, "sequences"] }[
      path.name
    ];
    return { ...path, unit, values: d3.range(first, last + 1).map((n) => 2 ** n) };
  }

  /** The request with one number changed. */
  const changed = (asked, path, value) =>
    path in asked ? { ...asked, [path]: value } : { ...asked, numbers: { ...asked.numbers, [path]: value } };

  function* draw(context) {
    const { state } = context;
    const series = view.series.runs(context.series);
    if (!series.length) return view.chart.nothing(context);
    const names = chosen(state).split(PAIR);
    const sides = names.map((name) => series.find((one) => one.name === name));
    if (!sides.every(Boolean) || !sides.length)
      return { nodes: [view.chart.sentence(`${names.join(" and ")} cannot be shown with these choices.`)] };
    const figure = view.figure(state.wanted);
    const [x, y] = [axis(otherwise(state, "across"), state), axis(otherwise(state, "down"), state)];
    if (x.name === y.name)
      return { nodes: [view.chart.sentence("Both axes are the same number: choose another for one of them.")] };
    const cells = [];
    for (const [j, value] of y.values.entries()) {
      const found = sides.map((one) => roofsim.curve(changed(one.asked, y.name, value), x.name, x.values));
      const lines = found.map((curve) => curve[figure.name]);
      x.values.forEach((at, i) =>
        cells.push({
          x: at,
          y: value,
          i,
          j,
          a: lines[0][i],
          b: lines[1]?.[i],
          fit: found.map((curve) => curve.fits[i] === 1),
          value: lines.length > 1 ? lines[0][i] / lines[1][i] : lines[0][i],
        }),
      );
      yield;
    }
    if (!cells.some((cell) => Number.isFinite(cell.value)))
      return { nodes: [view.chart.sentence(`${view.text.capital(figure.label)} is not known here.`)] };
    const svg = render(context, { figure, x, y, cells, sides });
    return {
      nodes: [svg, legend(figure, sides, cells)],
      table: () => table(figure, x, y, cells, sides),
      summary: svg.getAttribute("aria-label"),
    };
  }

  const fits = (cell) => cell.fit.every(Boolean);

  /** Slanted lines over a cell, which go on in its neighbours. */
  const hatched = ({ i, j }) =>
    [
      [-0.5, 0, 0, 0.5],
      [-0.5, -0.5, 0.5, 0.5],
      [0, -0.5, 0.5, 0],
    ].map(([x1, y1, x2, y2]) => ({ x1: i + x1, y1: j + y1, x2: i + x2, y2: j + y2 }));

  /** The colour of a cell: of one model by value, of two that of the one ahead, the stronger the further. */
  function colours(figure, cells, sides, theme) {
    if (sides.length > 1) {
      const sign = figure.better === "more" ? 1 : -1;
      return (cell) => {
        const ahead = sign * Math.log(cell.value);
        const share = Math.min(1, Math.abs(ahead) / Math.log(FULL)) * STRONGEST;
        return view.theme.tint((ahead > 0 ? sides[0] : sides[1]).colour, Math.round(share * 20) / 20, theme);
      };
    }
    const [low, high] = d3.extent(cells, (cell) => Math.log(cell.value));
    return (cell) =>
      view.theme.tint(
        sides[0].colour,
        Math.round((0.08 + (STRONGEST - 0.08) * ((Math.log(cell.value) - low) / (high - low || 1))) * 40) / 40,
        theme,
      );
  }

  function render(context, { figure, x, y, cells, sides }) {
    const { width, theme, state } = context;
    const left = view.scale.gutter(y.values, (value) => view.text.sayInput(value, y.unit));
    const margin = { top: 34, right: 8, bottom: 40, left };
    const height = Math.round(Math.min(420, Math.max(300, width * 0.6)));
    const [cw, ch] = [
      (width - margin.left - margin.right) / x.values.length,
      (height - margin.top - margin.bottom) / y.values.length,
    ];
    const fill = colours(figure, cells, sides, theme);
    const said = (cell) =>
      sides.length > 1 ? `${view.text.significant(cell.value, 2)}` : view.text.say(cell.value, figure.unit);
    const readable = (cell) => fits(cell) && view.scale.width(said(cell), 9) < cw;
    const spaced = (values, size, room) => d3.range(0, values.length, Math.max(1, Math.ceil(room / size)));
    // the place of a value between the cells' middles, on the axis of cells
    const place = (values, value) => d3.scaleLog([values[0], values.at(-1)], [0, values.length - 1])(value);
    const [hereX, hereY] = [
      place(x.values, view.series.value(state, x.name)),
      place(y.values, view.series.value(state, y.name)),
    ];
    const inside = hereX >= -0.5 && hereX <= x.values.length - 0.5 && hereY >= -0.5 && hereY <= y.values.length - 0.5;
    const ringed = ({ i, j }) => Math.abs(i - hereX) <= 0.5 && Math.abs(j - hereY) <= 0.5;
    return view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken(figure, x, y, cells, sides),
      x: { domain: [-0.5, x.values.length - 0.5] },
      y: { domain: [-0.5, y.values.length - 0.5] },
      marks: [
        Plot.rect(cells, {
          x1: (c) => c.i - 0.5,
          x2: (c) => c.i + 0.5,
          y1: (c) => c.j - 0.5,
          y2: (c) => c.j + 0.5,
          fill,
          inset: 0.5,
        }),
        Plot.link(cells.filter((cell) => !fits(cell)).flatMap(hatched), {
          x1: "x1",
          y1: "y1",
          x2: "x2",
          y2: "y2",
          stroke: theme.ink,
          strokeOpacity: 0.55,
          strokeWidth: 0.9,
        }),
        Plot.text(
          cells.filter((cell) => readable(cell) && !(inside && ringed(cell))),
          {
            x: "i",
            y: "j",
            text: said,
            fill: (cell) => view.theme.over(fill(cell)),
            fontSize: 9,
          },
        ),
        ...view.chart.axes(context, {
          x: {
            ticks: spaced(x.values, cw, 60),
            say: (i) => view.text.sayInput(x.values[i], x.unit),
            label: x.label,
            grid: false,
          },
          y: {
            ticks: spaced(y.values, ch, 18),
            say: (j) => view.text.sayInput(y.values[j], y.unit),
            label: y.label,
            grid: false,
            dx: -margin.left + 2,
          },
        }),
        inside && Plot.dot([0], { x: [hereX], y: [hereY], r: 7, stroke: theme.paper, strokeWidth: 4 }),
        inside && Plot.dot([0], { x: [hereX], y: [hereY], r: 7, stroke: theme.ink, strokeWidth: 2 }),
        view.chart.tip(
          context,
          cells,
          { x: "i", y: "j", title: (cell) => reading(figure, x, y, sides, cell) },
          Plot.pointer,
        ),
      ],
    });
  }

  function reading(figure, x, y, sides, cell) {
    const values = [cell.a, cell.b];
    const said = sides.map(
      (one, i) => `${one.name}: ${view.text.say(values[i], figure.unit)}${cell.fit[i] ? "" : ", does not fit"}`,
    );
    return [
      `${x.label} ${view.text.sayInput(cell.x, x.unit)}, ${y.label} ${view.text.sayInput(cell.y, y.unit)}`,
      ...said,
    ].join("\n");
  }

  function legend(figure, sides, cells) {
    const [low, high] = d3.extent(cells, (cell) => cell.value);
    const { say, significant } = view.text;
    const without = sides.filter((_, i) => cells.some((cell) => !cell.fit[i])).map((one) => one.name);
    const beyond = without.length ? ` · hatched: ${without.join(" or ")} does not fit into the memory` : "";
    if (sides.length > 1) {
      return view.chart.legend(
        view.keys(sides, (one) => `${one.name} is ahead`),
        `numbers: ${figure.label} of ${sides[0].name} over that of ${sides[1].name}, `,
        `${significant(low, 2)} to ${significant(high, 2)} · ○ now${beyond}`,
      );
    }
    return view.chart.legend(
      `${figure.label} of ${sides[0].name}, `,
      `pale ${say(low, figure.unit)} to full ${say(high, figure.unit)} · ○ now${beyond}`,
    );
  }

  function spoken(figure, x, y, cells, sides) {
    const [low, high] = d3.extent(cells, (cell) => cell.value);
    const said = (value) =>
      sides.length > 1 ? `${view.text.significant(value)} times` : view.text.say(value, figure.unit);
    const what =
      sides.length > 1
        ? `${figure.label} of ${sides[0].name} over that of ${sides[1].name}`
        : `${figure.label} of ${sides[0].name}`;
    const lost = cells.filter((cell) => !fits(cell)).length;
    const beyond = lost ? `; in ${lost} of ${cells.length} cells it does not fit into the memory` : "";
    return `Map of ${what} over ${x.label} and ${y.label}: from ${said(low)} to ${said(high)}${beyond}.`;
  }

  function table(figure, x, y, cells, sides) {
    const columns = [
      { name: x.name, label: x.label, unit: x.unit },
      { name: y.name, label: y.label, unit: y.unit },
      ...sides.flatMap((one) => [
        { name: `${one.name} ${figure.name}`, label: one.name, unit: figure.unit },
        { name: `${one.name} fits`, label: "fits" },
      ]),
    ];
    const of = (cell) => sides.flatMap((_, i) => [[cell.a, cell.b][i], cell.fit[i] ? "yes" : "no"]);
    return { columns, rows: cells.map((cell) => [cell.x, cell.y, ...of(cell)]) };
  }

  const path = (key) => ({ key, choices: () => view.paths(), value: (state) => otherwise(state, key).name });
  (view.panels ??= {}).heat = {
    order: 6,
    name: "What if",
    title: (state) => `What if: ${view.figure(state.wanted).label}`,
    options: [
      { key: "wanted", label: "figure", choices: () => roofsim.figures },
      { key: "subject", label: "of", choices: subjects, value: chosen },
      { ...path("across"), label: "across" },
      { ...path("down"), label: "up" },
    ],
    draw,
    rests: true,
  };
}
