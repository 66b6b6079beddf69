// The model in the page: it calls the functions that roofsim compiled, with the numbers that roofsim wrote beside them.
// What is computed here is no model: sums over the passes of a request, differences, bisections.
"use strict";

var roofsim = globalThis.roofsim = globalThis.roofsim || {};

(() => {
  const PARTS = ["weights", "state", "activations", "logits", "masks", "workspace"];
  const PASS = ["time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy"];
  const BOUNDS = ["compute", "memory", "launch", "network"];
  const COUNTS = ["batch", "prompt", "generate"];
  const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;.=>?@^_`{|}~";
  const STEP = 1e-5; // of differences, relative
  const CLOSE = 1e-9; // ratio to which a crossing of numbers that are not counted is found

  let data, texts, at, out, v, operatorsAsked, firstNumber, firstParameter;

  // --- functions ---

  /** Bytes of a text in base 85 (RFC 1924, without what HTML reads): five letters hold four bytes. */
  function bytesOf(text) {
    const digits = new Uint8Array(128), groups = Math.ceil(text.length / 5), bytes = new Uint8Array(4 * groups);
    [...LETTERS].forEach((letter, i) => { digits[letter.charCodeAt(0)] = i; });
    for (let i = 0; i < groups; i++) {
      let x = 0;
      for (let k = 5 * i; k < 5 * i + 5; k++) x = 85 * x + (k < text.length ? digits[text.charCodeAt(k)] : 84);
      for (let k = 0; k < 4; k++) bytes[4 * i + k] = x >>> (24 - 8 * k);
    }
    return bytes.subarray(0, Math.floor(text.length * 4 / 5));
  }

  async function unpack(packed) {
    const bytes = bytesOf(packed.trim());
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return (await new Response(stream).text()).split("\0");
  }

  /** Texts of one kind, filled with their numbers and with registers declared, when they are asked for. */
  function filled(forms, which, numbers) {
    forms = forms.split("\f"); numbers = numbers.split("\f"); which = which.split(" ");
    return (i) => {
      const each = numbers[i].split(" ");
      let n = 0;
      const text = forms[which[i]].replace(/#/g, () => each[n++]);
      const registers = new Set(text.match(/\br\d+/g));
      return registers.size ? text.replace("{", `{let ${[...registers]};`) : text;
    };
  }

  function once(make) {
    const made = new Map();
    return (key) => {
      if (!made.has(key)) made.set(key, make(key));
      return made.get(key);
    };
  }

  const compiled = (text, names, values) => new Function(...names, `"use strict"; return ${text};`)(...values);
  const kernel = once((i) => compiled(texts.kernels(i), ["v"], [v]));
  const kernelsOf = (text) => [...new Set(text.match(/\bk\d+(?=\()/g))];
  const pass = once((i) => {
    const text = texts.passes(i), names = kernelsOf(text);
    return compiled(text, ["v", ...names], [v, ...names.map((name) => kernel(+name.slice(1)))]);
  });
  const request = once((i) => {
    const [text, passes] = data.requests[i];
    return compiled(texts.requests(text), ["v", ...passes.map((_, n) => `p${n}`)], [v, ...passes.map(pass)]);
  });
  /** The places of the numbers that a request reads. */
  const readBy = once((i) => {
    const [text, passes] = data.requests[i];
    const all = [texts.requests(text), ...passes.map(texts.passes)];
    const names = new Set(all.flatMap(kernelsOf));
    all.push(...[...names].map((name) => texts.kernels(+name.slice(1))));
    return new Set(all.flatMap((each) => [...each.matchAll(/\bv\[(\d+)\]/g)].map((found) => +found[1])));
  });

  // --- choices ---

  /** A combination: of several devices its own, unless one of them has none already. */
  function caseOf(view) {
    const name = `${view.model}|${view.device}|${view.runtime}`, alone = data.cases[name];
    return alone && !alone.lacks && view.tp > 1 ? data.cases[`${name}|${view.tp}`] : alone;
  }
  const stackOf = (view) => data.stacks[`${view.device}|${view.runtime}`];
  const deviceOf = (view) => data.devices.find((each) => each.name === view.device);

  function calibrationOf(view) {
    const all = stackOf(view).calibrations;
    if (view.calibration && view.calibration in all) return all[view.calibration];
    return all[caseOf(view).auto] || Object.values(all)[0];
  }

  const weightsOf = (view, found) => view.weights in found.formats ? view.weights : Object.keys(found.formats)[0];
  const cacheOf = (view, caches) => view.cache in caches ? view.cache : Object.keys(caches)[0];

  /** The number of a view's request, or why there is none. */
  function chosen(view) {
    const found = caseOf(view);
    if (!found && view.tp > 1) return `this page has ${view.runtime} on fewer devices; roofsim explore --tp has more`;
    if (!found) return "the page does not have this combination";
    if (found.lacks) return found.lacks;
    const caches = found.formats[weightsOf(view, found)];
    return caches[cacheOf(view, caches)];
  }

  /** Puts a view's numbers in place, and gives its request. */
  function set(view) {
    const which = chosen(view);
    if (typeof which === "string") throw new Error(which);
    const found = caseOf(view), caches = found.formats[weightsOf(view, found)];
    const calibration = calibrationOf(view);
    for (const name of COUNTS) v[at[name]] = view[name];
    v[at.cache_bytes] = data.cache_bytes[cacheOf(view, caches)];
    calibration.numbers.forEach((x, i) => { v[firstNumber + i] = x === null ? NaN : x; });
    for (const [path, x] of Object.entries(view.numbers || {})) move(calibration, path, x);
    v[operatorsAsked] = 0;
    return request(which);
  }

  /** Sets the number at a path, and those that go with it. */
  function move(calibration, path, x) {
    const knob = calibration.knobs[path];
    if (knob && knob[3]) knob[1].forEach((i, k) => { v[firstNumber + i] = knob[3][k] * x; });
    else if (knob) for (const i of knob[1]) v[firstNumber + i] = calibration.numbers[i] * (x / knob[0]);
    else if (path in at) v[at[path]] = x;
  }

  roofsim.lacks = (view) => {
    const found = chosen(view);
    return typeof found === "string" ? found : null;
  };
  roofsim.stack = (view) => {
    const {runtime, title, host} = stackOf(view) || {};
    return {runtime, title, host};
  };
  roofsim.cautions = (view) => (caseOf(view) || {}).cautions || [];
  roofsim.formats = (view) => {
    const found = caseOf(view);
    if (!found || found.lacks) return {weights: [], cache: []};
    const why = (x) => typeof x === "string" ? x : null;
    return {
      weights: Object.entries(found.formats).map(([name, caches]) => ({name, lacks: why(Object.values(caches)[0])})),
      cache: Object.entries(found.formats[weightsOf(view, found)]).map(([name, x]) => ({name, lacks: why(x)})),
    };
  };
  roofsim.calibrations = (view) => {
    const stack = stackOf(view), found = caseOf(view);
    if (!stack || !found || found.lacks) return [];
    const names = [found.auto, ...Object.keys(stack.calibrations).filter((name) => name !== found.auto)];
    return names.map((name) => ({name, title: stack.calibrations[name].title}));
  };
  /** What the number at a path is in a view, null where there is none. */
  roofsim.value = (view, path) => {
    if (view.numbers && path in view.numbers) return view.numbers[path];
    if (COUNTS.includes(path)) return view[path];
    const stack = stackOf(view);
    if (!stack || (path.startsWith("cluster.") && !(view.tp > 1))) return null;
    const knob = (roofsim.lacks(view) ? Object.values(stack.calibrations)[0] : calibrationOf(view)).knobs[path];
    return knob ? knob[0] : null;
  };

  // --- figures ---

  function shaped(y) {
    const found = {fits: y[out.fits] === 1, room: y[out.room], parts: {}, bound: {}, prefill: {}, decode: {}};
    for (const each of data.figures) found[each.name] = y[out[each.figure]];
    for (const each of [...PARTS, "peak", "reserved"]) found.parts[each] = y[out[`memory.${each}`]];
    for (const phase of ["prefill", "decode"]) {
      for (const name of PASS) found[phase][name] = y[out[`${phase}.${name}`]];
      found.bound[phase] = found[phase].bound = BOUNDS[y[out[`${phase}.bound`]]];
    }
    return found;
  }

  roofsim.predict = (view) => shaped(set(view)());

  /** Puts one number in the place of its path: a count, or an own number. */
  function put(calibration, path, x) {
    if (COUNTS.includes(path)) v[at[path]] = x;
    else move(calibration, path, x);
  }

  /** Calls `told` with the outputs of a view at each x of a path. */
  function along(view, path, xs, told) {
    const f = set(view), calibration = calibrationOf(view);
    for (let i = 0; i < xs.length; i++) {
      put(calibration, path, xs[i]);
      told(f(), i);
    }
  }

  /** A view in which the number at a path is given, and so in no doubt. */
  const given = (view, path) => COUNTS.includes(path) ? view : {...view, numbers: {...view.numbers, [path]: 0}};

  roofsim.curve = (view, path, xs) => {
    const found = {fits: new Float64Array(xs.length)};
    for (const each of data.figures) found[each.name] = new Float64Array(xs.length);
    along(view, path, xs, (y, i) => {
      for (const each of data.figures) found[each.name][i] = y[out[each.figure]];
      found.fits[i] = y[out.fits];
    });
    return found;
  };

  roofsim.memory = (view, xs) => {
    const names = [...PARTS, "reserved"], parts = {};
    for (const name of names) parts[name] = new Float64Array(xs.length);
    const grown = new Float64Array(xs.length);
    along(view, "prompt", xs, (y, i) => {
      for (const name of PARTS) parts[name][i] = y[out[`memory.${name}`]];
      parts.reserved[i] = y[out["memory.reserved"]] - y[out["memory.peak"]];
      grown[i] = y[out["memory.grown"]];
    });
    set(view);
    return {parts, grown, capacity: v[at.capacity], usable: v[at.usable]};
  };

  roofsim.operators = (view) => {
    const f = set(view), phases = shaped(f()), rows = [];
    v[operatorsAsked] = 1;
    const [, passes, ...through] = data.requests[chosen(view)], sizes = f();
    let next = 0;
    ["prefill", "decode"].forEach((phase, k) => {
      const found = new Map();
      for (const place of through[k]) {
        const run = pass(passes[place]), times = sizes[next++];
        const given = sizes.slice(next, next += run.length), y = run(...given);
        const rows = data.operators[passes[place]], fields = data.of_operator.slice(0, y.length / rows.length);
        rows.forEach(([layer, operator, kind, count], i) => {
          const key = `${layer}|${operator}`;
          if (!found.has(key)) found.set(key, {phase, layer, operator, kind, count, sums: {network_time: 0}});
          const {sums} = found.get(key);
          fields.forEach((name, j) => {
            sums[name] = (sums[name] || 0) + times * count * y[i * fields.length + j];
          });
        });
      }
      for (const {sums, ...row} of found.values()) {
        if (!sums.kernels && !sums.time) continue; // done in the kernel of another operator
        const {compute_time: compute, memory_time: memory, network_time: network} = sums;
        const shares = [compute, memory, sums.time - compute - memory - network, network];
        const {kernels, time, host_time: host, matrix_flops, vector_flops, bytes} = sums;
        rows.push({...row, kernels, time, host, matrix_flops, vector_flops, bytes,
          bound: BOUNDS[shares.indexOf(Math.max(...shares))]});
      }
    });
    v[operatorsAsked] = 0;
    return {rows, phases: {prefill: phases.prefill, decode: phases.decode}};
  };

  roofsim.ridges = (view) => {
    set(view);
    const device = deviceOf(view), bandwidth = v[at.bandwidth];
    const peaks = Object.keys(device.dtypes).map((dtype) => [dtype, v[at[`peaks.${dtype}`]]]);
    peaks.push(["vector", v[at.vector_rate]]);
    return peaks.map(([dtype, peak]) => ({dtype, peak, bandwidth, ridge: peak / bandwidth}));
  };

  // --- intervals: the delta method on logarithms ---

  /** What is in doubt of a view as it stands, where the data of its calibration do not reach (prediction/fitted.py). */
  function doubtOf(view) {
    const {name, covered} = calibrationOf(view), found = caseOf(view), weights = weightsOf(view, found);
    if (!covered) return "";
    const of = ((found.doubts[name] || {})[weights] || {})[cacheOf(view, found.formats[weights])];
    const far = ([count, [low, high]]) => v[at[count]] < low || v[at[count]] > high;
    return of || (Object.entries(covered).some(far) ? "scatter" : "");
  }

  /** Outputs of a view as it stands, and the slopes of their logarithms by the parameters on their free scale. */
  function slopes(view, f, used) {
    const y = f(), by = [], certain = new Set(), {knobs} = calibrationOf(view);
    for (const path in view.numbers) for (const i of (knobs[path] || [0, [], []])[2]) certain.add(firstNumber + i);
    Object.values(data.parameters).forEach((row, n) => {
      const place = firstParameter + n, x = v[place];
      // a parameter that the user has set is certain
      if (!used.has(place) || certain.has(place)) return;
      const step = STEP * (x - row.low) * (row.high - x) / (row.high - row.low);
      if (!(step > 0)) return;
      v[place] = x + step;
      const above = f();
      v[place] = x - step;
      const below = f();
      v[place] = x;
      by.push([n, above, below]);
    });
    return {y, by, doubt: doubtOf(view)};
  }

  const slopesOf = ({y, by}, i) => new Map(by.map(([n, above, below]) => [n, (above[i] - below[i]) / (2 * STEP * y[i])]));

  function variance(calibration, slope, doubt) {
    const spreads = doubt === "rates" ? calibration.doubted.spreads : calibration.spreads;
    let total = 0;
    for (const [n, x] of slope) total += (x * spreads[n]) ** 2;
    const {of = [], lower} = calibration.covariance, fit = of.map((n) => spreads[n] ? 0 : slope.get(n) || 0);
    let fitted = 0;
    fit.forEach((a, i) => {
      if (!a) return;
      for (let j = 0; j < i; j++) fitted += 2 * lower[i][j] * a * fit[j];
      fitted += lower[i][i] * a * a;
    });
    return total + Math.max(fitted, 0);
  }

  function scatterOf(calibration, {y, doubt}, name) {
    const {host_matters} = data.constants, {scatter} = doubt ? calibration.doubted : calibration;
    const host = (phase) => y[out[`${phase}.host_time`]] > host_matters * y[out[`${phase}.device_time`]];
    const of = (each) => {
      const matters = each === "ttft" ? host("prefill") : each === "tpot" ? host("decode") : false;
      return scatter[each][matters ? 1 : 0];
    };
    if (name in scatter) return of(name);
    // the whole request: prefill and steps, whose scatters are taken to go together
    const share = y[out.ttft] / y[out.total_time];
    return share * of("ttft") + (1 - share) * of("tpot");
  }

  const figureOf = (name) => data.figures.find((each) => each.name === name);

  function within(calibration, found, path, name) {
    const i = out[path], y = found.y[i];
    if (!y) return [0, 0];
    const spread = variance(calibration, slopesOf(found, i), found.doubt) + scatterOf(calibration, found, name) ** 2;
    const factor = Math.exp(data.constants.normal_95 * Math.sqrt(spread));
    return [y / factor, y * factor];
  }

  function intervalOf(calibration, found, figure) {
    const row = figureOf(figure), [low, high] = within(calibration, found, row.figure, row.interval);
    const device = {ttft: "device_time", tpot: "decode_device_time"}[row.name];
    if (!device) return [low, high];
    // no clock shows less than the device works
    const least = within(calibration, found, data.intervals[device], device)[0];
    return [Math.max(low, Math.min(least, found.y[out[row.figure]])), high];
  }

  roofsim.interval = (view, figure) => {
    const f = set(view);
    return intervalOf(calibrationOf(view), slopes(view, f, readBy(chosen(view))), figure);
  };

  roofsim.band = (view, figure, path, xs) => {
    const low = new Float64Array(xs.length), high = new Float64Array(xs.length);
    const f = set(view), calibration = calibrationOf(view), used = readBy(chosen(view)), moving = given(view, path);
    for (let i = 0; i < xs.length; i++) {
      put(calibration, path, xs[i]);
      [low[i], high[i]] = intervalOf(calibration, slopes(moving, f, used), figure);
    }
    return {low, high};
  };

  // --- what if ---

  roofsim.elasticities = (view, figure) => {
    const f = set(view), calibration = calibrationOf(view), i = out[figureOf(figure).figure];
    const used = readBy(chosen(view)), rows = [];
    const add = (path, label, places) => {
      const now = places.map((place) => v[place]);
      const scaled = (factor) => {
        places.forEach((place, k) => { v[place] = now[k] * factor; });
        return f()[i];
      };
      const value = (Math.log(scaled(1 + STEP)) - Math.log(scaled(1 - STEP))) / (Math.log1p(STEP) - Math.log1p(-STEP));
      places.forEach((place, k) => { v[place] = now[k]; });
      if (Math.abs(value) > STEP) rows.push({path, label, value});
    };
    const together = ([, places, , each]) => places.filter((_, k) => !each || each[k]);
    for (const {path, label} of roofsim.knobs) {
      if (calibration.knobs[path] && !path.startsWith("parameters."))
        add(path, label, together(calibration.knobs[path]).map((n) => firstNumber + n));
    }
    Object.keys(data.parameters).forEach((name, n) => {
      const place = firstParameter + n;
      if (used.has(place) && name !== "dispatch") add(`parameters.${name}`, name.replaceAll("_", " "), [place]);
    });
    return rows.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  };

  // --- lengths ---

  /**
   * Lengths from `low` to `high`: of the same grid whatever the two are, and with both sides of every switch and end of
   * memory of some views, so that what is found does not depend on what is looked at.
   */
  function lengths(low, high, views) {
    const {shortest, longest, points} = data.constants, found = new Set([low, high]);
    for (let i = 0; i < points; i++) found.add(Math.round(shortest * (longest / shortest) ** (i / (points - 1))));
    for (const view of views) {
      const {masks} = caseOf(view), {max_prompt} = roofsim.ends(view);
      for (const n of [masks - 1, masks, max_prompt]) found.add(n);
    }
    return [...found].filter((n) => n >= low && n <= high).sort((a, b) => a - b);
  }

  /** The first whole number above `low` at which `is` is not what it is at `low`; it is so at `high`. */
  function turn(low, high, is) {
    const before = is(low);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (is(middle) === before) low = middle; else high = middle;
    }
    return high;
  }

  /** Where between two numbers, of which logarithms are halved, `is` changes. */
  function turnAnywhere(low, high, is) {
    const before = is(low);
    while (high / low > 1 + CLOSE) {
      const middle = Math.sqrt(low * high);
      if (is(middle) === before) low = middle; else high = middle;
    }
    return high;
  }

  const outputs = (view, i, path = "prompt") => (x) => {
    const f = set(view);
    put(calibrationOf(view), path, x);
    return f()[i];
  };

  /** Values of a path from `low` to `high`: lengths as above, other counts whole, of own numbers any. */
  function grid(path, low, high, views) {
    if (path === "prompt") return lengths(Math.ceil(low), Math.floor(high), views);
    const {points} = data.constants;
    const xs = Array.from({length: points}, (_, i) => low * (high / low) ** (i / (points - 1)));
    return COUNTS.includes(path) ? [...new Set(xs.map(Math.round))] : xs;
  }

  roofsim.crossings = (a, b, figure, low, high, {path = "prompt", intervals = false} = {}) => {
    const i = out[figureOf(figure).figure], xs = grid(path, low, high, [a, b]);
    const ys = [a, b].map((view) => {
      const y = new Float64Array(xs.length);
      along(view, path, xs, (each, k) => { y[k] = each[i]; });
      return y;
    });
    const sides = [outputs(a, i, path), outputs(b, i, path)], found = [];
    const where = COUNTS.includes(path) ? turn : turnAnywhere;
    for (let k = 1; k < xs.length; k++) {
      if ((ys[0][k - 1] <= ys[1][k - 1]) === (ys[0][k] <= ys[1][k])) continue;
      const x = where(xs[k - 1], xs[k], (n) => sides[0](n) <= sides[1](n));
      found.push(intervals ? {x, ...span(a, b, figure, x, k, xs, path)} : {x});
    }
    return found;
  };

  /** The values around a crossing before number `k` at which the order is not certain: Fieller's argument. */
  function span(a, b, figure, x, k, xs, path) {
    const row = figureOf(figure), i = out[row.figure], same = a.device === b.device && a.runtime === b.runtime;
    const side = (view, n) => {
      const f = set(view), calibration = calibrationOf(view);
      put(calibration, path, n);
      const found = slopes(given(view, path), f, readBy(chosen(view)));
      const sigma = scatterOf(calibration, found, row.interval);
      return {calibration, y: found.y[i], slope: slopesOf(found, i), sigma, doubt: found.doubt};
    };
    const uncertain = (n) => {
      const [one, other] = [side(a, n), side(b, n)];
      let spread = one.sigma ** 2 + other.sigma ** 2;
      if (same) {
        const apart = new Map(one.slope);
        for (const [p, slope] of other.slope) apart.set(p, (apart.get(p) || 0) - slope);
        spread += variance(one.calibration, apart, other.doubt === "rates" ? "rates" : one.doubt);
      } else spread += [one, other].reduce((sum, each) => sum + variance(each.calibration, each.slope, each.doubt), 0);
      return Math.abs(Math.log(one.y / other.y)) <= data.constants.normal_95 * Math.sqrt(spread);
    };
    let low = x, high = x;
    for (let j = k - 1; j >= 0 && uncertain(xs[j]); j--) low = xs[j];
    for (let j = k; j < xs.length && uncertain(xs[j]); j++) high = xs[j];
    return {low, high: Math.max(high, x)};
  }

  roofsim.regimes = (view, low, high) => {
    const xs = lengths(Math.ceil(low), Math.floor(high), [view]), found = [];
    for (const phase of ["prefill", "decode"]) {
      const i = out[`${phase}.bound`], ys = [], at_ = outputs(view, i);
      along(view, "prompt", xs, (y, k) => { ys[k] = y[i]; });
      for (let k = 1; k < xs.length; k++) {
        if (ys[k] !== ys[k - 1])
          found.push({x: turn(xs[k - 1], xs[k], at_), phase, from: BOUNDS[ys[k - 1]], to: BOUNDS[ys[k]]});
      }
    }
    return found.sort((one, other) => one.x - other.x);
  };

  roofsim.ends = (view) => {
    const f = set(view), {most} = data.constants, {window, positions} = data.models.find((m) => m.name === view.model);
    const holds = (n) => {
      v[at.prompt] = n;
      const y = f();
      return y[out["memory.held"]] <= y[out.room] && y[out["memory.grown"]] <= y[out.room];
    };
    const last = (size) => size ? Math.max(size - view.generate + 1, 0) : null;
    let longest = 0;
    if (holds(1)) {
      let high = 2;
      while (high <= most && holds(high)) high *= 2;
      longest = high > most && holds(most) ? null : turn(high / 2, Math.min(high, most + 1), holds) - 1;
    }
    return {max_prompt: longest, window: last(window), positions: last(positions)};
  };

  // --- start ---

  roofsim.load = async (packed) => {
    const [json, ...parts] = await unpack(packed);
    data = JSON.parse(json);
    texts = {};
    ["kernels", "passes", "requests"].forEach((kind, i) => { texts[kind] = filled(...parts.slice(3 * i, 3 * i + 3)); });
    at = Object.fromEntries(data.variables.map((name, i) => [name, i]));
    out = Object.fromEntries(data.outputs.map((name, i) => [name, i]));
    operatorsAsked = data.variables.length;
    firstNumber = operatorsAsked - data.numbers.length;
    firstParameter = operatorsAsked - Object.keys(data.parameters).length;
    v = new Float64Array(operatorsAsked + 1);
    roofsim.tp = data.tp;
    for (const each of ["about", "models", "devices", "runtimes", "figures"]) roofsim[each] = data[each];
    roofsim.knobs = data.knobs.map((knob) => ({...knob, scale: "log", default: (device) => {
      const found = Object.entries(data.stacks).find(([name, stack]) =>
        name.startsWith(`${device}|`) && Object.values(stack.calibrations)[0].knobs[knob.path]);
      return found ? Object.values(found[1].calibrations)[0].knobs[knob.path][0] : null;
    }}));
    for (const knob of roofsim.knobs) {
      const values = data.devices.map((each) => knob.default(each.name)).filter((x) => x !== null);
      [knob.low, knob.high] = [Math.min(...values) / 4, Math.max(...values) * 4];
      const row = data.parameters[knob.path.replace("parameters.", "")];
      if (row) [knob.low, knob.high] = [Math.max(row.low, knob.low), Math.min(row.high, knob.high)];
    }
    roofsim.knobs = roofsim.knobs.filter((knob) => Number.isFinite(knob.low));
  };

  if (typeof document !== "undefined") roofsim.ready = roofsim.load(document.getElementById("data").textContent);
})();
