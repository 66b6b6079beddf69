// The loop: a change draws at once with few points; when it rests, everything is drawn with all there is to say.
"use strict";
{
  const view = ((globalThis.roofsim ??= {}).view ??= {});
  const REST = 160; // milliseconds without a change after which everything is drawn in full
  const BUDGET = 6; // milliseconds of a frame for charts; what is left over is drawn in the next
  const SLICE = 24; // milliseconds of work at rest between two looks at what the reader does

  view.figure = (name) => roofsim.figures.find((one) => one.name === name) ?? roofsim.figures[0];

  const now = () => performance.now();
  const finish = (work) => {
    let step = work.next();
    while (!step.done) step = work.next();
    return step.value;
  };

  function start() {
    const by = (id) => document.getElementById(id);
    let { state, unread } = view.state.read(location.hash);
    let theme = view.theme.current(state.theme);
    let series = view.series.of(state, theme);
    let generation = 0;
    let waiting = [];
    let framed = false;
    let timer = 0;
    let rested = true;

    const page = {
      state: () => state,
      theme: () => theme,
      /** Take changes over; `live`: more will follow at once. */
      change(patch, live = false) {
        state = { ...state, ...patch };
        unread = [];
        changed(live);
      },
      announce: (words) => (by("said").textContent = words),
    };

    const panels = Object.entries(view.panels)
      .sort(([, a], [, b]) => a.order - b.order)
      .map(([key, spec]) => view.frame(key, spec, page));
    by("panels").replaceChildren(...panels.map((panel) => panel.section));
    const visible = new Set(panels);
    const seen = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const panel = panels.find((one) => one.section === entry.target);
          visible[entry.isIntersecting ? "add" : "delete"](panel);
        }
      },
      { rootMargin: "60px" },
    );
    for (const panel of panels) seen.observe(panel.section);
    const widths = new Map();
    const sized = new ResizeObserver((entries) => {
      let wider = false;
      for (const entry of entries) {
        const width = Math.floor(entry.contentRect.width);
        if (width > 0 && Math.abs((widths.get(entry.target) ?? 0) - width) > 1) {
          wider = widths.has(entry.target) || wider;
          widths.set(entry.target, width);
        }
      }
      if (wider) changed(false);
    });
    for (const panel of panels) {
      widths.set(panel.figure, Math.floor(panel.figure.clientWidth));
      sized.observe(panel.figure);
    }

    const controls = view.controls.build(by("controls"), page);
    actions(by("actions"), page);
    about(by("about"));

    const context = (panel, live) => ({ state, series, theme, live, width: Math.max(240, widths.get(panel.figure)) });

    function changed(live) {
      generation += 1;
      theme = view.theme.current(state.theme);
      series = view.series.of(state, theme);
      rested = false;
      const drawn = panels.filter((panel) => visible.has(panel) && !panel.spec.rests);
      waiting = [
        ...waiting.filter((panel) => drawn.includes(panel)),
        ...drawn.filter((panel) => !waiting.includes(panel)),
      ];
      if (!live)
        waiting = []; // all is drawn in full at once
      else if (!framed) {
        framed = true;
        requestAnimationFrame(frame);
      }
      clearTimeout(timer);
      timer = setTimeout(rest, live ? REST : 0);
    }

    /** One frame of a drag: as many of the visible charts as the frame has time for, the longest waiting first. */
    function frame() {
      framed = false;
      if (rested) return;
      const begun = now();
      document.documentElement.dataset.theme = theme.name;
      for (const panel of panels) if (panel.spec.rests) panel.section.classList.add("moving");
      while (waiting.length && now() - begun < BUDGET) {
        const panel = waiting.shift();
        panel.show(
          draw(() => finish(panel.spec.draw(context(panel, true)))),
          false,
        );
      }
      if (now() - begun < BUDGET) answer(null, false);
      if (waiting.length) {
        requestAnimationFrame(frame);
        framed = true;
      } else performance.mark("shown");
    }

    /** Everything around the charts. */
    function label() {
      controls.sync(state, theme);
      for (const panel of panels) panel.sync();
      by("setting").textContent = view.series.setting(state).join(" · ");
    }

    /** The state into the address; a page inside another, such as a notebook, has none of its own. */
    function address() {
      try {
        history.replaceState(null, "", view.state.write(state));
      } catch (error) {
        if (error.name !== "SecurityError") throw error;
      }
    }

    /** The answer above the figures; read out only where it stays. */
    function answer(crossings, stays) {
      by("headline").ariaLive = stays ? "polite" : "off";
      by("headline").replaceChildren(...view.headline(state, series, crossings, unread));
    }

    const draw = (make) => {
      try {
        return make();
      } catch (error) {
        console.error(error);
        return { nodes: [view.chart.sentence(`This cannot be drawn: ${error.message}`)] };
      }
    };

    /** Everything in full, in slices, until something changes. */
    async function rest() {
      if (waiting.length) {
        timer = setTimeout(rest, REST); // frames are still at what is in sight
        return;
      }
      const mine = generation;
      rested = true;
      document.documentElement.dataset.theme = theme.name;
      label();
      address();
      let begun = now();
      const order = [...panels.filter((panel) => visible.has(panel)), ...panels.filter((panel) => !visible.has(panel))];
      for (const panel of order) {
        let found;
        try {
          const work = panel.spec.draw(context(panel, false));
          let step = work.next();
          while (!step.done) {
            if (now() - begun > SLICE) {
              await new Promise((on) => setTimeout(on));
              if (mine !== generation) return;
              begun = now();
            }
            step = work.next();
          }
          found = step.value;
        } catch (error) {
          found = draw(() => {
            throw error;
          });
        }
        panel.show(found, true);
        if (panel.key === "crossover") answer(found.crossings ?? null, true);
      }
      document.documentElement.dataset.rested = mine;
      performance.mark("drawn");
    }

    view.theme.wished?.addEventListener("change", () => changed(false));
    addEventListener("hashchange", () => {
      ({ state, unread } = view.state.read(location.hash));
      changed(false);
    });
    let printed = null;
    addEventListener("beforeprint", () => {
      printed = state.theme;
      state = { ...state, theme: "light" };
      theme = view.theme.current("light");
      series = view.series.of(state, theme);
      document.documentElement.dataset.theme = "light";
      for (const panel of panels)
        panel.show(
          draw(() => finish(panel.spec.draw(context(panel, false)))),
          true,
        );
    });
    addEventListener("afterprint", () => page.change({ theme: printed ?? "" }));
    label();
    changed(true); // what is in sight first, with few points
  }

  function actions(box, page) {
    const { element } = view;
    const button = (words, act) => {
      const made = element("button", { type: "button", textContent: words });
      made.addEventListener("click", act);
      return made;
    };
    box.append(
      button("Copy link", async () => {
        try {
          await navigator.clipboard.writeText(location.href);
          page.announce("Link copied");
        } catch {
          page.announce("The link is in the address bar");
        }
      }),
      button("Light or dark", () => page.change({ theme: page.theme().name === "dark" ? "light" : "dark" })),
      button("Print", () => print()),
      button("Start again", () => page.change(view.state.first())),
      element("span", { id: "said", role: "status" }),
    );
  }

  function about(box) {
    const { element } = view;
    const { version, command, made, notes = [] } = roofsim.about ?? {};
    const first = [
      `roofsim ${version ?? ""}`,
      made,
      "every number is computed in this page; nothing is sent or fetched",
    ]
      .filter(Boolean)
      .join(" · ");
    box.append(
      element("p", { textContent: first }),
      ...(command ? [element("p", {}, element("code", { textContent: command }))] : []),
      ...notes.map((note) => element("p", { textContent: note })),
    );
  }

  addEventListener("DOMContentLoaded", async () => {
    try {
      await roofsim.ready;
      start();
    } catch (error) {
      document.getElementById("headline").textContent = `The page could not be opened: ${error.message}`;
      throw error;
    }
  });
}
