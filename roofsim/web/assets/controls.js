// The choices: models side by side, device or own numbers, runtime, formats, calibration, and the sliders.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const NOTCHES = 400;
  const SLIDERS = [
    { key: "prompt", label: "prompt", unit: "tokens", low: 16, high: 2 ** 20 },
    { key: "batch", label: "batch", unit: "sequences", low: 1, high: 1024 },
    { key: "generate", label: "generated", unit: "tokens", low: 1, high: 32768 },
  ];

  const FAMILIES = {
    transformer: "Transformers",
    ssm: "State-space models",
    hybrid: "Hybrids",
    moe: "Mixtures of experts",
  };

  /** A value at which a slider stops: three digits that count, or of counts sixteen steps to an octave. */
  function rounded(value, unit) {
    if (!view.text.counts(unit)) return Number(value.toPrecision(3));
    const step = Math.max(1, 2 ** (Math.floor(Math.log2(value)) - 4));
    return Math.max(1, Math.round(value / step) * step);
  }

  /** A slider on a log scale with a field to type into; `moved(value, resting)` hears of every change. */
  function slider({ id, label, unit, low, high, moved, extra }) {
    const { element } = view;
    const range = element("input", { type: "range", id, min: 0, max: NOTCHES, step: 1 });
    const field = element("input", {
      type: "text",
      id: `${id}-typed`,
      inputMode: "text",
      ariaLabel: `${label}, typed`,
      spellcheck: false,
    });
    const box = element(
      "div",
      { className: "slider" },
      element("label", { htmlFor: id, textContent: label }),
      field,
      range,
      ...(extra ? [extra] : []),
    );
    let value = NaN;
    const toNotch = (number) => (NOTCHES * Math.log(number / low)) / Math.log(high / low);
    const fromNotch = (notch) => rounded(low * (high / low) ** (notch / NOTCHES), unit);
    function show(number) {
      value = number;
      const said = view.text.sayInput(number, unit);
      if (document.activeElement !== range || fromNotch(range.valueAsNumber) !== number) range.value = toNotch(number);
      range.setAttribute("aria-valuetext", said);
      if (document.activeElement !== field) field.value = said;
      field.removeAttribute("aria-invalid");
    }
    function step(resting) {
      const number = fromNotch(range.valueAsNumber);
      if (number === value && !resting) return;
      show(number);
      moved(number, resting);
    }
    range.addEventListener("input", () => step(false));
    range.addEventListener("change", () => step(true));
    range.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 20, PageDown: -20 }[event.key];
      if (!way) return;
      event.preventDefault(); // to the next value that differs: small counts have fewer than there are notches
      let notch = range.valueAsNumber;
      do notch += way;
      while (notch > 0 && notch < NOTCHES && fromNotch(notch) === value);
      range.value = notch;
      step(false);
    });
    field.addEventListener("change", () => {
      const number = view.text.parse(field.value, unit);
      if (!(number > 0) || !Number.isFinite(number)) {
        field.setAttribute("aria-invalid", "true");
        return;
      }
      const kept = view.text.counts(unit) ? Math.max(1, Math.round(number)) : number;
      show(kept);
      field.value = view.text.sayInput(kept, unit);
      moved(kept, true);
    });
    return { box, show, range };
  }

  function build(form, page) {
    const { element } = view;
    form.addEventListener("submit", (event) => event.preventDefault());
    const chips = element("ul", { className: "chips", ariaLabel: "Chosen models" });
    const add = element("select", { id: "add-model" });
    add.addEventListener("change", () => {
      if (add.value) page.change({ models: placed(page.state().models, add.value) });
      add.value = "";
    });
    const selects = ["device", "tp", "runtime", "weights", "cache", "calibration"].map((key) => {
      const select = element("select", { id: key });
      select.addEventListener("change", () => page.change(taken(page.state(), key, select.value)));
      return { key, select, label: element("label", { htmlFor: key, textContent: { tp: "how many" }[key] ?? key }) };
    });
    const main = SLIDERS.map((spec) => ({
      spec,
      ...slider({ ...spec, id: spec.key, moved: (value, resting) => page.change({ [spec.key]: value }, !resting) }),
    }));
    const own = roofsim.knobs.map((knob) => {
      const back = element("button", {
        type: "button",
        className: "back",
        textContent: "device’s own",
        ariaLabel: `${knob.label}: back to the device’s own`,
      });
      back.addEventListener("click", () => {
        const numbers = { ...page.state().numbers };
        delete numbers[knob.path];
        page.change({ numbers });
      });
      const moved = (value, resting) =>
        page.change({ numbers: { ...page.state().numbers, [knob.path]: value } }, !resting);
      return { knob, back, ...slider({ ...knob, id: `knob-${knob.path}`, moved, extra: back }) };
    });
    const ownBox = element(
      "details",
      { className: "own" },
      element("summary", { textContent: "Own numbers" }),
      ...own.map(({ box }) => box),
    );
    form.replaceChildren(
      element(
        "fieldset",
        {},
        element("legend", { textContent: "Models side by side" }),
        chips,
        element("label", { htmlFor: "add-model", className: "only-read", textContent: "Add a model" }),
        add,
      ),
      element(
        "fieldset",
        { className: "choice" },
        element("legend", { textContent: "On" }),
        ...selects.map(({ label, select }) => element("div", { className: "field" }, label, select)),
      ),
      element(
        "fieldset",
        { className: "workload" },
        element("legend", { textContent: "Work" }),
        ...main.map(({ box }) => box),
      ),
      ownBox,
      element("p", { id: "assumed" }),
    );
    let shownModels = "";

    /** Show a state. */
    function sync(state, theme) {
      const key = `${state.models.join()} ${theme.name}`;
      if (key !== shownModels) {
        chips.replaceChildren(
          ...state.models.flatMap((name, slot) => (name ? [chip(name, slot, theme, page, add)] : [])),
        );
        shownModels = key;
      }
      const free = state.models.filter(Boolean).length < view.theme.SLOTS;
      const rest = roofsim.models.filter((model) => !state.models.includes(model.name));
      view.options(add, [
        { name: "", label: free ? "add a model …" : "no more than six" },
        ...(free
          ? rest.map((model) => ({
              name: model.name,
              label: model.name,
              group: FAMILIES[model.family] ?? model.family,
            }))
          : []),
      ]);
      const lists = choices(state);
      for (const { key: name, select } of selects) {
        view.options(select, lists[name]);
        const now = String(state[name]);
        select.value = lists[name].some((one) => one.name === now) ? now : (lists[name][0]?.name ?? "");
        select.closest(".field").hidden = lists[name].length < 2 && ["tp", "cache", "calibration"].includes(name);
      }
      form.querySelector("#assumed").textContent = assumed(state);
      for (const { spec, show } of main) show(state[spec.key]);
      for (const { knob, show, back, box } of own) {
        const device = view.series.value(state, knob.path, true);
        box.hidden = !(device > 0);
        if (!box.hidden) show(state.numbers[knob.path] ?? device);
        back.hidden = !(knob.path in state.numbers);
      }
      if (Object.keys(state.numbers).length) ownBox.open = true;
    }
    return { sync };
  }

  /** What a choice changes: another device has numbers of its own, and need not have several that stand together. */
  function taken(state, key, value) {
    if (key === "tp") return { tp: Number(value) };
    const found = { ...state, [key]: value, ...(key === "device" ? { numbers: {} } : {}) };
    const several = choices(found).tp.find((one) => one.name === String(state.tp));
    return { [key]: value, numbers: found.numbers, tp: several && !several.lacks ? state.tp : 1 };
  }

  /** The models with one more, in the first free place: the others keep their colours. */
  function placed(models, name) {
    const slot = models.findIndex((one) => !one);
    return slot < 0 ? [...models, name] : models.map((one, i) => (i === slot ? name : one));
  }

  function chip(name, slot, theme, page, next) {
    const { element } = view;
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = view.theme.line(slot, theme);
    const remove = element("button", { type: "button", textContent: "×", ariaLabel: `Remove ${name}` });
    remove.addEventListener("click", () => {
      const models = page.state().models.map((one) => (one === name ? null : one));
      while (models.length && !models.at(-1)) models.pop();
      page.change({ models });
      next.focus();
    });
    return element("li", {}, swatch, element("span", { textContent: name }), remove);
  }

  /** What the choices come to: the stack that is meant on this device, its host, the calibration. */
  function assumed(state) {
    const models = state.models.filter(Boolean).map((model) => view.series.request(state, model));
    const asked = models.find((one) => !roofsim.lacks(one));
    if (!asked) return "";
    const { title, host } = roofsim.stack(asked);
    const known = roofsim.calibrations(asked);
    const used = known.find((one) => one.name === state.calibration) ?? known[0];
    const device = roofsim.devices.find((one) => one.name === state.device);
    const several = state.tp > 1 ? `${state.tp} × ${device.title} (tensor parallel), each` : device.title;
    const on = [several, device.says].filter(Boolean).join(", ");
    return [on, title, host && `host ${host}`, used?.title].filter(Boolean).join("; ");
  }

  /** What each list offers: of formats and calibrations what any of the chosen models has. */
  function choices(state) {
    const asked = state.models.filter(Boolean).map((model) => view.series.request(state, model));
    const union = (lists) => {
      const all = lists.flat();
      return [
        ...new Map(
          all.map((one) => [one.name, all.find((other) => other.name === one.name && !other.lacks) ?? one]),
        ).values(),
      ];
    };
    const formats = asked.map((one) => roofsim.formats(one));
    const calibrations = union(asked.map((one) => roofsim.calibrations(one)));
    const lacking = (tp) => asked.map((one) => roofsim.lacks({ ...one, tp }));
    const why = (tp) => (asked.length && lacking(tp).every(Boolean) ? lacking(tp)[0] : null);
    return {
      device: roofsim.devices,
      tp: roofsim.tp.map((tp) => ({
        name: String(tp),
        label: tp > 1 ? `${tp} (TP ${tp})` : "1",
        lacks: tp > 1 && why(tp),
      })),
      runtime: roofsim.runtimes,
      weights: union(formats.map((one) => one.weights)),
      cache: union(formats.map((one) => one.cache)),
      calibration: [
        { name: "auto", label: "automatic" },
        ...calibrations.map(({ name }) => ({ name, label: name === "none" ? "none: priors" : name })),
      ],
    };
  }

  view.controls = { build };
}
