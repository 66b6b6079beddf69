// A panel as a file: SVG and PNG with its title and what it was computed for, CSV in SI units.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const NS = "http://www.w3.org/2000/svg";
  const PAD = 16;
  const SHARP = 2; // pixels of a PNG for one of the page

  function node(name, attributes, words) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    return made;
  }

  function wrapped(words, width, size) {
    const lines = [""];
    for (const word of words.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (view.scale.width(longer, size) > width && lines.at(-1)) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines;
  }

  /** All charts of a panel in one SVG, under its title, with what it was computed for and its legend. */
  function svg(panel, theme) {
    const figure = panel.figure.getBoundingClientRect();
    const width = Math.ceil(figure.width) + 2 * PAD;
    const outer = node("svg", { xmlns: NS, width, "font-family": view.chart.FAMILY });
    outer.append(node("title", {}, panel.title()));
    outer.append(node("desc", {}, panel.summary()));
    const paper = outer.appendChild(node("rect", { width: "100%", height: "100%", fill: theme.paper }));
    let y = PAD + 12;
    const say = (words, size, fill, weight = 400) => {
      for (const line of wrapped(words, width - 2 * PAD, size)) {
        outer.append(node("text", { x: PAD, y, "font-size": size, "font-weight": weight, fill }, line));
        y += size * 1.4;
      }
    };
    say(panel.title(), 15, theme.ink, 600);
    say(panel.setting(), 11, theme.soft);
    const shift = y + 4;
    let bottom = shift;
    for (const chart of panel.figure.querySelectorAll("svg")) {
      const box = chart.getBoundingClientRect();
      const inner = chart.cloneNode(true);
      inner.querySelectorAll('[aria-label="tip"]').forEach((tip) => tip.remove());
      inner.setAttribute("x", PAD + box.left - figure.left);
      inner.setAttribute("y", shift + box.top - figure.top);
      outer.append(inner);
      bottom = Math.max(bottom, shift + box.bottom - figure.top);
    }
    y = bottom + 14;
    for (const legend of panel.figure.querySelectorAll(".legend")) {
      for (const key of legend.querySelectorAll(".key")) {
        outer.append(node("rect", { x: PAD, y: y - 9, width: 10, height: 10, fill: key.dataset.colour }));
        outer.append(node("text", { x: PAD + 16, y, "font-size": 11, fill: theme.ink }, key.textContent));
        y += 15;
      }
      const rest = [...legend.childNodes]
        .filter((child) => child.nodeType === Node.TEXT_NODE)
        .map((child) => child.textContent);
      say(rest.join(" "), 10, theme.soft);
    }
    say(`roofsim ${roofsim.about?.version ?? ""}`.trim(), 9, theme.soft);
    outer.setAttribute("height", Math.ceil(y));
    outer.setAttribute("viewBox", `0 0 ${width} ${Math.ceil(y)}`);
    paper.setAttribute("height", Math.ceil(y));
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(outer)}\n`;
  }

  async function png(text) {
    const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    try {
      const image = new Image();
      image.src = address;
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), {
        width: image.width * SHARP,
        height: image.height * SHARP,
      });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      return await new Promise((done) => canvas.toBlob(done, "image/png"));
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** A table as CSV: the unit in the heading, numbers as they are. */
  function csv({ columns, rows }) {
    const cell = (value) => {
      if (value === null || value === undefined || Number.isNaN(value)) return "";
      const words = String(value);
      return /[",\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
    };
    const named = columns.map(({ name, unit }) => (unit && unit !== "1" ? `${name} (${unit})` : name));
    return [named, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
  }

  function save(content, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  view.exports = { svg, png, csv, save };
}
