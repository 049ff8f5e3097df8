"use strict";
// Curves: thin lines are runs, thick ones the mean of a variant's runs over the steps that all of them have. Of many
// variants runs are a band, and one that is pointed at comes forward.
(() => {
  const {data, root, find, make, DASHES, pattern, swatch, ink, picked, number, away, toggle} = page, {curves, many} = data;
  const canvas = find("chart"), legend = find("legend"), tip = find("tip"), hidden = new Set();
  const LONG = {h: "Hours", min: "Minutes", s: "Seconds"};
  const view = {kind: "", name: "", axis: document.querySelector("input[name=axis]:checked")?.value, smooth: 0.8, log: false};
  const smoothed = (values, weight) => {                // exponential mean without the bias of its first points
    let mean = 0, mass = 0;
    return values.map(v => {
      if (v === null) return null;
      mean = mean * weight + v * (1 - weight); mass = mass * weight + 1 - weight;
      return mean / mass;
    });
  };
  const at = (line, x) => {                             // between its points; null before the first and after the last
    const {points} = line;
    if (!points.length || x < points[0][0] || x > points[points.length - 1][0]) return null;
    let low = 0, high = points.length - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; if (points[mid][0] <= x) low = mid; else high = mid; }
    const [a, u] = points[low], [b, v] = points[high];
    return b === a ? u : u + (v - u) * Math.min(1, (x - a) / (b - a));
  };
  const lines_of = variant => variant.runs.map(run => {
    const part = run[view.kind], values = part.y[view.name], scale = view.axis === "time" ? run.pace : 1;
    if (!values || scale === null) return {points: [], raw: []};
    const soft = view.kind === "losses" ? smoothed(values, view.smooth) : values;
    const pairs = all => part.x.map((x, i) => [x * scale, all[i]]).filter(p => p[1] !== null);
    return {points: pairs(soft), raw: pairs(values), seed: run.seed, failed: run.failed, best: run.best === null ? null : run.best * scale};
  }).filter(line => line.points.length);
  const mean_of = all => {
    const whole = all.filter(l => !l.failed), lines = whole.length ? whole : all;
    if (lines.length < 2) return lines[0] || {points: []};
    const low = Math.max(...lines.map(l => l.points[0][0])), high = Math.min(...lines.map(l => l.points[l.points.length - 1][0]));
    const xs = [...new Set(lines.flatMap(l => l.points.map(p => p[0])).concat(low, high))].filter(x => x >= low && x <= high);
    const value = x => lines.reduce((sum, l) => sum + at(l, x), 0) / lines.length;
    return {points: xs.sort((a, b) => a - b).map(x => [x, value(x)])};
  };
  const ticks = (low, high, count) => {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough)), out = [];
    const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= rough * 0.999);
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) out.push(+v.toPrecision(10));
    return out;
  };
  const decades = (low, high) => {
    const out = [], every = high - low > 2.5 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
    for (let p = Math.floor(low); p <= high; p++) for (const k of every) if (p + Math.log10(k) >= low && p + Math.log10(k) <= high) out.push(p + Math.log10(k));
    return out.length > 1 ? out : ticks(low, high, 4);
  };
  let hot = null;                                       // the variant that comes forward
  let shown = [];                                       // of the variants in the chart: {i, label, lines, mean}
  const collect = () => {
    shown = curves.variants.map((variant, i) => ({i, label: variant.label, lines: hidden.has(i) || away.has(i) ? [] : lines_of(variant)}))
      .filter(s => s.lines.length).map(s => ({...s, mean: mean_of(s.lines)}));
  };
  const draw = (mark = null) => {
    const W = canvas.clientWidth, H = canvas.clientHeight, dpr = devicePixelRatio || 1;
    if (!W) return;
    canvas.width = W * dpr; canvas.height = H * dpr; canvas.geometry = null;
    const g = canvas.getContext("2d");
    g.scale(dpr, dpr); g.font = "12px " + getComputedStyle(document.body).fontFamily;
    root.dataset.curves = shown.length;
    const scale = v => !view.log ? v : v > 0 ? Math.log10(v) : null;
    const ys = shown.flatMap(s => s.lines.flatMap(l => l.points.map(p => scale(p[1])))).filter(v => v !== null).sort((a, b) => a - b);
    if (!ys.length) { g.fillStyle = ink("--soft"); g.fillText(shown.length ? "no values above zero" : "no values", 12, 24); return; }
    const cut = view.kind === "losses" && ys.length > 200 ? Math.floor(ys.length * 0.004) : 0;  // one spike must not flatten the rest
    let low = ys[cut], high = ys[ys.length - 1 - cut];
    if (high - low < 1e-12) { low -= 0.5; high += 0.5; }
    const room = (high - low) * 0.06; low -= room; high += room;
    const xs = shown.flatMap(s => s.lines.flatMap(l => [l.points[0][0], l.points[l.points.length - 1][0]]));
    const first = Math.min(0, ...xs), last = Math.max(...xs), span = (last - first) || 1;
    const labels = view.log ? decades(low, high) : ticks(low, high, Math.max(2, H / 60));
    const text = v => number(view.log ? +(10 ** v).toPrecision(3) : v);
    const left = Math.max(...labels.map(v => g.measureText(text(v)).width)) + 12, right = W - 10, top = 8, foot = H - 26;
    const X = v => left + (v - first) / span * (right - left), Y = v => foot - (v - low) / (high - low) * (foot - top);
    canvas.geometry = {left, right, first, span, height: v => scale(v) === null ? null : Y(scale(v))};
    g.lineWidth = 1; g.textBaseline = "middle"; g.textAlign = "right";
    for (const v of labels) {
      g.strokeStyle = ink("--line"); g.beginPath(); g.moveTo(left, Math.round(Y(v)) + 0.5); g.lineTo(right, Math.round(Y(v)) + 0.5); g.stroke();
      g.fillStyle = ink("--soft"); g.fillText(text(v), left - 7, Y(v));
    }
    g.textBaseline = "alphabetic";
    const unit = view.axis === "time" ? " " + curves.unit : "";
    for (const v of ticks(first, last, Math.max(2, Math.min(9, (right - left) / 95)))) {
      g.textAlign = X(v) > right - 26 ? "right" : X(v) < left + 10 ? "left" : "center";
      g.fillText(view.axis === "time" ? number(v) + unit : v.toLocaleString("en"), X(v), H - 7);
    }
    g.save(); g.beginPath(); g.rect(left, top - 4, right - left + 4, foot - top + 8); g.clip();
    const dim = i => hot === null || hot === i ? 1 : 0.16;
    const band = s => {                                 // from the lowest run to the highest, where there are two at least
      const ends = s.mean.points.map(([x]) => [x, s.lines.map(l => at(l, x)).map(v => v === null ? null : scale(v)).filter(v => v !== null)]).filter(e => e[1].length > 1);
      if (!ends.length) return;
      g.beginPath();
      for (const [x, all] of ends) g.lineTo(X(x), Y(Math.max(...all)));
      for (const [x, all] of ends.reverse()) g.lineTo(X(x), Y(Math.min(...all)));
      g.closePath(); g.globalAlpha = (hot === s.i ? 0.3 : 0.09) * dim(s.i); g.fillStyle = ink(`--v${s.i % 10}`); g.fill(); g.globalAlpha = 1;
    };
    const path = (points, alpha, width, i) => {
      g.setLineDash(DASHES[pattern(i)]); g.globalAlpha = alpha * dim(i); g.lineWidth = width; g.strokeStyle = ink(`--v${i % 10}`); g.lineJoin = "round"; g.beginPath();
      let pen = false;
      for (const [x, value] of points) {
        const v = scale(value);
        if (v === null) { pen = false; continue; }
        if (pen) g.lineTo(X(x), Y(v)); else g.moveTo(X(x), Y(v));
        pen = true;
      }
      g.stroke(); g.globalAlpha = 1; g.setLineDash([]);
    };
    const dot = (x, value, radius, colour, filled) => {
      const v = scale(value);
      if (v === null) return;
      g.beginPath(); g.arc(X(x), Y(v), radius, 0, 7); g.fillStyle = filled ? colour : ink("--card"); g.fill();
      g.strokeStyle = colour; g.lineWidth = 1.6; g.stroke();
    };
    const floors = view.kind === "evaluations" ? Object.entries(curves.floors[view.name] || {}) : [];
    g.setLineDash([5, 5]);
    for (const [name, level] of floors) {
      const v = scale(level);
      if (v === null || v < low || v > high) continue;
      g.lineWidth = 1; g.strokeStyle = g.fillStyle = ink("--soft");
      g.beginPath(); g.moveTo(left, Y(v)); g.lineTo(right, Y(v)); g.stroke();
      g.textAlign = "right"; g.fillText(name, right - 4, Y(v) - 5);
    }
    g.setLineDash([]);
    for (const s of shown) {
      if (many && s.lines.length > 1) band(s);
      else if (s.lines.length > 1) for (const line of s.lines) path(line.points, 0.4, 1, s.i);
      else if (view.kind === "losses" && view.smooth > 0) path(s.lines[0].raw, 0.18, 1, s.i);
    }
    const forward = [...shown.filter(s => s.i !== hot), ...shown.filter(s => s.i === hot)];
    for (const s of forward) {
      const colour = ink(`--v${s.i % 10}`);
      path(s.mean.points, 1, hot === s.i ? 3 : many ? 1.7 : 2.2, s.i);
      if (view.kind === "evaluations" && dim(s.i) === 1 && (!many || hot === s.i)) {
        if (s.mean.points.length < 40) for (const [x, v] of s.mean.points) dot(x, v, 2.4, colour, true);
        for (const line of s.lines) if (!line.failed && line.best !== null && at(line, line.best) !== null) dot(line.best, at(line, line.best), 4.6, colour, false);
      }
    }
    for (const s of shown) for (const line of s.lines) if (line.failed && dim(s.i) === 1) {  // a cross where it ended
      const [x, value] = line.points[line.points.length - 1], v = scale(value);
      if (v === null) continue;
      g.strokeStyle = ink(`--v${s.i % 10}`); g.lineWidth = 2; g.beginPath();
      for (const k of [-1, 1]) { g.moveTo(X(x) - 5, Y(v) - 5 * k); g.lineTo(X(x) + 5, Y(v) + 5 * k); }
      g.stroke();
    }
    if (mark !== null) {
      g.strokeStyle = ink("--soft"); g.lineWidth = 1; g.beginPath(); g.moveTo(X(mark), top); g.lineTo(X(mark), foot); g.stroke();
      for (const s of shown) { const v = at(s.mean, mark); if (v !== null && dim(s.i) === 1) dot(mark, v, 3.4, ink(`--v${s.i % 10}`), true); }
    }
    g.restore();
  };
  const TOLD = 9;                                       // lines of the tip, where there are many variants
  const hover = event => {
    const box = canvas.getBoundingClientRect(), g = canvas.geometry;
    if (!g) return;
    const free = g.first + Math.min(1, Math.max(0, (event.clientX - box.left - g.left) / (g.right - g.left))) * g.span;
    const all = shown.flatMap(s => s.mean.points.map(p => p[0]));
    const x = all.reduce((a, b) => Math.abs(b - free) < Math.abs(a - free) ? b : a, all[0]);  // the nearest point of any line
    const rows = shown.map(s => ({...s, v: at(s.mean, x)})).filter(s => s.v !== null).sort((a, b) => b.v - a.v);  // as the lines lie
    if (many) {
      const far = s => { const y = g.height(s.v); return y === null ? Infinity : Math.abs(y - (event.clientY - box.top)); };
      const nearest = rows.reduce((a, b) => a && far(a) <= far(b) ? a : b, null);
      hot = nearest && far(nearest) < 60 ? nearest.i : null;
      mark_legend();
    }
    draw(x);
    const where = view.axis === "time" ? `${number(x)} ${curves.unit}` : "step " + Math.round(x).toLocaleString("en");
    tip.replaceChildren(make("strong", {textContent: where}));
    const middle = Math.max(0, rows.findIndex(s => s.i === hot)), start = Math.max(0, Math.min(middle - 4, rows.length - TOLD));
    const told = many ? rows.slice(start, start + TOLD) : rows;
    for (const s of told) {
      const mark = swatch(s.i), all = s.lines.map(l => at(l, x)).filter(v => v !== null);
      const ends = all.length > 1 ? ` (${number(Math.min(...all))} \u2013 ${number(Math.max(...all))})` : "";
      tip.append(make("div", {className: s.i === hot ? "hot" : ""}, mark, make("span", {textContent: s.label}), make("b", {textContent: number(s.v)}), ends));
    }
    if (told.length < rows.length) tip.append(make("div", {className: "soft", textContent: `${start} above, ${rows.length - start - told.length} below`}));
    tip.hidden = false;
    const x0 = event.clientX - box.left;
    tip.style.left = Math.max(0, x0 + tip.offsetWidth + 22 < box.width ? x0 + 16 : x0 - tip.offsetWidth - 16) + "px";
    tip.style.top = "12px";
  };
  const about = () => {
    const way = {lower: "lower is better", higher: "higher is better", one: "1 is best"}[curves.better[view.name]];
    const runs = Math.max(0, ...shown.map(s => s.lines.length));
    const parts = [`${view.name}${way && view.kind === "evaluations" ? ", " + way : ""}.`];
    if (runs > 1 && many) parts.push("Lines: the mean over seeds; bands: from the lowest run to the highest. What is pointed at, here or by its name above, comes forward.");
    else if (runs > 1) parts.push("Thick: the mean over seeds; thin: each run.");
    else if (view.kind === "losses" && view.smooth > 0) parts.push("Faint: before smoothing.");
    if (view.kind === "evaluations" && !many && shown.some(s => s.lines.some(l => l.best !== null))) parts.push("Rings: where a run was best.");
    if (shown.some(s => s.lines.some(l => l.failed))) parts.push("Crosses: where a run failed; the mean is of the others.");
    if (view.axis === "time") parts.push(`${LONG[curves.unit]} of ${curves.clock} without evaluations, as if each step of a run took equally long.`);
    const none = curves.variants.filter((_, i) => !hidden.has(i) && !away.has(i) && !shown.some(s => s.i === i)).map(v => v.label);
    if (none.length) parts.push(`Without it: ${none.join(", ")}.`);
    find("about").textContent = parts.join(" ");
    canvas.setAttribute("aria-label", `${view.name} over ${view.axis} of ${shown.map(s => s.label).join(", ")}`);
  };
  const box = find("values"), ROWS = 50;                // the values of the lines, in a table that folds
  const tabulate = () => {
    if (!box || !box.open) return;
    const all = [...new Set(shown.flatMap(s => s.mean.points.map(p => p[0])))].sort((a, b) => a - b), every = Math.ceil(all.length / ROWS) || 1;
    const xs = all.filter((_, i) => (all.length - 1 - i) % every === 0), unit = view.axis === "time" ? LONG[curves.unit].toLowerCase() : "step";
    const head = make("tr", {}, ...[unit, ...shown.map(s => s.label)].map(text => make("th", {scope: "col", textContent: text})));
    const rows = xs.map(x => make("tr", {}, make("th", {scope: "row", textContent: view.axis === "time" ? number(x) : Math.round(x).toLocaleString("en")}),
      ...shown.map(s => make("td", {textContent: number(at(s.mean, x))}))));
    box.querySelector(".scroll").replaceChildren(make("table", {className: "scores"}, make("thead", {}, head), make("tbody", {}, ...rows)));
    box.querySelector("p").textContent = `${view.name}, the mean over seeds${every > 1 ? `; one in ${every} of ${all.length.toLocaleString("en")} points, the last among them` : ""}`;
  };
  const redraw = () => { collect(); about(); draw(); tabulate(); };
  const mark_legend = () => [...legend.children].forEach((item, i) => item.classList.toggle("hot", i === hot));
  const relabel = () => legend.replaceChildren(...curves.variants.map((variant, i) => {
    const mark = swatch(i), item = make("button", {type: "button", title: "show or hide; with Shift, or by a double click, this one alone"},
      mark, make("span", {textContent: variant.label}));
    item.hidden = away.has(i);
    item.setAttribute("aria-pressed", String(!hidden.has(i)));
    item.addEventListener("click", event => {
      toggle(event, hidden, i, curves.variants.length);
      relabel(); redraw();
      legend.children[i].focus();
    });
    const bring = to => () => { if (many && !hidden.has(i)) { hot = to; mark_legend(); draw(); } };
    for (const name of ["pointerenter", "focus"]) item.addEventListener(name, bring(i));
    for (const name of ["pointerleave", "blur"]) item.addEventListener(name, bring(null));
    return item;
  }));
  if (canvas) {
    const choice = find("value"), titles = {evaluations: "evaluation while training", losses: "losses"};
    for (const kind of Object.keys(titles)) {
      const group = make("optgroup", {label: titles[kind]});
      curves.names.forEach(([k, name], i) => { if (k === kind) group.append(make("option", {value: i, textContent: name})); });
      if (group.children.length) choice.append(group);
    }
    const choose = () => {
      [view.kind, view.name] = curves.names[choice.value];
      find("smooth").disabled = view.kind !== "losses";
      redraw();
    };
    choice.addEventListener("change", choose);
    picked("axis", value => { view.axis = value; redraw(); });
    find("smooth").addEventListener("input", event => { view.smooth = Number(event.target.value); redraw(); });
    find("log").addEventListener("change", event => { view.log = event.target.checked; redraw(); });
    canvas.addEventListener("pointermove", hover);
    canvas.addEventListener("pointerdown", hover);
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; hot = null; mark_legend(); draw(); });
    choice.value = 0;
    box.hidden = false;
    box.addEventListener("toggle", tabulate);
    relabel(); choose();
    document.addEventListener("filtered", () => { relabel(); redraw(); });
    new ResizeObserver(() => draw()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  }
})();
