// Where the time goes: operators by device and by host, per phase; the part in which the device waits for launches.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const ROW = 17;
  const STRONGEST = 0.92;
  const APART = 12; // where passes differ by more, bars are shares of their own pass: the shorter ones would vanish
  const SMALLEST = 0.02; // smaller shares of a bar become one segment, "others"
  const EXCHANGED = "between devices"; // what several devices do together, which is no work of a model's own

  /** Segments of one bar, the largest first: operators of equal name together, and all that devices exchange. */
  function segments(rows, value) {
    const sums = d3.sort(
      d3.rollups(
        rows,
        (same) => d3.sum(same, value),
        (row) => (row.kind === "collective" ? EXCHANGED : row.operator),
      ),
      ([, sum]) => -sum,
    );
    const all = d3.sum(sums, ([, sum]) => sum);
    const large = sums.filter(([, sum]) => sum >= all * SMALLEST);
    const small = d3.sum(sums.slice(large.length), ([, sum]) => sum);
    const named = [...large, ...(small > 0 ? [[`${sums.length - large.length} others`, small]] : [])];
    let from = 0;
    return named.map(([name, sum], i) => ({
      name,
      from,
      to: (from += sum),
      tint: STRONGEST - (STRONGEST - 0.3) * (i / Math.max(1, named.length - 1)),
    }));
  }

  function bars(series, phase) {
    return series.flatMap((one) => {
      const { rows, phases } = one.operators();
      const pass = phases[phase];
      if (!pass) return [];
      const own = rows.filter((row) => row.phase === phase);
      return [
        {
          one,
          pass,
          phase,
          what: "device",
          total: pass.device_time,
          parts: segments(own, (row) => row.time),
          waits: Math.max(0, pass.time - pass.device_time),
        },
        { one, pass, phase, what: "host", total: pass.host_time, parts: segments(own, (row) => row.host), waits: 0 },
      ];
    });
  }

  function* draw(context) {
    const series = view.series.runs(context.series);
    if (!series.length) return view.chart.nothing(context);
    const { width } = context;
    const across = width > 860 ? 2 : 1;
    const box = document.createElement("div");
    box.className = `multiples across-${across}`;
    const all = [];
    for (const phase of ["prefill", "decode"]) {
      const found = bars(series, phase);
      if (!found.length) continue;
      box.append(render(context, phase, found, Math.floor((width - (across - 1) * 12) / across)));
      all.push(...found);
      yield;
    }
    return {
      nodes: [box, legend(all)],
      table: () => table(series),
      summary: [...box.children].map((node) => node.getAttribute("aria-label")).join(" "),
    };
  }

  function render(context, phase, found, width) {
    const { theme } = context;
    const names = width > 480;
    const margin = { top: 30, right: 64, bottom: 24, left: names ? 152 : 62 };
    const step = (bar, i) => i * ROW + Math.floor(i / 2) * 8 + (names ? 0 : (Math.floor(i / 2) + 1) * 15);
    const height = margin.top + margin.bottom + step(null, found.length - 1) + ROW;
    const whole = (bar) => Math.max(bar.pass.time, bar.pass.host_time);
    const shares = apart(found);
    const scaled = (bar, time) => (shares ? (100 * time) / whole(bar) : time);
    const longest = shares ? 100 : d3.max(found, whole);
    const px = d3.scaleLinear([0, longest], [margin.left, width - margin.right]);
    const rows = found.flatMap((bar, i) =>
      bar.parts.map((part) => ({
        bar,
        i,
        name: part.name,
        time: part.to - part.from,
        from: scaled(bar, part.from),
        to: scaled(bar, part.to),
        fill: part.name === EXCHANGED ? theme.soft : view.theme.tint(bar.one.colour, part.tint, theme),
      })),
    );
    const y1 = (row) => step(null, row.i);
    const label = (row) => (px(row.to) - px(row.from) > view.scale.width(row.name, 10) + 2 ? row.name : "");
    const waits = found
      .map((bar, i) => ({ bar, i, from: scaled(bar, bar.total), to: scaled(bar, bar.total + bar.waits) }))
      .filter((wait) => px(wait.to) - px(wait.from) > 1);
    const count = Math.max(2, Math.floor((width - margin.left - margin.right) / 80));
    const axis = shares ? px.ticks(count) : view.scale.times(longest, count);

    return view.chart.plot(context, {
      width,
      height,
      margin,
      ariaLabel: spoken(phase, found),
      x: { domain: [0, longest] },
      y: { domain: [0, height - margin.top - margin.bottom], range: [margin.top, height - margin.bottom] },
      marks: [
        ...view.chart.axes(context, { x: { ticks: axis, unit: shares ? "%" : "s" } }),
        Plot.text([`${phase === "prefill" ? "Prefill" : "Decode, one token"}`], {
          frameAnchor: "top-left",
          dx: -margin.left + 2,
          dy: -24,
          fill: theme.ink,
          textAnchor: "start",
          fontWeight: 600,
        }),
        Plot.rect(rows, {
          x1: "from",
          x2: "to",
          y1,
          y2: (row) => y1(row) + ROW - 1,
          fill: "fill",
          stroke: theme.paper,
          strokeWidth: 0.6,
        }),
        Plot.text(rows, {
          x: (row) => (row.from + row.to) / 2,
          y: (row) => y1(row) + ROW / 2,
          text: label,
          fill: (row) => view.theme.over(row.fill),
          fontSize: 10,
        }),
        Plot.rect(waits, {
          x1: "from",
          x2: "to",
          y1,
          y2: (wait) => y1(wait) + ROW - 1,
          fill: "none",
          stroke: (wait) => wait.bar.one.colour,
          strokeDasharray: "3 2",
          inset: 0.5,
        }),
        Plot.text(waits, {
          x: (wait) => (wait.from + wait.to) / 2,
          y: (wait) => y1(wait) + ROW / 2,
          fill: theme.soft,
          fontSize: 10,
          text: (wait) =>
            px(wait.to) - px(wait.from) > 96 ? "waits for the host" : px(wait.to) - px(wait.from) > 34 ? "waits" : "",
        }),
        Plot.text(found, {
          x: (bar) => scaled(bar, bar.total + bar.waits),
          y: (_, i) => step(null, i) + ROW / 2,
          text: (bar) => view.text.say(bar.what === "device" ? bar.pass.time : bar.total, "s"),
          dx: 4,
          textAnchor: "start",
          fill: theme.ink,
        }),
        Plot.text(found, {
          x: 0,
          y: (_, i) => step(null, i) + ROW / 2,
          text: "what",
          dx: -6,
          textAnchor: "end",
          fill: theme.soft,
        }),
        Plot.text(
          found.filter((_, i) => i % 2 === 0),
          {
            x: 0,
            y: (_, i) => step(null, i * 2) + (names ? ROW : -7),
            text: (bar) => bar.one.name,
            dx: names ? -50 : -margin.left + 4,
            textAnchor: names ? "end" : "start",
            fill: (bar) => bar.one.words,
            fontWeight: 600,
          },
        ),
        view.chart.tip(
          context,
          rows,
          { x: (row) => (row.from + row.to) / 2, y: (row) => y1(row) + ROW / 2, title: reading },
          Plot.pointer,
        ),
      ],
    });
  }

  const apart = (found) => d3.max(found, (bar) => bar.pass.time) > APART * d3.min(found, (bar) => bar.pass.time);

  function reading(row) {
    const { say } = view.text;
    const { bar } = row;
    return [
      `${bar.one.name}, ${bar.phase}, ${bar.what}: ${row.name}`,
      `${say(row.time, "s")}, ${say((row.time / bar.total) * 100, "%")} of the ${bar.what}'s ${say(bar.total, "s")}`,
      `the pass takes ${say(bar.pass.time, "s")}, bound by ${bar.pass.bound}`,
    ].join("\n");
  }

  function legend(all) {
    const bound = all
      .filter((bar) => bar.pass.bound === "launch" && bar.what === "device")
      .map((bar) => `${bar.one.name} ${bar.phase}`);
    const said = ["device: time of kernels, host: time to launch them"];
    if (all.some((bar) => bar.parts.some((part) => part.name === EXCHANGED))) said.push(`grey: time ${EXCHANGED}`);
    if (all.some((bar) => bar.waits > SMALLEST * bar.total)) said.push("dashed: the device waits for the host");
    const own = d3
      .groups(all, (bar) => bar.phase)
      .filter(([, bars]) => apart(bars))
      .map(([phase]) => phase);
    if (own.length)
      said.push(
        `bars of ${own.join(" and ")} are shares of each model's own pass, since these differ more than ${APART} times`,
      );
    if (bound.length) said.push(`launch-bound: ${bound.join(", ")}`);
    return view.chart.legend(said.join(" · "));
  }

  function spoken(phase, found) {
    const { say } = view.text;
    const said = found
      .filter((bar) => bar.what === "device")
      .map((bar) => {
        const parts = bar.parts
          .slice(0, 3)
          .map((part) => `${part.name} ${say(((part.to - part.from) / bar.total) * 100, "%")}`);
        const busy = `device busy ${say(bar.total, "s")} (${parts.join(", ")}), host ${say(bar.pass.host_time, "s")}`;
        return `${bar.one.name} ${say(bar.pass.time, "s")}, ${bar.pass.bound}-bound, ${busy}`;
      });
    return `Where the time of ${phase} goes: ${said.join("; ")}.`;
  }

  function table(series) {
    const columns = [
      { name: "model", label: "model" },
      { name: "phase", label: "phase" },
      { name: "layer", label: "layer" },
      { name: "operator", label: "operator" },
      { name: "count", label: "layers", unit: "1" },
      { name: "kernels", label: "kernels", unit: "1" },
      { name: "device_time", label: "device", unit: "s" },
      { name: "host_time", label: "host", unit: "s" },
      { name: "bound", label: "bound by" },
    ];
    const rows = series.flatMap((one) =>
      one
        .operators()
        .rows.map((row) => [
          one.name,
          row.phase,
          row.layer,
          row.operator,
          row.count,
          row.kernels,
          row.time,
          row.host,
          row.bound,
        ]),
    );
    return { columns, rows };
  }

  (view.panels ??= {}).where = {
    order: 3,
    name: "Where the time goes",
    title: () => "Where the time goes",
    options: [],
    draw,
    wide: true,
  };
}
