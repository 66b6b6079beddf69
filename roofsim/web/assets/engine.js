// The model in the page: calls the functions that roofsim compiled, on the numbers that roofsim wrote beside them.
"use strict";

var roofsim = globalThis.roofsim = globalThis.roofsim || {};

(() => {
  const made = new Map(); // compiled functions by number
  let data;

  const caseOf = (view) => data.cases[`${view.model}|${view.device}|${view.runtime}`];
  const stackOf = (view) => data.stacks[`${view.device}|${view.runtime}`];

  /** The function of a view. */
  function functionOf(view) {
    const found = caseOf(view);
    if (!found || found.lacks) throw new Error(found ? found.lacks : "no such combination");
    const number = found.functions[""];
    if (!made.has(number)) made.set(number, new Function(`return ${data.texts[number]};`)());
    return made.get(number);
  }

  /** The numbers that a view's function takes, by name. */
  function numbersOf(view) {
    const stack = stackOf(view), x = {};
    const name = view.calibration && view.calibration in stack.calibrations
      ? view.calibration : Object.keys(stack.calibrations)[0];
    const values = stack.calibrations[name];
    x.prompt = view.prompt; x.batch = view.batch; x.generate = view.generate;
    data.variables.slice(3).forEach((each, i) => { x[each] = values[i] === null ? NaN : values[i]; });
    Object.assign(x, view.numbers);
    return x;
  }

  const parts = ["weights", "state", "activations", "logits", "masks", "workspace", "peak", "reserved"];
  const bounds = ["compute", "memory", "launch"];

  function shaped(y) {
    const found = {fits: y.fits === 1, memory: y["memory.peak"], room: y.room, parts: {}, bound: {}, prefill: {}, decode: {}};
    for (const each of data.figures) found[each.name] = y[each.figure];
    for (const each of parts) found.parts[each] = y[`memory.${each}`];
    for (const phase of ["prefill", "decode"]) {
      for (const name of ["time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy"])
        found[phase][name] = y[`${phase}.${name}`];
      found.bound[phase] = found[phase].bound = bounds[y[`${phase}.bound`]];
    }
    return found;
  }

  roofsim.lacks = (view) => {
    const found = caseOf(view);
    return !found ? "no such combination" : found.lacks || null;
  };

  roofsim.predict = (view) => shaped(functionOf(view)(numbersOf(view)));

  roofsim.curve = (view, path, xs) => {
    const f = functionOf(view), x = numbersOf(view), found = {};
    for (const each of data.figures) found[each.name] = new Float64Array(xs.length);
    found.fits = new Float64Array(xs.length);
    for (let i = 0; i < xs.length; i++) {
      x[path] = xs[i];
      const y = f(x);
      for (const each of data.figures) found[each.name][i] = y[each.figure];
      found.fits[i] = y.fits;
    }
    return found;
  };

  roofsim.load = async (text) => {
    data = JSON.parse(text);
    for (const each of ["about", "models", "devices", "runtimes", "figures"]) roofsim[each] = data[each];
    roofsim.knobs = [];
  };

  if (typeof document !== "undefined") roofsim.ready = roofsim.load(document.getElementById("data").textContent);
})();
