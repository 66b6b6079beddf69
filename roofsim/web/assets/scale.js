// Axes: from values to pixels and back, ticks that people say, and labels that keep clear of each other.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const FONT = 11;
  const LONG = 1000; // seconds from which a time is said in minutes, hours, days

  /** A logarithmic axis from values to pixels. */
  const log = (low, high, from, to) => d3.scaleLog([low, high], [from, to]);

  /** `count` values from low to high, evenly on a log axis; whole where tokens or sequences are counted. */
  function steps(low, high, count, unit = "") {
    const values = Float64Array.from({ length: count }, (_, i) => low * (high / low) ** (i / (count - 1)));
    if (!view.text.counts(unit)) return values;
    return Float64Array.from(new Set(values.map(Math.round)));
  }

  /** Ticks of a log axis: powers of two for lengths and bytes, else 1-2-5 or decades, at most about `count`. */
  function ticks(low, high, unit, count = 6) {
    if (unit === "tokens" || unit === "B" || unit === "sequences") {
      const [first, last] = [Math.ceil(Math.log2(low) - 1e-9), Math.floor(Math.log2(high) + 1e-9)];
      const step = Math.max(1, Math.ceil((last - first + 1) / count));
      return d3
        .range(last, first - 1, -step)
        .reverse()
        .map((n) => 2 ** n);
    }
    if (unit === "s" && high > LONG) {
      const spoken = [...d3.range(-9, 3).map((n) => 10 ** n), 600, 3600, 86400, 864000, 8640000].filter(
        (n) => n >= low && n <= high,
      );
      const step = Math.max(1, Math.ceil(spoken.length / count));
      return spoken.filter((_, i) => i % step === 0);
    }
    const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
    const within = (all) =>
      all.map((n) => Number(n.toPrecision(12))).filter((n) => n >= low * (1 - 1e-9) && n <= high * (1 + 1e-9));
    const fine = within(decades.flatMap((n) => [1, 2, 5].map((m) => m * 10 ** n)));
    if (fine.length >= 2 && fine.length <= count) return fine;
    if (fine.length < 2) return d3.ticks(low, high, 3);
    const coarse = within(decades.map((n) => 10 ** n));
    const step = Math.max(1, Math.ceil(coarse.length / count));
    return coarse.filter((_, i) => (coarse.length - 1 - i) % step === 0);
  }

  /** As many ticks of a log axis as fit side by side into a room of so many pixels. */
  function fitting(low, high, unit, room, said = (tick) => view.text.sayInput(tick, unit)) {
    for (let count = Math.ceil(room / 36); count > 1; count--) {
      const found = ticks(low, high, unit, count);
      const at = log(low, high, 0, room);
      const apart = d3.pairs(found, (a, b) => at(b) - at(a) - (width(said(a)) + width(said(b))) / 2);
      if (apart.every((gap) => gap > 4)) return found;
    }
    return ticks(low, high, unit, 1);
  }

  /** Ticks of a linear axis of times from 0: round in seconds, minutes, hours or days. */
  function times(high, count) {
    const unit = [86400, 3600, 60].find((size) => high >= Math.max(LONG, 2 * size)) ?? 1;
    return d3.ticks(0, high / unit, count).map((n) => n * unit);
  }

  /** Ticks of a linear scale that are at least `gap` pixels apart. */
  function linear(scale, gap) {
    const [from, to] = scale.range();
    for (let count = Math.max(2, Math.floor((to - from) / gap)); count > 1; count--) {
      const found = scale.ticks(count);
      if (found.length < 2 || scale(found[1]) - scale(found[0]) >= gap) return found;
    }
    return scale.ticks(1);
  }

  /** Bounds of a log axis around values, with some air. */
  function around(values, air = 1.25) {
    const [low, high] = d3.extent(values.filter((value) => value > 0 && Number.isFinite(value)));
    return low === undefined ? [0.1, 1] : [low / air, high * air];
  }

  /** Positions moved apart until they are `gap` away from each other, within from..to; order kept. */
  function apart(positions, gap, from, to) {
    const order = d3.sort(d3.range(positions.length), (i) => positions[i]);
    const placed = order.map((i) => positions[i]);
    for (let i = 1; i < placed.length; i++) placed[i] = Math.max(placed[i], placed[i - 1] + gap);
    const over = (placed.at(-1) ?? 0) - to;
    if (over > 0) {
      placed[placed.length - 1] = to;
      for (let i = placed.length - 2; i >= 0; i--) placed[i] = Math.min(placed[i], placed[i + 1] - gap);
      if (placed[0] < from)
        placed.forEach((_, i) => (placed[i] = from + i * ((to - from) / Math.max(1, placed.length - 1))));
    }
    const back = [];
    order.forEach((i, rank) => (back[i] = placed[rank]));
    return back;
  }

  let pen;

  /** How wide words are as the browser writes them, with two pixels of air at either side. */
  function width(words, size = FONT, weight = 400) {
    pen ??= document.createElement("canvas").getContext("2d");
    pen.font = `${weight} ${size}px ${view.chart.FAMILY}`;
    return pen.measureText(words).width + 4;
  }

  /** The room that ticks on the left need. */
  const gutter = (ticks, said) => Math.max(30, ...ticks.map((tick) => width(said(tick)))) + 8;

  const DISTANCES = [0, 12, 26, 42]; // pixels between a point and its label; beyond the first a line leads there
  const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

  /** Whether a straight line from a to b meets a box. */
  function meets([a, b], box) {
    let [from, to] = [0, 1];
    for (const axis of [0, 1]) {
      const [low, high, run] = [box[axis] - a[axis], box[axis + 2] - a[axis], b[axis] - a[axis]];
      if (run === 0 && (low > 0 || high < 0)) return false;
      if (run === 0) continue;
      from = Math.max(from, Math.min(low / run, high / run));
      to = Math.min(to, Math.max(low / run, high / run));
    }
    return from <= to;
  }

  /**
   * Labels of points ({x, y, r, text, weight} in pixels), the first ones most wanted: each goes to the nearest of the
   * places around its point that is in the frame and free of the boxes `taken`, the others and the `lines` ([[x, y],
   * ...] each). `at` is then its middle and `leader` the line to it, null beside the point; `left` have no place.
   */
  function place(wanted, frame, { taken = [], lines = [], size = FONT, distances = DISTANCES } = {}) {
    const full = [...taken];
    const pieces = lines.flatMap((line) => d3.pairs(line));
    const free = (box) =>
      box[0] >= frame[0] &&
      box[1] >= frame[1] &&
      box[2] <= frame[2] &&
      box[3] <= frame[3] &&
      !full.some((other) => overlap(box, other)) &&
      !pieces.some((piece) => meets(piece, box));
    const [placed, left] = [[], []];
    for (const label of wanted) {
      const found = places(label, size, distances).find(({ box }) => free(box));
      if (!found) {
        left.push(label);
        continue;
      }
      const [x1, y1, x2, y2] = found.box;
      full.push(found.box);
      const end = [Math.min(Math.max(label.x, x1), x2), Math.min(Math.max(label.y, y1), y2)];
      placed.push({
        ...label,
        at: [(x1 + x2) / 2, (y1 + y2) / 2],
        leader: found.distance ? [[label.x, label.y], end] : null,
      });
    }
    return { placed, left };
  }

  /** The boxes that a label may take: eight around its point, then the same further away. */
  function places(label, size, distances) {
    const [w, h] = [width(label.text, size, label.weight), size + 3];
    return distances.flatMap((distance) => {
      const r = (label.r ?? 3) + 2 + distance;
      const corners = [
        [label.x - w / 2, label.y - r - h],
        [label.x + r, label.y - h / 2],
        [label.x - w / 2, label.y + r],
        [label.x - r - w, label.y - h / 2],
        [label.x + r * 0.8, label.y - r * 0.8 - h],
        [label.x - r * 0.8 - w, label.y - r * 0.8 - h],
        [label.x + r * 0.8, label.y + r * 0.8],
        [label.x - r * 0.8 - w, label.y + r * 0.8],
      ];
      return corners.map(([x, y]) => ({ distance, box: [x, y, x + w, y + h] }));
    });
  }

  view.scale = { FONT, log, steps, ticks, fitting, times, linear, around, apart, place, width, gutter };
}
