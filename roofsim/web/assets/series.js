// The curves of a state: one per model, with its colour and what the engine says of it, asked once.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const lazily = (make) => {
    let made = false;
    let value;
    return () => {
      if (!made) [value, made] = [make(), true];
      return value;
    };
  };

  /** What the engine is asked: one model of a state. */
  const request = (state, model) => ({
    model,
    device: state.device,
    tp: state.tp,
    runtime: state.runtime,
    weights: state.weights,
    cache: state.cache,
    calibration: state.calibration,
    batch: state.batch,
    prompt: state.prompt,
    generate: state.generate,
    numbers: state.numbers,
  });

  /** The number at a path as it is now, or with `own` as the device has it; null where there is none. */
  function value(state, path, own = false) {
    const model = state.models.find(Boolean) ?? roofsim.models[0].name;
    const asked = request(state, model);
    return roofsim.value(own ? { ...asked, numbers: {} } : asked, path);
  }

  /** A format that others of the chosen models have, and this one does not. */
  function mismatch(state, asked) {
    for (const kind of ["weights", "cache"]) {
      const has = (one) => roofsim.formats(one)[kind].some((format) => format.name === state[kind]);
      const others = state.models.filter(Boolean).map((model) => request(state, model));
      if (state[kind] && !has(asked) && others.some(has)) return `there is no ${kind} in ${state[kind]} of it here`;
    }
    return null;
  }

  /** One per chosen model, also those that this combination lacks: `lacks` is then the reason. */
  function of(state, theme) {
    return state.models.flatMap((name, slot) => {
      const model = roofsim.models.find((one) => one.name === name);
      if (!model) return [];
      const asked = request(state, name);
      const colour = view.theme.line(slot, theme);
      const lacks = attempt(() => roofsim.lacks(asked) ?? mismatch(state, asked));
      return [
        {
          name,
          slot,
          colour,
          words: view.theme.words(colour, theme),
          asked,
          model,
          lacks,
          predicted: lazily(() => roofsim.predict(asked)),
          operators: lazily(() => roofsim.operators(asked)),
          ends: lazily(() => roofsim.ends(asked)),
          ridges: lazily(() => roofsim.ridges(asked)),
        },
      ];
    });
  }

  /** A reason, also where the engine cannot even say one. */
  function attempt(ask) {
    try {
      return ask();
    } catch (error) {
      return error.message;
    }
  }

  const runs = (series) => series.filter((one) => !one.lacks);

  /** What stands above every figure: the choices that all curves share. */
  function setting(state) {
    const title = (list, name) => list.find((one) => one.name === name)?.title ?? name;
    const { say, tokens } = view.text;
    const own = Object.entries(state.numbers).map(([path, value]) => {
      const knob = roofsim.knobs.find((one) => one.path === path);
      return `${knob?.label ?? path} ${say(value, knob?.unit)}`;
    });
    return [
      (state.tp > 1 ? `${state.tp} × ` : "") +
        title(roofsim.devices, state.device) +
        (own.length ? ` with ${own.join(", ")}` : ""),
      title(roofsim.runtimes, state.runtime),
      ...(state.weights ? [`${state.weights} weights`] : []),
      ...(state.cache ? [`${state.cache} cache`] : []),
      `batch ${state.batch}`,
      `prompt ${tokens(state.prompt)}`,
      `${tokens(state.generate)} generated`,
    ];
  }

  view.series = { of, runs, request, setting, value };
}
