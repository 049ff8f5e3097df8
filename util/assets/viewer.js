"use strict";
// An image that is clicked, or entered, fills the window; arrows step through the images of its row and through the rows.
(() => {
  const make = (tag, fields = {}, ...inside) => { const e = Object.assign(document.createElement(tag), fields); e.append(...inside); return e; };
  const image = make("img"), caption = make("p", {id: "enlarged"});
  let current = null;                                   // the figure that is shown
  const rows = () => [...document.querySelectorAll(".row")];
  const figures = row => [...row.querySelectorAll("figure")].filter(f => f.querySelector("a"));
  const label = figure => figure.querySelector("figcaption").textContent;
  const heading = figure => (figure.closest(".group") || figure.closest(".row")).querySelector("h3, h4").textContent;

  const say = more => { caption.textContent = image.alt = heading(current) + "  \u00b7  " + label(current) + more; };
  const show = figure => {
    current = figure;
    image.src = figure.querySelector("a").href;
    say("");
  };
  const across = by => {
    const all = figures(current.closest(".row"));
    show(all[(all.indexOf(current) + by + all.length) % all.length]);
  };
  const down = by => {
    const all = rows(), column = label(current);
    for (let at = all.indexOf(current.closest(".row")) + by; at >= 0 && at < all.length; at += by) {
      const same = figures(all[at]).find(f => label(f) === column);
      if (same) { same.scrollIntoView({block: "nearest"}); return show(same); }
    }
  };
  const button = (text, title, act) => {
    const element = make("button", {type: "button", textContent: text, title});
    element.setAttribute("aria-label", title);
    element.addEventListener("click", act);
    return element;
  };
  const footer = make("footer", {}, button("\u2190", "previous column", () => across(-1)), button("\u2191", "row above", () => down(-1)),
    caption, button("\u2193", "row below", () => down(1)), button("\u2192", "next column", () => across(1)),
    button("\u00d7", "close", () => dialog.close()));
  const dialog = make("dialog", {tabIndex: -1}, image, footer);
  dialog.setAttribute("aria-labelledby", caption.id);
  caption.setAttribute("aria-live", "polite");
  document.body.append(dialog);
  image.addEventListener("click", () => dialog.close());
  image.addEventListener("error", () => {               // an input that is no longer where it was; its small copy is here
    const small = current.querySelector("img");
    if (image.src === small.src) return;
    image.src = small.src;
    say("  \u00b7  a small copy: the file is not where it was");
  });
  dialog.addEventListener("keydown", event => {
    const act = {ArrowLeft: () => across(-1), ArrowRight: () => across(1), ArrowUp: () => down(-1), ArrowDown: () => down(1)}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  dialog.addEventListener("close", () => current.querySelector("a").focus());
  document.addEventListener("click", event => {
    const anchor = event.target.closest("figure a");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show(anchor.closest("figure"));
    dialog.showModal();
    dialog.focus();
  });
  addEventListener("beforeprint", () => document.querySelectorAll("img").forEach(i => { i.loading = "eager"; }));
  document.documentElement.dataset.viewer = "ready";
})();
