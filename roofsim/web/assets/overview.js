// Every figure of every chosen model, with its interval: the table of it all.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  function* draw(context) {
    const { live } = context;
    const lines = [];
    for (const one of context.series) {
      if (one.lacks) {
        lines.push({ one, lacks: one.lacks });
        continue;
      }
      const predicted = one.predicted();
      const intervals = {};
      if (!live) {
        for (const figure of roofsim.figures) {
          intervals[figure.name] = roofsim.interval(one.asked, figure.name);
          yield;
        }
      }
      lines.push({ one, predicted, intervals, ends: one.ends() });
    }
    return { nodes: [render(lines)], table: () => table(lines), summary: "" };
  }

  const element = (name, words, options = {}) =>
    Object.assign(document.createElement(name), { textContent: words, ...options });

  function render(lines) {
    const { say } = view.text;
    const table = document.createElement("table");
    table.className = "overview";
    table.createCaption().textContent = "Rows are figures, columns the models; in brackets the 95 % interval";
    const head = table.createTHead().insertRow();
    head.append(element("th", "figure", { scope: "col" }));
    for (const { one } of lines) {
      const th = element("th", one.name, { scope: "col" });
      th.style.color = one.words;
      head.append(th);
    }
    const body = table.createTBody();
    const row = (label, cell) => {
      const tr = body.insertRow();
      tr.append(element("th", label, { scope: "row" }));
      for (const line of lines) tr.insertCell().append(...(line.lacks ? ["–"] : cell(line)));
    };
    for (const figure of roofsim.figures) {
      row(figure.label, ({ predicted, intervals }) => {
        const range = intervals[figure.name]?.map((end) => say(end, figure.unit));
        const said = range ? [element("small", `[${range.join(" – ")}]`)] : [];
        return [say(predicted[figure.name], figure.unit), ...said];
      });
    }
    row("bound by, prefill and decode", ({ predicted }) => [`${predicted.bound.prefill}, ${predicted.bound.decode}`]);
    row("fits", ({ predicted }) => [predicted.fits ? "yes" : element("strong", "does not fit")]);
    row("longest prompt in memory", ({ ends }) => [
      ends.max_prompt === null ? "not limited" : ends.max_prompt ? `${say(ends.max_prompt)} tokens` : "none fits",
    ]);
    row("longest prompt in the context window", ({ ends }) => [
      ends.window === null ? "not limited" : `${say(ends.window)} tokens`,
    ]);
    const box = document.createElement("div");
    box.className = "scroll";
    box.tabIndex = 0;
    box.role = "region";
    box.ariaLabel = "Every figure of every model";
    box.append(table);
    return box;
  }

  function table(lines) {
    const columns = [{ name: "model", label: "model" }];
    for (const figure of roofsim.figures) {
      columns.push(
        ...["", "_low", "_high"].map((end) => ({
          name: figure.name + end,
          label: figure.label + end,
          unit: figure.unit,
        })),
      );
    }
    columns.push(
      ...["bound_prefill", "bound_decode", "fits", "max_prompt", "window", "refused"].map((name) => ({
        name,
        label: name,
      })),
    );
    const rows = lines.map(({ one, lacks, predicted, intervals, ends }) => [
      one.name,
      ...roofsim.figures.flatMap((figure) =>
        lacks ? [null, null, null] : [predicted[figure.name], ...(intervals[figure.name] ?? [null, null])],
      ),
      ...(lacks
        ? [null, null, null, null, null, lacks]
        : [predicted.bound.prefill, predicted.bound.decode, predicted.fits, ends.max_prompt, ends.window, null]),
    ]);
    return { columns, rows };
  }

  (view.panels ??= {}).overview = {
    order: 7,
    name: "All figures",
    title: () => "All figures",
    options: [],
    draw,
    plain: true,
    wide: true,
  };
}
