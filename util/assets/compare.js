"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent), {curves, wall} = data;
  const root = document.documentElement, find = id => document.getElementById(id);
  const make = (tag, fields = {}, ...inside) => { const e = Object.assign(document.createElement(tag), fields); e.append(...inside); return e; };
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];    // ten colours, then the same ones in other patterns
  const pattern = i => Math.floor(i / 10) % DASHES.length;
  const swatch = i => {
    const mark = make("i", {className: `swatch p${pattern(i)}`});
    mark.style.setProperty("--own", `var(--v${i % 10})`);
    return mark;
  };
  const ink = name => getComputedStyle(root).getPropertyValue(name).trim();
  const picked = (name, act) => document.querySelectorAll(`input[name=${name}]`).forEach(i => i.addEventListener("change", () => act(i.value)));
  const number = v => v === null || v === undefined ? "\u2013" : Math.abs(v) >= 1e5 || (v && Math.abs(v) < 1e-3)
    ? v.toExponential(2) : String(+v.toPrecision(4));

  // The table: a click sorts, best first where a direction is known by the arrow; what has no value stays last.
  const table = find("table"), body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = column === 0 || head.dataset.arrow !== "\u2191" ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending", was = head.getAttribute("aria-sort");
    const now = was === first ? other : first, sign = now === "ascending" ? 1 : -1;
    for (const h of table.tHead.rows[0].cells) h.setAttribute("aria-sort", h === head ? now : "none");
    const ideal = head.dataset.arrow === "\u2192 1";     // the nearest to 1 is the best
    const key = row => {
      const v = row.cells[column].dataset.v;
      return v === undefined ? NaN : ideal ? Math.abs(v - 1) : Number(v);
    };
    body.append(...[...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
    }));
  }));
  picked("shown", value => { table.dataset.shown = value; });

  // A filter for everything that has variants: those whose names hold all of the words.
  const away = new Set(), filter = find("filter"), names = curves.variants.map(v => v.label.toLowerCase());
  const refilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    away.clear();
    names.forEach((name, i) => { if (!words.every(word => name.includes(word))) away.add(i); });
    for (const row of body.rows) row.hidden = away.has(Number(row.cells[0].dataset.v));
    for (const row of document.querySelectorAll("table.which tr")) [...row.cells].slice(1).forEach((cell, i) => { cell.hidden = away.has(i); });
    find("found").textContent = words.length ? `${names.length - away.size} of ${names.length}` : "";
    document.dispatchEvent(new Event("filtered"));
  };
  if (filter) filter.addEventListener("input", refilter);

  // Curves: thin lines are runs, thick ones the mean of a variant's runs over the steps that all of them have.
  const canvas = find("chart"), legend = find("legend"), tip = find("tip"), hidden = new Set();
  const view = {kind: "", name: "", axis: "steps", smooth: 0.8, log: false};
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
    const part = run[view.kind], values = part.y[view.name], scale = view.axis === "hours" ? run.pace : 1;
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
    canvas.geometry = {left, right, first, span};
    g.lineWidth = 1; g.textBaseline = "middle"; g.textAlign = "right";
    for (const v of labels) {
      g.strokeStyle = ink("--line"); g.beginPath(); g.moveTo(left, Math.round(Y(v)) + 0.5); g.lineTo(right, Math.round(Y(v)) + 0.5); g.stroke();
      g.fillStyle = ink("--soft"); g.fillText(text(v), left - 7, Y(v));
    }
    g.textBaseline = "alphabetic";
    const unit = view.axis === "hours" ? " h" : "";
    for (const v of ticks(first, last, Math.max(2, Math.min(9, (right - left) / 95)))) {
      g.textAlign = X(v) > right - 26 ? "right" : X(v) < left + 10 ? "left" : "center";
      g.fillText(view.axis === "hours" ? number(v) + unit : v.toLocaleString("en"), X(v), H - 7);
    }
    g.save(); g.beginPath(); g.rect(left, top - 4, right - left + 4, foot - top + 8); g.clip();
    const path = (points, alpha, width, i) => {
      g.setLineDash(DASHES[pattern(i)]); g.globalAlpha = alpha; g.lineWidth = width; g.strokeStyle = ink(`--v${i % 10}`); g.lineJoin = "round"; g.beginPath();
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
      if (s.lines.length > 1) for (const line of s.lines) path(line.points, 0.4, 1, s.i);
      else if (view.kind === "losses" && view.smooth > 0) path(s.lines[0].raw, 0.18, 1, s.i);
    }
    for (const s of shown) {
      const colour = ink(`--v${s.i % 10}`);
      path(s.mean.points, 1, 2.2, s.i);
      if (view.kind === "evaluations") {
        if (s.mean.points.length < 40) for (const [x, v] of s.mean.points) dot(x, v, 2.4, colour, true);
        for (const line of s.lines) if (!line.failed && line.best !== null && at(line, line.best) !== null) dot(line.best, at(line, line.best), 4.6, colour, false);
      }
    }
    for (const s of shown) for (const line of s.lines) if (line.failed) {  // a cross where it ended
      const [x, value] = line.points[line.points.length - 1], v = scale(value);
      if (v === null) continue;
      g.strokeStyle = ink(`--v${s.i % 10}`); g.lineWidth = 2; g.beginPath();
      for (const k of [-1, 1]) { g.moveTo(X(x) - 5, Y(v) - 5 * k); g.lineTo(X(x) + 5, Y(v) + 5 * k); }
      g.stroke();
    }
    if (mark !== null) {
      g.strokeStyle = ink("--soft"); g.lineWidth = 1; g.beginPath(); g.moveTo(X(mark), top); g.lineTo(X(mark), foot); g.stroke();
      for (const s of shown) { const v = at(s.mean, mark); if (v !== null) dot(mark, v, 3.4, ink(`--v${s.i % 10}`), true); }
    }
    g.restore();
  };
  const hover = event => {
    const box = canvas.getBoundingClientRect(), g = canvas.geometry;
    if (!g) return;
    const free = g.first + Math.min(1, Math.max(0, (event.clientX - box.left - g.left) / (g.right - g.left))) * g.span;
    const all = shown.flatMap(s => s.mean.points.map(p => p[0]));
    const x = all.reduce((a, b) => Math.abs(b - free) < Math.abs(a - free) ? b : a, all[0]);  // the nearest point of any line
    draw(x);
    const where = view.axis === "hours" ? number(x) + " h" : "step " + Math.round(x).toLocaleString("en");
    tip.replaceChildren(make("strong", {textContent: where}));
    const rows = shown.map(s => ({...s, v: at(s.mean, x)})).filter(s => s.v !== null);
    for (const s of rows.sort((a, b) => b.v - a.v)) {   // in the order in which the lines lie
      const mark = swatch(s.i), all = s.lines.map(l => at(l, x)).filter(v => v !== null);
      const ends = all.length > 1 ? ` (${number(Math.min(...all))} \u2013 ${number(Math.max(...all))})` : "";
      tip.append(make("div", {}, mark, make("span", {textContent: s.label}), make("b", {textContent: number(s.v)}), ends));
    }
    tip.hidden = false;
    const x0 = event.clientX - box.left;
    tip.style.left = Math.max(0, x0 + tip.offsetWidth + 22 < box.width ? x0 + 16 : x0 - tip.offsetWidth - 16) + "px";
    tip.style.top = "12px";
  };
  const about = () => {
    const way = {lower: "lower is better", higher: "higher is better", one: "1 is best"}[curves.better[view.name]];
    const runs = Math.max(0, ...shown.map(s => s.lines.length));
    const parts = [`${view.name}${way && view.kind === "evaluations" ? ", " + way : ""}.`];
    if (runs > 1) parts.push("Thick: the mean over seeds; thin: each run.");
    else if (view.kind === "losses" && view.smooth > 0) parts.push("Faint: before smoothing.");
    if (view.kind === "evaluations" && shown.some(s => s.lines.some(l => l.best !== null))) parts.push("Rings: where a run was best.");
    if (shown.some(s => s.lines.some(l => l.failed))) parts.push("Crosses: where a run failed; the mean is of the others.");
    if (view.axis === "hours") parts.push("Hours of training without evaluations, as if each step of a run took equally long.");
    const none = curves.variants.filter((_, i) => !hidden.has(i) && !away.has(i) && !shown.some(s => s.i === i)).map(v => v.label);
    if (none.length) parts.push(`Without it: ${none.join(", ")}.`);
    find("about").textContent = parts.join(" ");
    canvas.setAttribute("aria-label", `${view.name} over ${view.axis} of ${shown.map(s => s.label).join(", ")}`);
  };
  const box = find("values"), ROWS = 50;                // the values of the lines, in a table that folds
  const tabulate = () => {
    if (!box || !box.open) return;
    const all = [...new Set(shown.flatMap(s => s.mean.points.map(p => p[0])))].sort((a, b) => a - b), every = Math.ceil(all.length / ROWS) || 1;
    const xs = all.filter((_, i) => (all.length - 1 - i) % every === 0), unit = view.axis === "hours" ? "hours" : "step";
    const head = make("tr", {}, ...[unit, ...shown.map(s => s.label)].map(text => make("th", {scope: "col", textContent: text})));
    const rows = xs.map(x => make("tr", {}, make("th", {scope: "row", textContent: view.axis === "hours" ? number(x) : Math.round(x).toLocaleString("en")}),
      ...shown.map(s => make("td", {textContent: number(at(s.mean, x))}))));
    box.querySelector(".scroll").replaceChildren(make("table", {className: "scores"}, make("thead", {}, head), make("tbody", {}, ...rows)));
    box.querySelector("p").textContent = `${view.name}, the mean over seeds${every > 1 ? `; one in ${every} of ${all.length.toLocaleString("en")} points, the last among them` : ""}`;
  };
  const redraw = () => { collect(); about(); draw(); tabulate(); };
  const relabel = () => legend.replaceChildren(...curves.variants.map((variant, i) => {
    const mark = swatch(i), item = make("button", {type: "button", title: "show or hide; with Shift, or by a double click, this one alone"},
      mark, make("span", {textContent: variant.label}));
    item.hidden = away.has(i);
    item.setAttribute("aria-pressed", String(!hidden.has(i)));
    item.addEventListener("click", event => {
      const others = curves.variants.map((_, k) => k).filter(k => k !== i), alone = others.every(k => hidden.has(k)) && !hidden.has(i);
      if (event.detail === 2 || event.shiftKey) { hidden.clear(); if (!alone) others.forEach(k => hidden.add(k)); }
      else if (!hidden.delete(i)) hidden.add(i);
      relabel(); redraw();
      legend.children[i].focus();
    });
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
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; draw(); });
    choice.value = 0;
    box.hidden = false;
    box.addEventListener("toggle", tabulate);
    relabel(); choose();
    document.addEventListener("filtered", () => { relabel(); redraw(); });
    new ResizeObserver(() => draw()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  }

  // Images: a row for each input; every column shows the same place.
  const grid = find("wall");
  if (grid) {
    const seeds = Object.keys(wall.seeds).sort((a, b) => a - b), state = {seed: seeds[0], which: wall.which[0], row: 0, column: 0};
    const rows_of = () => wall.seeds[state.seed];       // {items, input, truth, variants}
    const given = seeds.some(s => wall.seeds[s].input), known = seeds.some(s => wall.seeds[s].truth);
    const columns = () => [
      ...(given ? [{label: "input", places: rows_of().input}] : []),
      ...rows_of().variants.map((places, i) => ({label: wall.labels[i], i, places: places[state.which]})).filter(c => !away.has(c.i)),
      ...(known ? [{label: "truth", places: rows_of().truth, apart: true}] : []),
    ];
    const small = Math.max(...wall.sizes.map(s => Math.max(...s))) <= 96;  // pixels; enlarged in squares, not smoothed
    const picture = (image, place) => { image.src = wall.pictures[place]; image.className = Math.max(...wall.sizes[place]) <= 128 ? "pixels" : ""; };
    const fill = () => {
      const all = columns(), head = make("tr", {}, make("td"));
      for (const c of all) {
        const th = make("th", {scope: "col", className: (c.i === undefined ? "plain" : "") + (c.apart ? " apart" : "")});
        if (c.i !== undefined) { const mark = swatch(c.i); mark.style.marginRight = "5px"; th.append(mark); }
        th.append(c.label);
        head.append(th);
      }
      const rows = rows_of().items.map((item, r) => {
        const row = make("tr", {}, make("th", {scope: "row", textContent: item, title: item}));
        all.forEach((c, k) => {
          const place = c.places ? c.places[r] : null, cell = make("td", {className: c.apart ? "apart" : ""});
          if (place === null || place === undefined) cell.append(make("div", {className: "none", textContent: c.places ? "none" : r ? "" : "no images"}));
          else {
            const image = make("img", {alt: `${item}: ${c.label}`, decoding: "async", width: wall.sizes[place][0], height: wall.sizes[place][1]});
            picture(image, place);
            const button = make("button", {type: "button"}, image);
            button.addEventListener("click", () => open(r, k));
            cell.append(button);
          }
          row.append(cell);
        });
        return row;
      });
      grid.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
    };
    const size = find("size"), natural = Math.max(...wall.sizes.map(s => s[0]));
    if (small) { size.min = natural; size.step = natural; size.max = natural * Math.max(2, Math.floor(384 / natural)); size.value = natural * Math.max(1, Math.round(112 / natural)); }
    const resize = () => grid.style.setProperty("--size", size.value + "px");
    size.addEventListener("input", resize);
    picked("seed", value => { state.seed = value; fill(); });
    picked("which", value => { state.which = value; fill(); });

    // Enlarged: arrows step through models and inputs; while it is held, the truth lies in the same place.
    const large = make("img", {draggable: false}), caption = make("p", {id: "enlarged"}), names = make("div", {className: "names"});
    const button = (text, title, act) => {
      const b = make("button", {type: "button", textContent: text, title});
      b.setAttribute("aria-label", title); b.addEventListener("click", act);
      return b;
    };
    const place = () => { const c = columns()[state.column]; return c.places ? c.places[state.row] : null; };
    const there = (r, k) => { const c = columns()[k]; return c && c.places && c.places[r] !== null && c.places[r] !== undefined; };
    const show = () => {
      const all = columns(), c = all[state.column], seed = c.i !== undefined && seeds.length > 1 ? `, seed ${state.seed}` : "";
      const which = c.i !== undefined && wall.which.length > 1 ? `, ${data.words[state.which]}` : "";
      picture(large, place());
      large.alt = caption.textContent = `${rows_of().items[state.row]}  \u00b7  ${c.label}${seed}${which}`;
      const held = [...names.children].indexOf(document.activeElement);
      names.replaceChildren(...all.map((o, k) => {
        const b = button(o.label, o.label, () => { state.column = k; show(); });
        b.setAttribute("aria-pressed", String(k === state.column)); b.disabled = !there(state.row, k);
        return b;
      }));
      if (held >= 0) names.children[held].focus();
    };
    const step = (down, across) => {
      const rows = rows_of().items.length, count = columns().length;
      let {row, column} = state;
      for (let tries = 0; tries < Math.max(rows, count); tries++) {
        row = (row + down + rows) % rows; column = (column + across + count) % count;
        if (there(row, column)) { state.row = row; state.column = column; return show(); }
      }
    };
    const hold = on => {
      const truth = rows_of().truth && rows_of().truth[state.row];
      if (!on) show();
      else if (truth !== null && truth !== undefined) { picture(large, truth); caption.textContent = `${rows_of().items[state.row]}  \u00b7  truth`; }
    };
    const dialog = make("dialog", {tabIndex: -1}, large, make("footer", {}, names,
      button("\u2190", "model before", () => step(0, -1)), button("\u2191", "row above", () => step(-1, 0)), caption,
      button("\u2193", "row below", () => step(1, 0)), button("\u2192", "next model", () => step(0, 1)),
      button("\u00d7", "close", () => dialog.close())));
    const open = (row, column) => { Object.assign(state, {row, column}); show(); dialog.showModal(); dialog.focus(); };
    dialog.setAttribute("aria-labelledby", caption.id); caption.setAttribute("aria-live", "polite");
    document.body.append(dialog);
    dialog.addEventListener("close", () => grid.tBodies[0].rows[state.row].cells[state.column + 1].querySelector("button").focus());
    large.addEventListener("pointerdown", () => hold(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) large.addEventListener(end, () => hold(false));
    large.addEventListener("contextmenu", event => event.preventDefault());
    dialog.addEventListener("keydown", event => {
      const act = {ArrowLeft: () => step(0, -1), ArrowRight: () => step(0, 1), ArrowUp: () => step(-1, 0), ArrowDown: () => step(1, 0)}[event.key];
      if (act) { event.preventDefault(); act(); }
      if (event.key === "t" && !event.repeat) hold(true);
    });
    dialog.addEventListener("keyup", event => { if (event.key === "t") hold(false); });
    document.addEventListener("filtered", fill);
    fill(); resize();
  }
  root.dataset.page = "ready";
})();
