"use strict";
// Images: a row for each input, a row for each method, or one input through all methods.
(() => {
  const {data, find, make, swatch, picked, away} = page, {wall, curves} = data, grid = find("wall"), one = find("one");
  if (!grid) return;
  const seeds = Object.keys(wall.seeds).sort((a, b) => a - b);
  const state = {seed: seeds[0], which: wall.which[0], layout: grid.dataset.layout, row: 0, column: 0};
  const rows_of = () => wall.seeds[state.seed];         // {items, input, truth, variants}
  const given = seeds.some(s => wall.seeds[s].input), known = seeds.some(s => wall.seeds[s].truth);
  const columns = () => [
    ...(given ? [{label: "input", places: rows_of().input}] : []),
    ...rows_of().variants.map((places, i) => ({label: wall.labels[i], i, places: places[state.which]})).filter(c => !away.has(c.i)),
    ...(known ? [{label: "truth", places: rows_of().truth, apart: true}] : []),
  ];
  const small = Math.max(...wall.sizes.map(s => Math.max(...s))) <= 96;  // pixels; enlarged in squares, not smoothed
  const picture = (image, place) => { image.src = wall.pictures[place]; image.className = Math.max(...wall.sizes[place]) <= 128 ? "pixels" : ""; };
  const is = place => place !== null && place !== undefined;
  const none = (c, r) => make("div", {className: "none", textContent: c.places ? "none" : r ? "" : "no images"});
  const cell_of = (all, k, r) => {                      // the image of a column and an item, as a button that enlarges it
    const c = all[k], item = rows_of().items[r], place = c.places ? c.places[r] : null;
    if (!is(place)) return none(c, r);
    const image = make("img", {alt: `${item}: ${c.label}`, decoding: "async", width: wall.sizes[place][0], height: wall.sizes[place][1]});
    picture(image, place);
    const button = make("button", {type: "button"}, image);
    button.dataset.at = `${r},${k}`;
    button.addEventListener("click", () => open(r, k));
    return button;
  };
  const title = (c, tag, fields) => {
    const e = make(tag, fields);
    if (c.i !== undefined) { const mark = swatch(c.i); mark.style.marginRight = "5px"; e.append(mark); }
    e.append(c.label);
    return e;
  };
  const plain = c => (c.i === undefined ? "plain" : "") + (c.apart ? " apart" : "");
  const by_input = all => [
    make("tr", {}, make("td"), ...all.map(c => title(c, "th", {scope: "col", className: plain(c)}))),
    rows_of().items.map((item, r) => make("tr", {}, make("th", {scope: "row", textContent: item, title: item}),
      ...all.map((c, k) => make("td", {className: c.apart ? "apart" : ""}, cell_of(all, k, r))))),
  ];
  const by_variant = all => [
    make("tr", {}, make("td"), ...rows_of().items.map(item => make("th", {scope: "col", textContent: item, title: item}))),
    all.map((c, k) => make("tr", {}, title(c, "th", {scope: "row", className: plain(c)}),
      ...rows_of().items.map((_, r) => make("td", {}, cell_of(all, k, r))))),
  ];

  // One input, or all images of one class: every method in one view, by families, beside the source and the truth.
  const pick = find("pick");
  const picks = () => {
    const found = new Map();
    rows_of().items.forEach((item, r) => {
      const name = given || !item.includes("/") ? item : item.slice(0, item.indexOf("/"));
      found.set(name, [...(found.get(name) || []), r]);
    });
    return [...found].map(([name, rows]) => ({name, rows}));
  };
  const repick = () => {
    const was = pick.value;
    pick.replaceChildren(...picks().map(p => make("option", {value: p.name, textContent: p.name})));
    pick.value = was;
    if (pick.selectedIndex < 0) pick.selectedIndex = 0;
  };
  const figures = all => {
    const {rows} = picks()[pick.selectedIndex];
    const figure = k => make("figure", {className: all[k].i === undefined ? "plain" : ""}, make("div", {}, ...rows.map(r => cell_of(all, k, r))),
      title(all[k], "figcaption", {}));
    const parts = [["", all.map((_, k) => k).filter(k => all[k].i === undefined)]];
    const names = wall.families.length > 1 ? wall.families : [""];
    names.forEach((name, f) => parts.push([name, all.map((_, k) => k).filter(k => all[k].i !== undefined && (names.length === 1 || curves.variants[all[k].i].family === f))]));
    return parts.filter(p => p[1].length).map(([name, ks]) =>
      make("div", {className: "family"}, ...(name ? [make("h3", {textContent: name})] : []), make("div", {className: "figures-one"}, ...ks.map(figure))));
  };
  const fill = () => {
    const all = columns(), single = state.layout === "one";
    grid.parentElement.hidden = single; one.hidden = !single; find("picker").hidden = !single;
    repick();
    if (single) { grid.replaceChildren(); one.replaceChildren(...figures(all)); return; }
    const [head, rows] = state.layout === "variants" ? by_variant(all) : by_input(all);
    grid.dataset.layout = state.layout;
    one.replaceChildren();
    grid.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  };
  const move = by => { const count = pick.options.length; pick.selectedIndex = (pick.selectedIndex + by + count) % count; fill(); };
  pick.addEventListener("change", fill);
  find("before").addEventListener("click", () => move(-1));
  find("after").addEventListener("click", () => move(1));

  const size = find("size"), natural = Math.max(...wall.sizes.map(s => s[0]));
  if (small) { size.min = natural; size.step = natural; size.max = natural * Math.max(2, Math.floor(384 / natural)); size.value = natural * Math.max(1, Math.round(112 / natural)); }
  const resize = () => { for (const e of [grid, one]) e.style.setProperty("--size", size.value + "px"); };
  size.addEventListener("input", resize);
  for (const name of ["seed", "which", "layout"]) picked(name, value => { state[name] = value; fill(); });

  // Enlarged: arrows step through models and inputs; while it is held, the truth lies in the same place.
  const large = make("img", {draggable: false}), caption = make("p", {id: "enlarged"}), names = make("div", {className: "names"});
  const button = (text, title, act) => {
    const b = make("button", {type: "button", textContent: text, title});
    b.setAttribute("aria-label", title); b.addEventListener("click", act);
    return b;
  };
  const place = () => { const c = columns()[state.column]; return c.places ? c.places[state.row] : null; };
  const there = (r, k) => { const c = columns()[k]; return c && c.places && is(c.places[r]); };
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
    else if (is(truth)) { picture(large, truth); caption.textContent = `${rows_of().items[state.row]}  \u00b7  truth`; }
  };
  const dialog = make("dialog", {tabIndex: -1}, large, make("footer", {}, names,
    button("\u2190", "model before", () => step(0, -1)), button("\u2191", "row above", () => step(-1, 0)), caption,
    button("\u2193", "row below", () => step(1, 0)), button("\u2192", "next model", () => step(0, 1)),
    button("\u00d7", "close", () => dialog.close())));
  const open = (row, column) => { Object.assign(state, {row, column}); show(); dialog.showModal(); dialog.focus(); };
  dialog.setAttribute("aria-labelledby", caption.id); caption.setAttribute("aria-live", "polite");
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    if (state.layout === "one") { pick.selectedIndex = picks().findIndex(p => p.rows.includes(state.row)); fill(); }
    document.querySelector(`button[data-at="${state.row},${state.column}"]`).focus();
  });
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
})();
document.documentElement.dataset.page = "ready";
