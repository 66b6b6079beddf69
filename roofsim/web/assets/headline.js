// The answer in words, above the figures: what a screen reader is told when something changes.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  /** The answer in a sentence or two, and what must be known before it is believed. */
  function headline(state, series, crossings, unread) {
    const { element } = view;
    const { capital, say, tokens } = view.text;
    const figure = view.figure(state.figure);
    const able = view.series.runs(series);
    const better = figure.better === "more" ? d3.descending : d3.ascending;
    const order = d3.sort(able, (a, b) => better(a.predicted()[figure.name], b.predicted()[figure.name]));
    const said = order.map((one) => `${one.name} ${say(one.predicted()[figure.name], figure.unit)}`);
    const answer = said.length
      ? [`${capital(figure.label)} at a prompt of ${tokens(state.prompt)}, batch ${state.batch}: ${said.join(", ")}.`]
      : [];
    if (able.length === 2 && crossings) answer.push(turns(order, crossings, state));
    const cautions = [
      ...series.filter((one) => one.lacks).map((one) => `${one.name}: ${one.lacks}`),
      ...able
        .filter((one) => !one.predicted().fits)
        .map((one) => `${one.name} does not fit into the memory at this prompt and batch.`),
      ...able
        .filter((one) => one.ends().window !== null && state.prompt > one.ends().window)
        .map((one) => `${one.name}: beyond its context window, which ends at a prompt of ${say(one.ends().window)}.`),
      ...new Set(able.flatMap((one) => roofsim.cautions(one.asked))),
      ...(unread.length ? [`Not known here, and left out of the link: ${unread.join(", ")}.`] : []),
    ];
    return [
      element("span", { textContent: answer.join(" ") }),
      ...cautions.map((words) => element("span", { className: "caution", textContent: words })),
    ];
  }

  /** Who of two is ahead where, along what the crossover stands over. */
  function turns([ahead, behind], { x: along, met }, state) {
    const lengths = along.path === "prompt";
    const say = (value) => view.text.say(value, along.unit);
    const at = ({ x, low, high }) =>
      `${lengths ? "" : `${along.label} `}${say(x)}${lengths ? " tokens" : ""}` +
      (low ? ` [${say(low)} – ${say(high)}]` : "");
    if (!met.length) return `${ahead.name} is ahead at all ${lengths ? "lengths" : `values of ${along.label}`} shown.`;
    if (met.length > 1) return `The order turns at ${met.map(at).join(" and ")}.`;
    const [first, then] = view.series.value(state, along.path) < met[0].x ? [ahead, behind] : [behind, ahead];
    return `${first.name} is ahead up to ${at(met[0])}, ${then.name} beyond.`;
  }

  view.headline = headline;
}
