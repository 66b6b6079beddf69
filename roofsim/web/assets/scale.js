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

  const width = (words, size = FONT) => words.length * size * 0.56 + 4;

  /** The room that ticks on the left need. */
  const gutter = (ticks, said) => Math.max(30, ...ticks.map((tick) => width(said(tick)))) + 8;

  /**
   * Labels of points ({x, y, text} in pixels), the first ones most wanted: each goes to the first of eight places in
   * the frame that is free of the others and of the `lines` (points), or if need be only of the others, or nowhere.
   */
  function place(wanted, frame, taken = [], lines = [], size = FONT) {
    const inside = (box) => box[0] >= frame[0] && box[1] >= frame[1] && box[2] <= frame[2] && box[3] <= frame[3];
    const free = (box) =>
      inside(box) &&
      !taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
    const clear = (box) => free(box) && !lines.some(([x, y]) => x > box[0] && x < box[2] && y > box[1] && y < box[3]);
    return wanted.flatMap((label) => {
      const [w, h, r] = [width(label.text, size), size + 3, (label.r ?? 3) + 2];
      const places = [
        [label.x - w / 2, label.y - r - h],
        [label.x + r, label.y - h / 2],
        [label.x - w / 2, label.y + r],
        [label.x - r - w, label.y - h / 2],
        [label.x + r, label.y - r - h],
        [label.x - r - w, label.y - r - h],
        [label.x + r, label.y + r],
        [label.x - r - w, label.y + r],
      ];
      const boxes = places.map(([x, y]) => [x, y, x + w, y + h]);
      const box = boxes.find(clear) ?? boxes.find(free);
      if (!box) return [];
      taken.push(box);
      return [{ ...label, at: [box[0] + w / 2, box[1] + h / 2] }];
    });
  }

  view.scale = { FONT, log, steps, ticks, fitting, times, linear, around, apart, place, width, gutter };
}
