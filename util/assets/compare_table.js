"use strict";
// The table: sorted within families or over all of them, which fold; what is away is hidden.
(() => {
  const {data, find, picked, away} = page, table = find("table"), body = table.tBodies[0];
  const rows = [...body.rows].filter(row => row.cells[0].dataset.v !== undefined), titles = [...body.rows].filter(row => row.dataset.family !== undefined);
  const index = row => Number(row.cells[0].dataset.v), family = row => data.curves.variants[index(row)].family;
  const folded = new Set();
  let within = titles.length > 0, order = rows, named = true;
  const arrange = () => {
    const turns = named ? [...new Set(order.map(family))] : [...titles.keys()];  // by name, families turn round too
    body.append(...(within ? turns.flatMap(k => [titles[k], ...order.filter(row => family(row) === k)]) : [...titles, ...order]));
    for (const row of rows) row.hidden = away.has(index(row)) || (within && folded.has(family(row)));
    titles.forEach((title, k) => {
      title.hidden = !within || rows.every(row => family(row) !== k || away.has(index(row)));
      title.querySelector("button").setAttribute("aria-expanded", String(!folded.has(k)));
    });
  };
  sorted(table, [...rows], (found, column) => { order = found; named = column === 0; arrange(); });
  titles.forEach((title, k) => title.querySelector("button").addEventListener("click", () => { if (!folded.delete(k)) folded.add(k); arrange(); }));
  picked("shown", value => { table.dataset.shown = value; });
  picked("sorted", value => { within = value === "within"; arrange(); });
  document.addEventListener("filtered", arrange);
})();
