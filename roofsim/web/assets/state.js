// What is shown is one value, and lives in the address behind the #: a link to the page is a link to the view.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  // name in the address, default, how it is read: words stay words, numbers must be positive
  const FIELDS = {
    device: ["device", "", "word"],
    tp: ["tp", 1, "count"],
    runtime: ["runtime", "", "word"],
    weights: ["weights", "", "word"],
    cache: ["cache", "", "word"],
    calibration: ["calibration", "auto", "word"],
    batch: ["batch", 1, "count"],
    prompt: ["prompt", 1024, "count"],
    generate: ["generate", 128, "count"],
    figure: ["figure", "ttft", "word"],
    along: ["along", "prompt", "word"],
    phases: ["phases", "both", "word"],
    wanted: ["whatif", "total_time", "word"],
    across: ["x", "", "word"],
    down: ["y", "", "word"],
    subject: ["of", "", "word"],
    theme: ["theme", "", "word"],
  };
  const OWN = "set."; // own numbers: #set.device.memory.bandwidth=2e11

  /** The state that the page opens with when the address says nothing. */
  function first() {
    const start = roofsim.about?.start ?? {};
    const known = (list, name) => (list.some((one) => one.name === name) ? name : (list[0]?.name ?? ""));
    const state = Object.fromEntries(Object.entries(FIELDS).map(([name, [, value]]) => [name, start[name] ?? value]));
    state.models = (start.models ?? roofsim.models.slice(0, 2).map((m) => m.name)).slice(0, view.theme.SLOTS);
    state.device = known(roofsim.devices, start.device);
    state.runtime = known(roofsim.runtimes, start.runtime);
    state.numbers = { ...start.numbers };
    return state;
  }

  /** The address of a state: what differs from the first one. An empty place among the models keeps colours. */
  function write(state) {
    const said = [`models=${state.models.map((name) => encodeURIComponent(name ?? "")).join(",")}`];
    const plain = first();
    for (const [name, [key]] of Object.entries(FIELDS)) {
      if (state[name] !== plain[name] || name === "device" || name === "runtime") {
        said.push(`${key}=${encodeURIComponent(state[name])}`);
      }
    }
    for (const [path, value] of Object.entries(state.numbers)) said.push(`${OWN}${path}=${value}`);
    return `#${said.join("&")}`;
  }

  /** The state of an address; what it does not know is left at the first state's and named in `unread`. */
  function read(hash) {
    const state = first();
    const unread = [];
    const byKey = Object.fromEntries(Object.entries(FIELDS).map(([name, [key, , kind]]) => [key, [name, kind]]));
    const lists = { device: roofsim.devices, runtime: roofsim.runtimes };
    for (const part of hash
      .replace(/^#/, "")
      .split("&")
      .filter((piece) => piece.includes("="))) {
      const [key, raw] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
      const value = decode(raw);
      const number = Number(value);
      if (key === "models") {
        const names = raw.split(",").map(decode).slice(0, view.theme.SLOTS);
        const known = names.map((name) => (roofsim.models.some((m) => m.name === name) ? name : null));
        unread.push(...names.filter((name, i) => name && !known[i]));
        if (known.some(Boolean)) state.models = known.filter((name, i) => !name || known.indexOf(name) === i);
      } else if (key.startsWith(OWN)) {
        const knob = roofsim.knobs.find((one) => one.path === key.slice(OWN.length));
        if (knob && number > 0 && Number.isFinite(number)) state.numbers[knob.path] = number;
        else unread.push(part);
      } else if (!byKey[key]) {
        unread.push(part);
      } else {
        const [name, kind] = byKey[key];
        const fits =
          kind === "count"
            ? Number.isInteger(number) && number > 0 && (name !== "tp" || roofsim.tp.includes(number))
            : !lists[name] || lists[name].some((one) => one.name === value);
        if (fits) state[name] = kind === "count" ? number : value;
        else unread.push(part);
      }
    }
    return { state, unread };
  }

  function decode(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  view.state = { first, read, write };
}
