// What all charts share: Plot with our fonts and colours, axes with spoken ticks, what the pointer reads.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const FAMILY = "system-ui, sans-serif";

  /** A Plot in the theme's colours, with a margin on each side; what an export needs is written into the SVG. */
  function plot(context, { margin, ...options }) {
    const { theme } = context;
    const svg = Plot.plot({
      className: "chart",
      style: {
        background: "transparent",
        color: theme.ink,
        fontFamily: FAMILY,
        fontSize: `${view.scale.FONT}px`,
        overflow: "visible",
      },
      marginTop: margin.top,
      marginRight: margin.right,
      marginBottom: margin.bottom,
      marginLeft: margin.left,
      ...options,
      marks: options.marks.filter(Boolean),
      x: { label: null, axis: null, ...options.x },
      y: { label: null, axis: null, ...options.y },
    });
    svg.querySelector("style").remove(); // one that comes and goes has the whole page laid out anew
    svg.setAttribute("role", "img");
    return svg;
  }

  /**
   * Grid, ticks and names of axes, {ticks, unit or say, label} each; the name of y stands above it. Ticks are texts of
   * our own, since Plot's axes leave out those of a log scale that are no powers of ten.
   */
  function axes(context, { x, y }) {
    const { theme } = context;
    const quiet = { stroke: theme.faint, strokeOpacity: 1, strokeWidth: 0.8 };
    const soft = { fill: theme.soft, fontSize: view.scale.FONT };
    const said = (axis) => axis.say ?? ((value) => view.text.sayInput(value, axis.unit));
    const marks = [];
    if (x) {
      if (x.grid !== false) marks.push(Plot.gridX(x.ticks, quiet));
      marks.push(Plot.text(x.ticks, { x: (tick) => tick, text: said(x), frameAnchor: "bottom", dy: 14, ...soft }));
      if (x.label) marks.push(Plot.text([x.label], { frameAnchor: "bottom", dy: 30, ...soft }));
    }
    if (y) {
      if (y.grid !== false) marks.push(Plot.gridY(y.ticks, quiet));
      marks.push(
        Plot.text(y.ticks, {
          y: (tick) => tick,
          text: said(y),
          frameAnchor: "left",
          dx: -6,
          textAnchor: "end",
          ...soft,
        }),
      );
      if (y.label)
        marks.push(
          Plot.text([y.label], { frameAnchor: "top-left", dx: y.dx ?? 0, dy: -20, textAnchor: "start", ...soft }),
        );
    }
    return marks;
  }

  /** The box that says what is under the pointer; while something is dragged there is none. */
  const tip = (context, data, channels, pointer = Plot.pointerX) =>
    !context.live &&
    Plot.tip(
      data,
      pointer({
        ...channels,
        fill: context.theme.paper,
        stroke: context.theme.soft,
        textPadding: 6,
        lineHeight: 1.25,
        fontSize: view.scale.FONT,
        lineWidth: 60,
        pathFilter: "none",
      }),
    );

  /** A line at what the pointer is next to. */
  const cursor = (context, data) =>
    !context.live && Plot.ruleX(data, Plot.pointerX({ x: "x", stroke: context.theme.soft, strokeOpacity: 0.6 }));

  /** A line at where the number along the x axis is now; `moving` puts it elsewhere. */
  const now = (context, value) =>
    Plot.ruleX([value], { className: "now", stroke: context.theme.soft, strokeDasharray: "2 3" });

  /** Gives a chart the scale along which its line of now moves. */
  const moving = (svg, px) => Object.assign(svg, { px });

  const kept = new Map();

  /** What all that a chart shows hangs on while `path` is dragged: not on that itself, of which it shows all values. */
  const hangsOn = ({ state, theme, width }, path, range) =>
    JSON.stringify([{ ...state, [path]: 0, numbers: { ...state.numbers, [path]: 0 } }, path, theme.name, width, range]);

  /** While what stands along the x axis is dragged, the chart is what it was but for the line of now. */
  function still(name, context, path, range) {
    const found = context.live && kept.get(name);
    if (!found || found.on !== hangsOn(context, path, range)) return null;
    const at = view.series.value(context.state, path);
    for (const node of found.drawn.nodes) {
      for (const svg of [node, ...node.querySelectorAll("svg")].filter((one) => one.px)) {
        for (const line of svg.querySelectorAll(".now line"))
          for (const end of ["x1", "x2"]) line.setAttribute(end, svg.px(at));
      }
    }
    return found.drawn;
  }

  /** Keeps what was drawn for `still`. */
  function keep(name, context, path, range, drawn) {
    if (context.live) kept.set(name, { on: hangsOn(context, path, range), drawn });
    return drawn;
  }

  /** Text with the paper around it, so that lines behind do not touch it. */
  const text = (context, data, options) =>
    Plot.text(data, {
      fontSize: view.scale.FONT,
      stroke: context.theme.paper,
      strokeWidth: 3,
      paintOrder: "stroke",
      ...options,
    });

  /** Labels that `scale.place` has put in their places, with the lines that lead to those further away. */
  function labels(context, placed, px, py, size = view.scale.FONT) {
    const value = ([x, y]) => [px.invert(x), py.invert(y)];
    const led = placed.filter((label) => label.leader);
    return [
      led.map((label) =>
        Plot.line(label.leader.map(value), { stroke: context.theme.soft, strokeWidth: 0.8, strokeOpacity: 0.8 }),
      ),
      text(context, placed, {
        x: (label) => value(label.at)[0],
        y: (label) => value(label.at)[1],
        text: "text",
        fill: "fill",
        fontSize: size,
        fontWeight: (label) => label.weight ?? 400,
      }),
    ];
  }

  /** A chart's place taken by a sentence. */
  const sentence = (words) => view.element("p", { className: "nothing" }, words);

  /** What stands below a chart: what its marks mean. */
  const legend = (...parts) => view.element("p", { className: "legend" }, ...parts);

  /** What a panel shows that has no curve. */
  const nothing = ({ series }) => ({
    nodes: [sentence(series.length ? "None of the chosen models runs with these choices." : "Choose a model.")],
  });

  view.chart = { nothing, plot, axes, tip, cursor, now, moving, still, keep, text, labels, sentence, legend, FAMILY };
}
