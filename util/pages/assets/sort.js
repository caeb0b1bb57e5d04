// Sorts what has figures: the children of each .sortable below a choice of orders, up to the next such choice.
"use strict";

// "l1": ascending by data-l1; "-l1": descending; "": as they came. Equal ones stay as they came.
function inOrder(items, order) {
  if (!order) return [...items];
  const name = order.replace(/^-/, "");
  const sign = order === name ? 1 : -1;
  const value = (item) => {
    const number = Number(item.dataset[name].replace("inf", "Infinity"));
    return Number.isNaN(number) ? sign * Infinity : number; // what is no number comes last
  };
  const known = new Map(items.map((item) => [item, value(item)]));
  return [...items].sort((a, b) => (known.get(a) === known.get(b) ? 0 : sign * (known.get(a) - known.get(b))));
}

function startSorting() {
  for (const select of document.querySelectorAll("select.order")) {
    const controls = select.closest(".controls");
    const next = controls.nextElementSibling;
    const places = next.matches(".sortable") ? [next] : [...next.querySelectorAll(".sortable")];
    const came = places.map((place) => [...place.children]);
    controls.hidden = false;
    select.onchange = () => places.forEach((place, i) => place.append(...inOrder(came[i], select.value)));
  }
}

if (typeof document !== "undefined") document.addEventListener("DOMContentLoaded", startSorting);
if (typeof module !== "undefined") module.exports = { inOrder };
