// Quantities as people say them (32k, 2.30 GiB, 57.1 ms, 16.8 tok/s), and what they type read back.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});

  const DECIMAL = [
    ["P", 1e15],
    ["T", 1e12],
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
    ["", 1],
    ["m", 1e-3],
    ["µ", 1e-6],
    ["n", 1e-9],
  ];
  const BINARY = [
    ["TiB", 2 ** 40],
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
    ["B", 1],
  ];
  const SPOKEN = { "tokens/s": "tok/s", tokens: "", sequences: "", 1: "", "": "" };
  const PLAIN = new Set(["tokens/s", "tokens", "sequences", "1", ""]);

  const LONG = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
  ];

  /** `digits` digits that count, as roofsim prints them: 1.10, 57.1, 23,739. */
  function significant(value, digits = 3) {
    if (value === 0) return "0";
    const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Number(Math.abs(value).toPrecision(digits)))));
    return grouped(decimals).format(value);
  }

  const formats = new Map();
  function grouped(decimals) {
    if (!formats.has(decimals)) {
      formats.set(
        decimals,
        new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
      );
    }
    return formats.get(decimals);
  }

  /** The same without zeros that say nothing, for ticks and fields: 1.1, 6, 100. */
  const plain = (value, digits = 3) =>
    significant(value, digits)
      .replace(/(\.\d*?)0+$/, "$1")
      .replace(/\.$/, "");

  const scaled = (value, table) => table.find(([, size]) => Math.abs(value) >= size * 0.9995) ?? table.at(-1);

  /** A value in an SI unit, as it is said; `number` is how its number is written. */
  function say(value, unit = "", number = significant) {
    if (value === null || value === undefined || Number.isNaN(value)) return "not known";
    if (!Number.isFinite(value)) return "∞";
    if (unit === "%") return `${number(value)} %`;
    if (PLAIN.has(unit))
      return `${Number.isInteger(value) ? grouped(0).format(value) : number(value)} ${SPOKEN[unit]}`.trimEnd();
    if (value === 0 || unit.startsWith("USD")) return `${number(value)} ${unit}`; // nobody counts in kUSD
    if (unit === "B") {
      const [name, size] = scaled(value, BINARY);
      return `${number(value / size)} ${name}`;
    }
    if (unit === "s" && Math.abs(value) >= 999.5) {
      const [name, size] = scaled(value, LONG);
      return `${number(value / size)} ${name}`;
    }
    const [prefix, size] = scaled(value, DECIMAL);
    return `${number(value / size)} ${prefix}${unit}`;
  }

  /** A number of tokens on an axis or a slider: 32k is 32,768. */
  function tokens(value) {
    const k = value / 1024;
    if (k >= 1024 && Number.isInteger(k / 1024)) return `${k / 1024}M`;
    return k >= 1 && Number.isInteger(k * 4) ? `${k}k` : grouped(0).format(value);
  }

  const counts = (unit) => unit === "tokens" || unit === "sequences";
  /** A value on an axis or in a field. */
  const sayInput = (value, unit) => (unit === "tokens" ? tokens(value) : say(value, unit, plain));
  const FACTORS = { k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, m: 1e-3, u: 1e-6, µ: 1e-6, μ: 1e-6, n: 1e-9 };
  const FACTORS_2 = { k: 2 ** 10, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

  /** What was typed, as a number in the unit; NaN if it is none. 32k tokens are 32,768. */
  function parse(typed, unit) {
    const found = /^\s*([\d.,]+(?:e[+-]?\d+)?)\s*(.*?)\s*$/i.exec(typed);
    if (!found) return NaN;
    const number = Number(found[1].replaceAll(",", ""));
    const rest = found[2];
    if (!rest || rest === unit || rest === SPOKEN[unit]) return number;
    const binary = counts(unit) || /^.i/i.test(rest);
    const factor = (binary ? FACTORS_2 : FACTORS)[rest[0]];
    const tail = rest.slice(1).replace(/^i(?=B)/, "");
    if (!factor || (tail && tail !== unit)) return NaN;
    return number * factor;
  }

  const capital = (words) => words[0].toUpperCase() + words.slice(1);

  view.text = { capital, say, tokens, sayInput, parse, significant, plain, counts };
}
