"use strict";
// The table: a click sorts, best first where a direction is known by the arrow; what has no value stays last.
(() => {
  const {data, find, picked, away} = page, table = find("table"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].filter(row => row.cells[0].dataset.v !== undefined), titles = [...body.rows].filter(row => row.dataset.family !== undefined);
  const index = row => Number(row.cells[0].dataset.v), family = row => data.curves.variants[index(row)].family;
  const folded = new Set();
  let within = titles.length > 0, order = rows;
  const arrange = () => {
    body.append(...(within ? titles.flatMap((title, k) => [title, ...order.filter(row => family(row) === k)]) : [...titles, ...order]));
    for (const row of rows) row.hidden = away.has(index(row)) || (within && folded.has(family(row)));
    titles.forEach((title, k) => {
      title.hidden = !within || rows.every(row => family(row) !== k || away.has(index(row)));
      title.querySelector("button").setAttribute("aria-expanded", String(!folded.has(k)));
    });
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = column === 0 || head.dataset.arrow !== "\u2191" ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending", was = head.getAttribute("aria-sort");
    const now = was === first ? other : first, sign = now === "ascending" ? 1 : -1;
    for (const h of heads) h.setAttribute("aria-sort", h === head ? now : "none");
    const ideal = head.dataset.arrow === "\u2192 1";     // the nearest to 1 is the best
    const key = row => {
      const v = row.cells[column].dataset.v;
      return v === undefined ? NaN : ideal ? Math.abs(v - 1) : Number(v);
    };
    order = [...order].sort((a, b) => {
      const x = key(a), y = key(b);
      return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
    });
    arrange();
  }));
  titles.forEach((title, k) => title.querySelector("button").addEventListener("click", () => { if (!folded.delete(k)) folded.add(k); arrange(); }));
  picked("shown", value => { table.dataset.shown = value; });
  picked("sorted", value => { within = value === "within"; arrange(); });
  document.addEventListener("filtered", arrange);
})();
