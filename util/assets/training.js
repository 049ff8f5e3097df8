"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement, find = id => document.getElementById(id);
  const charts = find("charts"), legend = find("legend"), tip = find("tip");
  const COLOURS = {
    light: ["#2563eb", "#d9480f", "#0f8a5f", "#9333ea", "#b8860b", "#0e7f99", "#d6336c", "#5c7c12", "#6b7280", "#7c2d12"],
    dark: ["#6ea8fe", "#ff8a5c", "#45c994", "#c084fc", "#f2c14e", "#45c5e0", "#f783ac", "#a9cf54", "#a5b0bd", "#d6a184"],
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = i => { const all = COLOURS[dark.matches ? "dark" : "light"]; return all[i % all.length]; };

  // What the reader chose survives the page's own reloads.
  const KEY = "diptych:" + location.pathname;
  const view = {smooth: 0.6, log: false, apart: false, hidden: [], open: [], paused: false, focus: null, scroll: null};
  try { Object.assign(view, JSON.parse(sessionStorage.getItem(KEY))); } catch { /* a first visit, or no storage */ }
  if (!Array.isArray(view.open)) view.open = [];         // of a page of before
  const keep = () => { try { sessionStorage.setItem(KEY, JSON.stringify(view)); } catch { /* private mode */ } };

  const series = Object.keys(data.y).map((name, i) => ({name, i, raw: data.y[name], levels: (data.levels || {})[name] || {}}));
  const smooth = (values, weight) => {                  // exponential mean without the bias of its first points
    let mean = 0, mass = 0;
    return values.map(v => {
      if (v === null) return null;
      mean = mean * weight + v * (1 - weight);
      mass = mass * weight + 1 - weight;
      return mean / mass;
    });
  };
  const shown = () => series.filter(s => !view.hidden.includes(s.name));
  const words = v => v === null || v === undefined ? "\u2013" : Math.abs(v) >= 1e4 || (v && Math.abs(v) < 1e-3)
    ? v.toExponential(2) : String(+v.toPrecision(4));

  const ticks = (low, high, count) => {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= rough), out = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) out.push(+v.toPrecision(10));
    return out;
  };
  const decades = (low, high) => {
    const out = [], every = high - low > 2.5 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
    for (let p = Math.floor(low); p <= high; p++) for (const k of every) {
      const v = p + Math.log10(k);
      if (v >= low && v <= high) out.push(v);
    }
    return out.length > 1 ? out : ticks(low, high, 4);
  };

  // What charts of one kind share: where they are, the values of x, what a value of x is called.
  const losses = {box: charts, values: find("values"), tip, x: data.x, unit: "epoch ", log: () => view.log, panes: [], drawn: "curves"};
  const draw = (plot, canvas, lines, at = null) => {
    const xs = plot.x, log = plot.log();
    const W = canvas.clientWidth, H = canvas.clientHeight, dpr = window.devicePixelRatio || 1;
    if (!W) return;
    canvas.width = W * dpr; canvas.height = H * dpr;
    const g = canvas.getContext("2d"), style = getComputedStyle(root), ink = n => style.getPropertyValue(n).trim();
    g.scale(dpr, dpr);
    g.font = "12px " + getComputedStyle(document.body).fontFamily;
    const scale = v => v === null ? null : !log ? v : v > 0 ? Math.log10(v) : null;
    let low = Infinity, high = -Infinity;
    for (const line of lines) {                         // one spike must not flatten everything else
      const sorted = line.raw.map(scale).filter(v => v !== null).sort((a, b) => a - b), n = sorted.length;
      if (!n) continue;
      const cut = n > 200 ? Math.floor(n * 0.003) : 0;
      low = Math.min(low, sorted[cut]); high = Math.max(high, sorted[n - 1 - cut]);
    }
    if (lines.length === 1) for (const v of Object.values(lines[0].levels).map(scale)) {  // with others they stay where they fall
      if (v !== null && low <= high) { low = Math.min(low, v); high = Math.max(high, v); }
    }
    if (low > high) { g.fillStyle = ink("--soft"); g.fillText(lines.length ? "no finite values" : "nothing selected", 12, 24); return; }
    if (high - low < 1e-12) { low -= 0.5; high += 0.5; }
    const room = (high - low) * 0.04; low -= room; high += room;
    const ys = log ? decades(low, high) : ticks(low, high, Math.max(2, H / 55));
    const text = v => words(log ? +(10 ** v).toPrecision(3) : v);
    const left = Math.max(...ys.map(v => g.measureText(text(v)).width)) + 12, right = W - 8, top = 8, foot = H - 24;
    const first = xs[0], span = (xs[xs.length - 1] - first) || 1;
    const X = v => left + (v - first) / span * (right - left), Y = v => foot - (v - low) / (high - low) * (foot - top);
    canvas.geometry = {left, right, first, span};
    g.lineWidth = 1; g.textBaseline = "middle"; g.textAlign = "right";
    for (const v of ys) {
      g.strokeStyle = ink("--line"); g.beginPath(); g.moveTo(left, Math.round(Y(v)) + 0.5); g.lineTo(right, Math.round(Y(v)) + 0.5); g.stroke();
      g.fillStyle = ink("--soft"); g.fillText(text(v), left - 7, Y(v));
    }
    g.textBaseline = "alphabetic"; g.textAlign = "center";
    for (const v of ticks(first, first + span, Math.max(2, Math.min(10, (right - left) / 80)))) {
      g.textAlign = X(v) > right - 14 ? "right" : "center";
      g.fillText(words(v), X(v), H - 7);
    }
    g.save(); g.beginPath(); 
    const rim = plot.points ? 8 : 0;                    // a mark may stand on the edge
    g.rect(left - rim, top - 2 - rim, right - left + 2 * rim, foot - top + 4 + 2 * rim); g.clip();
    const path = (values, alpha, width, tint) => {
      g.globalAlpha = alpha; g.lineWidth = width; g.strokeStyle = tint; g.lineJoin = "round"; g.beginPath();
      const at = values.map(scale), known = i => i in at && at[i] !== null, alone = [];
      at.forEach((v, i) => {
        if (v === null) return;
        if (known(i - 1)) g.lineTo(X(xs[i]), Y(v)); else g.moveTo(X(xs[i]), Y(v));
        if (!known(i - 1) && !known(i + 1)) alone.push(i);
      });
      g.stroke();
      g.fillStyle = tint;
      for (const i of alone) { g.beginPath(); g.arc(X(xs[i]), Y(at[i]), width, 0, 7); g.fill(); }  // between two gaps
      g.globalAlpha = 1;
    };
    g.setLineDash([6, 5]);
    for (const line of lines) for (const [name, level] of Object.entries(line.levels)) {
      const v = scale(level);
      if (v === null || v < low || v > high) continue;
      g.lineWidth = 1; g.strokeStyle = colour(line.i);
      g.beginPath(); g.moveTo(left, Y(v)); g.lineTo(right, Y(v)); g.stroke();
      g.fillStyle = ink("--soft"); g.textAlign = "right"; g.fillText(name, right - 4, Y(v) - 4);
    }
    g.setLineDash([]);
    for (const line of lines) if (line.raw !== line.soft) path(line.raw, 0.2, 1, colour(line.i));
    for (const line of lines) path(line.soft, 1, 1.7, colour(line.i));
    if (plot.points && xs.length <= 40) for (const line of lines) line.soft.forEach((v, i) => {
      if (scale(v) === null) return;                    // few values are points, joined to be followed
      g.fillStyle = colour(line.i); g.beginPath(); g.arc(X(xs[i]), Y(scale(v)), 2.2, 0, 7); g.fill();
    });
    for (const line of lines) if (line.best !== undefined && line.best !== null && scale(line.soft[line.best]) !== null) {
      g.strokeStyle = ink("--good"); g.lineWidth = 2; g.beginPath();
      g.arc(X(xs[line.best]), Y(scale(line.soft[line.best])), 6, 0, 7); g.stroke();
    }
    if (at !== null) {
      g.strokeStyle = ink("--soft"); g.lineWidth = 1; g.beginPath(); g.moveTo(X(xs[at]), top); g.lineTo(X(xs[at]), foot); g.stroke();
      for (const line of lines) {
        const v = scale(line.soft[at]);
        if (v === null) continue;
        g.fillStyle = colour(line.i); g.beginPath(); g.arc(X(xs[at]), Y(v), 3.5, 0, 7); g.fill();
      }
    }
    g.restore();
    root.dataset[plot.drawn] = Number(root.dataset[plot.drawn] || 0) + lines.length;
  };

  const redraw = (plot, at) => {
    root.dataset[plot.drawn] = 0;
    for (const pane of plot.panes) draw(plot, pane.canvas, pane.lines(), at);
  };
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; if (xs[mid] < x) low = mid; else high = mid; }
    return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
  };
  const hover = (plot, pane, event) => {
    const box = pane.canvas.getBoundingClientRect(), g = pane.canvas.geometry, tip = plot.tip;
    if (!g) return;
    const at = nearest(plot.x, g.first + (event.clientX - box.left - g.left) / (g.right - g.left) * g.span);
    redraw(plot, at);
    tip.replaceChildren(Object.assign(document.createElement("strong"), {textContent: plot.unit + words(plot.x[at])}));
    for (const line of pane.lines()) {
      const entry = document.createElement("div"), mark = document.createElement("i");
      mark.style.background = colour(line.i);
      entry.append(mark, Object.assign(document.createElement("span"), {textContent: line.name}),
        Object.assign(document.createElement("b"), {textContent: words(line.soft[at])}));
      tip.append(entry);
    }
    tip.hidden = false;
    const outer = plot.box.getBoundingClientRect(), x = event.clientX - outer.left;
    tip.style.left = Math.max(0, x + tip.offsetWidth + 22 < outer.width ? x + 16 : x - tip.offsetWidth - 16) + "px";
    tip.style.top = box.top - outer.top + 12 + "px";
  };
  const ROWS = 50;                                      // of a table of values, at most
  const rows_of = count => {                            // evenly spread, the last among them
    const every = Math.ceil(count / ROWS) || 1, found = [];
    for (let at = count - 1; at >= 0; at -= every) found.unshift(at);
    return [found, every];
  };
  const tabulate = plot => {                            // the values of what is drawn, in a table that folds
    const box = plot.values;
    if (!box || !box.open) return;
    const lines = plot.panes.flatMap(pane => pane.lines()), [found, every] = rows_of(plot.x.length);
    const cell = (tag, text, scope) => Object.assign(document.createElement(tag), {textContent: text, ...(scope ? {scope} : {})});
    const row = (first, rest, tag) => {
      const element = document.createElement("tr");
      element.append(cell("th", first, tag === "th" ? "col" : "row"), ...rest.map(text => cell(tag, text, tag === "th" ? "col" : "")));
      return element;
    };
    const table = Object.assign(document.createElement("table"), {className: "scores"});
    const head = table.createTHead(), body = table.createTBody();
    head.append(row(plot.unit.trim(), lines.map(line => line.name), "th"));
    for (const at of found) body.append(row(words(plot.x[at]), lines.map(line => words(line.raw[at])), "td"));
    box.querySelector(".scroll").replaceChildren(table);
    box.querySelector("p").textContent = every > 1 ? `one in ${every} of ${plot.x.length.toLocaleString("en")} points, the last among them` : "";
  };
  const leave = plot => { plot.tip.hidden = true; redraw(plot, null); };
  const show = (plot, groups, about) => {               // a pane for each group of lines; those of a function may change
    plot.box.querySelectorAll("div.pane").forEach(p => p.remove());
    plot.panes = groups.map(lines => {
      const pane = {canvas: document.createElement("canvas"), lines: typeof lines === "function" ? lines : () => lines};
      const box = Object.assign(document.createElement("div"), {className: "pane"});
      pane.canvas.setAttribute("role", "img");
      pane.canvas.setAttribute("aria-label", about + ": " + pane.lines().map(s => s.name).join(", "));
      if (typeof lines !== "function") box.append(Object.assign(document.createElement("h3"), {textContent: lines[0].name}));
      box.append(pane.canvas);
      plot.box.append(box);
      pane.canvas.addEventListener("pointermove", event => hover(plot, pane, event));
      pane.canvas.addEventListener("pointerdown", event => hover(plot, pane, event));
      pane.canvas.addEventListener("pointerleave", () => leave(plot));
      return pane;
    });
    redraw(plot, null);
    tabulate(plot);
  };

  const folds = box => {                                // open, or not, as the reader left it
    box.hidden = false;
    box.open = view.open.includes(box.id);
    box.addEventListener("toggle", () => {
      view.open = [...view.open.filter(id => id !== box.id), ...(box.open ? [box.id] : [])];
      keep();
    });
  };
  const folding = plot => {
    if (!plot.values) return;
    plot.values.addEventListener("toggle", () => tabulate(plot));
    folds(plot.values); tabulate(plot);
  };

  const build = () => {
    for (const s of series) s.soft = view.smooth > 0 ? smooth(s.raw, view.smooth) : s.raw;
    charts.classList.toggle("apart", view.apart);
    show(losses, view.apart ? shown().map(s => [s]) : [shown], "losses over epochs");
    keep();
  };
  const relabel = () => {
    const held = [...legend.children].indexOf(document.activeElement);
    legend.replaceChildren(...series.map(s => {
      const item = document.createElement("button"), mark = document.createElement("i");
      item.type = "button";
      const levels = Object.entries(s.levels).map(([name, v]) => name + " " + words(v)).join(", ");
      item.title = "show or hide; with Shift, or by a double click, this one alone" + (levels && "; " + levels);
      item.setAttribute("aria-pressed", String(!view.hidden.includes(s.name)));
      mark.style.background = colour(s.i);
      item.append(mark, Object.assign(document.createElement("span"), {textContent: s.name}),
        Object.assign(document.createElement("output"), {textContent: words(s.raw.findLast(v => v !== null))}));
      item.addEventListener("click", event => {
        const others = series.map(o => o.name).filter(n => n !== s.name);
        if (event.detail === 2 || event.shiftKey) view.hidden = others.every(n => view.hidden.includes(n)) ? [] : others;
        else view.hidden = view.hidden.includes(s.name) ? view.hidden.filter(n => n !== s.name) : [...view.hidden, s.name];
        relabel(); build();
      });
      return item;
    }));
    if (held >= 0) legend.children[held].focus();
  };
  if (series.length && data.x.length) {
    const slider = find("smooth"), bind = (id, key) => {
      find(id).checked = view[key];
      find(id).addEventListener("change", event => { view[key] = event.target.checked; build(); });
    };
    slider.value = view.smooth;
    slider.addEventListener("input", () => { view.smooth = Number(slider.value); build(); });
    bind("log", "log"); bind("apart", "apart");
    relabel(); build(); folding(losses);
    new ResizeObserver(() => redraw(losses, null)).observe(charts);
    dark.addEventListener("change", () => { relabel(); redraw(losses, null); });
  }

  const judged = data.evaluations;
  if (judged && judged.x) {
    const plot = {box: find("evaluations"), values: find("evaluation_values"), tip: find("evaluation_tip"), x: judged.x, unit: "step ", log: () => false,
      panes: [], drawn: "evaluated", points: true};
    const lines = Object.entries(judged.y).map(([name, raw]) => ({name, i: 0, raw, soft: raw, levels: {}, best: judged.best}));
    show(plot, lines.map(line => [line]), "evaluations over steps");
    folding(plot);
    new ResizeObserver(() => redraw(plot, null)).observe(plot.box);
    dark.addEventListener("change", () => redraw(plot, null));
  }

  const options = find("options"), pill = find("state"), age = find("age"), pause = find("pause");
  for (const box of [options, find("rate_values")]) if (box) folds(box);
  const tick = () => {
    const s = Math.max(0, Date.now() / 1000 - data.updated);
    age.textContent = s < 90 ? Math.round(s) + " s ago" : s < 5400 ? Math.round(s / 60) + " min ago"
      : s < 172800 ? Math.round(s / 3600) + " h ago" : Math.round(s / 86400) + " days ago";
    if (data.state === "running" && s > data.silence) { pill.textContent = "no news"; pill.className = "pill silent"; }
  };
  tick(); setInterval(tick, 5000);

  // Whoever reads with the keyboard goes on where they were: by id, by address, or by place in the legend.
  const place_of = element => element.id ? "#" + CSS.escape(element.id)
    : element.matches("a[href]") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]`
    : element.matches("summary") ? `#${CSS.escape(element.parentElement.id)} > summary`
    : element.parentElement === legend ? `#legend > :nth-child(${[...legend.children].indexOf(element) + 1})` : null;
  if (data.state === "running") {
    const again = () => {
      if (document.hidden || view.paused || document.querySelector("dialog[open]")) return setTimeout(again, 2000);
      view.scroll = scrollY; view.focus = place_of(document.activeElement); keep(); location.reload();
    };
    setTimeout(again, data.refresh * 1000);
    const name = () => { pause.textContent = view.paused ? "resume updates" : "pause updates"; };
    pause.hidden = false; name();
    pause.addEventListener("click", () => { view.paused = !view.paused; keep(); name(); });
  }
  if (view.focus) { document.querySelector(view.focus)?.focus({preventScroll: true}); view.focus = null; keep(); }
  if (view.scroll !== null) { scrollTo(0, view.scroll); view.scroll = null; keep(); }
  root.dataset.page = "ready";
})();
