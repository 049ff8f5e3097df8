"use strict";
// Heads of a table that sort it: best first where a direction is known by the arrow; what has no value stays last.
const sorted = (table, rows = [...table.tBodies[0].rows], show = order => table.tBodies[0].append(...order)) => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const first = column === 0 || head.dataset.arrow !== "\u2191" ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending", was = head.getAttribute("aria-sort");
    const now = was === first ? other : first, sign = now === "ascending" ? 1 : -1;
    for (const h of heads) if (h.hasAttribute("aria-sort")) h.setAttribute("aria-sort", h === head ? now : "none");
    const ideal = head.dataset.arrow === "\u2192 1";     // the nearest to 1 is the best
    const key = row => {
      const v = row.cells[column].dataset.v;
      return v === undefined ? NaN : ideal ? Math.abs(v - 1) : Number(v);
    };
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
    });
    show(rows, column);
  }));
};
