// The frame of a chart: its title and choices, the figure, the same as a table, and its files.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const element = (name, options = {}, ...children) => {
    const made = Object.assign(document.createElement(name), options);
    made.append(...children);
    return made;
  };

  /** The frame of one panel; `page` is {state(), change(patch), theme()}. */
  function frame(key, spec, page) {
    const heading = element("h2", { id: `${key}-title` });
    const figure = element("div", { className: "figure" });
    const tableBox = element("div", { className: "scroll", tabIndex: 0, role: "region" });
    const details = element(
      "details",
      { className: "values" },
      element("summary", { textContent: "Values as a table" }),
      tableBox,
    );
    const selects = spec.options.map((option) => {
      const select = element("select", { id: `${key}-${option.key}` });
      select.addEventListener("change", () => page.change({ [option.key]: select.value }));
      return { option, select };
    });
    const choices = element(
      "div",
      { className: "choices" },
      ...selects.map(({ option, select }) => element("label", {}, `${option.label} `, select)),
    );
    const files = element("div", { className: "files", role: "group", ariaLabel: `Files of ${spec.name}` });
    const section = element(
      "section",
      { className: `panel ${key}${spec.wide ? " wide" : ""}`, id: key },
      element("div", { className: "head" }, heading, files),
      choices,
      figure,
    );
    section.setAttribute("aria-labelledby", heading.id);
    if (!spec.plain) section.append(details);

    let drawn = { nodes: [] };
    const panel = {
      key,
      spec,
      section,
      figure,
      title: () => view.text.capital(spec.title(page.state())),
      setting: () => view.series.setting(page.state()).join(" · "),
      summary: () => drawn.summary ?? "",
      /** Put what was drawn in its place; the table only where it is looked at. */
      show(found, rested) {
        if (found !== drawn) figure.replaceChildren(...found.nodes);
        drawn = found;
        section.classList.toggle("moving", !rested);
        if (rested && details.open) fill();
      },
      /** Title and choices of a state. */
      sync() {
        const state = page.state();
        heading.textContent = panel.title();
        tableBox.ariaLabel = `${panel.title()}: values`;
        for (const { option, select } of selects) {
          view.options(select, option.choices(state));
          select.value = option.value ? option.value(state) : state[option.key];
        }
      },
      drawn: () => drawn,
    };

    function fill() {
      tableBox.replaceChildren(
        drawn.table ? asTable(drawn.table(), spec.title(page.state())) : view.chart.sentence("No values."),
      );
    }
    details.addEventListener("toggle", () => details.open && fill());
    const name = () => `roofsim-${key}`;
    const kinds = {
      SVG: () => view.exports.save(view.exports.svg(panel, page.theme()), `${name()}.svg`),
      PNG: async () =>
        view.exports.save(await view.exports.png(view.exports.svg(panel, page.theme())), `${name()}.png`),
      CSV: () => view.exports.save(view.exports.csv(drawn.table()), `${name()}.csv`),
    };
    for (const [kind, write] of Object.entries(kinds)) {
      if (spec.plain && kind !== "CSV") continue;
      const button = element("button", {
        type: "button",
        textContent: kind,
        ariaLabel: `Save ${spec.name} as ${kind}`,
      });
      button.addEventListener("click", async () => {
        if (!drawn.table && kind === "CSV") return;
        await write();
        page.announce(`${spec.name} saved as ${kind}`);
      });
      files.append(button);
    }
    return panel;
  }

  const LONGEST = 400; // rows that a page shows; the CSV has all

  function asTable({ columns, rows }, caption) {
    const table = element("table");
    const rest = rows.length > LONGEST ? `; the first ${LONGEST} of ${rows.length} rows, all in the CSV` : "";
    table.createCaption().textContent = caption + rest;
    const head = table.createTHead().insertRow();
    head.append(...columns.map(({ label }) => element("th", { scope: "col", textContent: label })));
    const body = table.createTBody();
    for (const row of rows.slice(0, LONGEST)) {
      const tr = body.insertRow();
      row.forEach((value, i) => {
        const number = typeof value === "number";
        const cell = element("td", {
          textContent: number ? view.text.say(value, columns[i].unit ?? "") : (value ?? "–"),
        });
        if (number) cell.className = "number";
        tr.append(cell);
      });
    }
    return table;
  }

  /** Fill a select, unless it has these options already. */
  function options(select, choices) {
    const key = JSON.stringify(choices);
    if (select.dataset.key === key) return;
    const made = (one) =>
      element("option", {
        value: one.name,
        textContent: one.label ?? one.title ?? one.name,
        disabled: Boolean(one.lacks),
        title: one.lacks ?? "",
      });
    const groups = d3.groups(choices, (one) => one.group ?? "");
    select.replaceChildren(
      ...groups.flatMap(([name, members]) =>
        name ? [element("optgroup", { label: name }, ...members.map(made))] : members.map(made),
      ),
    );
    select.dataset.key = key;
  }

  /** Colour and name of each curve, a line of a legend. */
  function keys(series, words = (one) => one.name) {
    const made = series.map((one) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = one.colour;
      const key = element("span", { className: "key" }, swatch, words(one));
      key.dataset.colour = one.colour;
      return key;
    });
    return element("span", { className: "keys" }, ...made);
  }

  Object.assign(view, { frame, element, options, keys });
}
