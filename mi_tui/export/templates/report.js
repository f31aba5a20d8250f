"use strict";
// Hover, toggles and sorting of the report. Without this script every number is still there.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const show = (words, event) => {
    tip.textContent = words;
    tip.hidden = !words;
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement;
    const left = event.clientX + 14 + width > room.clientWidth ? event.clientX - width - 14 : event.clientX + 14;
    const top = event.clientY + 14 + height > room.clientHeight ? event.clientY - height - 14 : event.clientY + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  };

  for (const svg of all("svg[data-hover]")) {
    const stops = JSON.parse(svg.dataset.hover);
    for (const title of all(".point > title", svg)) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();  // or the browser would show it beside ours
    }
    svg.addEventListener("pointermove", (event) => {
      const point = event.target.closest(".point");
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const near = stops.length && stops.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
      const words = near && Math.abs(near[0] - at) < 12 ? near[1] : "";
      show(point ? point.dataset.tip : words, event);
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  const toggles = document.querySelector(".toggles");
  const turn = (button, on) => {
    button.setAttribute("aria-pressed", String(on));
    for (const part of all(`[data-row="${button.dataset.row}"]:not(button)`)) part.classList.toggle("off", !on);
  };
  if (toggles) {
    const buttons = all("button[data-row]", toggles);
    for (const button of buttons) {
      button.addEventListener("click", () => turn(button, button.getAttribute("aria-pressed") === "false"));
    }
    const every = toggles.querySelector("button:not([data-row])");
    every.addEventListener("click", () => {
      const hidden = buttons.some((button) => button.getAttribute("aria-pressed") === "false");
      for (const button of buttons) turn(button, hidden);
    });
    toggles.hidden = false;
  }

  for (const table of all("table.results")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const value = (row, column) => Number(row.dataset.order.split(" ")[column]);
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        body.append(...[...rows].sort((a, b) => sign * (value(a, column) - value(b, column))));
      });
    });
  }
})();
