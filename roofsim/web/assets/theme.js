// Colours: a model keeps its own in every panel (Okabe and Ito's palette, told apart with any colour vision).
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const MODELS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const THEMES = {
    light: { name: "light", paper: "#ffffff", ink: "#1d2329", soft: "#5a6570", faint: "#d9dee3", warn: "#a34700" },
    dark: { name: "dark", paper: "#171b20", ink: "#e8ecf0", soft: "#a3aeb9", faint: "#363e47", warn: "#f0a060" },
  };
  const LINE = 2.2; // contrast that a line needs against the paper: the palette's own on white
  const TEXT = 4.5; // and text, by WCAG 2 AA

  const wished = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

  /** The theme that is shown: what was chosen, else what the system prefers. */
  const current = (chosen) => THEMES[chosen] ?? THEMES[wished?.matches ? "dark" : "light"];

  function luminance(colour) {
    const { r, g, b } = d3.rgb(colour);
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }

  function contrast(a, b) {
    const [low, high] = d3.extent([luminance(a), luminance(b)]);
    return (high + 0.05) / (low + 0.05);
  }

  /** A colour moved towards the ink until it stands out from the paper. */
  function standing(colour, theme, wanted) {
    const towards = d3.interpolateLab(colour, theme.ink);
    for (let share = 0; share < 1; share += 0.05) {
      if (contrast(towards(share), theme.paper) >= wanted) return d3.color(towards(share)).formatHex();
    }
    return theme.ink;
  }

  const cache = new Map();
  function held(kind, colour, theme, make) {
    const key = `${kind} ${colour} ${theme.name}`;
    if (!cache.has(key)) cache.set(key, make());
    return cache.get(key);
  }

  const line = (slot, theme) =>
    held("line", slot, theme, () => standing(MODELS[slot % MODELS.length], theme, theme.name === "dark" ? 3 : LINE));
  const words = (colour, theme) => held("text", colour, theme, () => standing(colour, theme, TEXT));

  /** The colour of a part of something: `share` of it over the paper. */
  const tint = (colour, share, theme) =>
    held(`tint ${share}`, colour, theme, () => d3.color(d3.interpolateRgb(theme.paper, colour)(share)).formatHex());

  /** Black or white, whichever is read better on a colour. */
  const over = (colour) => held("over", colour, THEMES.light, () => (luminance(colour) > 0.22 ? "#14181c" : "#ffffff"));

  view.theme = { THEMES, SLOTS: MODELS.length, current, line, words, tint, over, contrast, wished };
}
