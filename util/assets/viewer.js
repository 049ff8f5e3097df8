"use strict";
// A click on an image shows it as large as the window; arrows step through the columns of its row and through the rows.
(() => {
  const dialog = document.createElement("dialog"), image = document.createElement("img"), caption = document.createElement("p");
  const footer = document.createElement("footer");
  let row = 0, column = "";
  const rows = () => [...document.querySelectorAll(".figures")];
  const figures = at => [...rows()[at].querySelectorAll("figure")].filter(f => f.querySelector("a"));
  const label = figure => figure.querySelector("figcaption").textContent;

  const show = figure => {
    column = label(figure);
    image.src = figure.querySelector("a").href;
    image.alt = column;
    const heading = figure.closest(".row").querySelector("h3");
    caption.textContent = heading.textContent + "  \u00b7  " + column;
  };
  const across = by => {
    const all = figures(row), at = all.findIndex(f => label(f) === column);
    show(all[(at + by + all.length) % all.length]);
  };
  const down = by => {
    for (let at = row + by; at >= 0 && at < rows().length; at += by) {
      const same = figures(at).find(f => label(f) === column);
      if (same) { row = at; same.scrollIntoView({block: "nearest"}); return show(same); }
    }
  };
  const button = (text, title, act) => {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = text;
    element.title = title;
    element.setAttribute("aria-label", title);
    element.addEventListener("click", act);
    return element;
  };
  footer.append(button("\u2190", "previous column", () => across(-1)), button("\u2191", "row above", () => down(-1)), caption,
    button("\u2193", "row below", () => down(1)), button("\u2192", "next column", () => across(1)),
    button("\u00d7", "close", () => dialog.close()));
  dialog.tabIndex = -1;
  dialog.append(image, footer);
  document.body.append(dialog);
  image.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", event => {
    const act = {ArrowLeft: () => across(-1), ArrowRight: () => across(1), ArrowUp: () => down(-1), ArrowDown: () => down(1)}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  document.addEventListener("click", event => {
    const anchor = event.target.closest("figure a");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    row = rows().indexOf(anchor.closest(".figures"));
    show(anchor.closest("figure"));
    dialog.showModal();
    dialog.focus();
  });
  addEventListener("beforeprint", () => document.querySelectorAll("img").forEach(i => { i.loading = "eager"; }));
  document.documentElement.dataset.viewer = "ready";
})();
