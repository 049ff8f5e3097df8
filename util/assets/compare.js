"use strict";
// What all parts of the page share: its data, and which variants are away. The other parts follow in one script.
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent), {curves} = data;
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

  // A filter for everything that has variants: families that are not put away, names that hold all of the words.
  const away = new Set(), without = new Set(), filter = find("filter"), variants = curves.variants;
  const families = [...document.querySelectorAll("#chips button")];
  const refilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    away.clear();
    variants.forEach((v, i) => { if (without.has(v.family) || !words.every(word => v.label.toLowerCase().includes(word))) away.add(i); });
    families.forEach((chip, k) => chip.setAttribute("aria-pressed", String(!without.has(k))));
    for (const row of document.querySelectorAll("table.options tr")) [...row.cells].slice(1).forEach((cell, i) => { cell.hidden = away.has(i); });
    for (const item of document.querySelectorAll("ul.said > li")) item.hidden = away.has(Number(item.dataset.v));
    find("found").textContent = words.length || without.size ? `${variants.length - away.size} of ${variants.length}` : "";
    document.dispatchEvent(new Event("filtered"));
  };
  // A click on one of several that are shown: it goes or comes; with Shift, or by a second click, it is left alone.
  const toggle = (event, gone, k, count) => {
    const others = [...Array(count).keys()].filter(i => i !== k), alone = others.every(i => gone.has(i)) && !gone.has(k);
    if (event.detail === 2 || event.shiftKey) { gone.clear(); if (!alone) others.forEach(i => gone.add(i)); }
    else if (!gone.delete(k)) gone.add(k);
  };
  if (filter) filter.addEventListener("input", refilter);
  families.forEach((chip, k) => chip.addEventListener("click", event => { toggle(event, without, k, families.length); refilter(); }));
  return {data, root, find, make, DASHES, pattern, swatch, ink, picked, number, away, families, toggle};
})();
