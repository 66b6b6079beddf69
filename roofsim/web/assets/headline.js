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
    if (able.length === 2) {
      const met = crossings.map(
        (found) => `${say(found.x)} tokens${found.low ? ` [${say(found.low)} – ${say(found.high)}]` : ""}`,
      );
      answer.push(met.length ? `The order turns at ${met.join(" and ")}.` : "Over the lengths shown the order stays.");
    }
    const cautions = [
      ...series.filter((one) => one.lacks).map((one) => `${one.name}: ${one.lacks}`),
      ...able
        .filter((one) => !one.predicted().fits)
        .map((one) => `${one.name} does not fit into the memory at this prompt and batch.`),
      ...able
        .filter((one) => one.ends().window && state.prompt + state.generate > one.ends().window)
        .map((one) => `${one.name}: beyond its context window of ${say(one.ends().window)} tokens.`),
      ...(unread.length ? [`Not known here, and left out of the link: ${unread.join(", ")}.`] : []),
    ];
    return [
      element("span", { textContent: answer.join(" ") }),
      ...cautions.map((words) => element("span", { className: "caution", textContent: words })),
    ];
  }

  view.headline = headline;
}
