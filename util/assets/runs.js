"use strict";
(() => {
  const table = document.getElementById("table"), rows = [...table.tBodies[0].rows];
  sorted(table);

  // Rows that hold all of the words, as --filter takes them; an option counts with its name and as a whole, so ngf=8 is
  // not ngf=80. Further options say their names themselves.
  const filter = document.getElementById("filter"), found = document.getElementById("found");
  const isNamed = (head, i) => head.querySelector("button") && i && /\b(option|text)\b/.test(head.className);
  const heads = [...table.tHead.rows[0].cells].map((head, i) => isNamed(head, i) ? head.textContent.trim() + "=" : "");
  const texts = rows.map(row => [...row.cells].map((cell, i) => heads[i] + cell.textContent).join(" ").toLowerCase() + " ");
  const names = rows.map(row => row.cells[0].textContent.toLowerCase());  // which may hold such a sign too
  const refilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = (i, word) => texts[i].includes(/=./.test(word) ? ` ${word} ` : word) || names[i].includes(word);
    rows.forEach((row, i) => { row.hidden = !words.every(word => holds(i, word)); });
    found.textContent = words.length ? `${rows.filter(row => !row.hidden).length} of ${rows.length}` : "";
  };
  filter.addEventListener("input", refilter);
  if (filter.value) refilter();                         // a browser that comes back keeps what was typed
})();
