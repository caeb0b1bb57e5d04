// The curves of several runs, of which data.js tells: compareRuns(["run", ...]), then
// compare({"name": ..., "lines": {"run": [[images, value], ...]}}) for each chart.
"use strict";

const charts = [];
let runs = [];

function compareRuns(names) {
  runs = names;
}

function compare(chart) {
  charts.push(chart);
}

function draw() {
  const box = document.getElementById("charts");
  box.replaceChildren();
  const places = charts.map((chart, index) => {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const place = document.createElement("div");
    figure.className = "metric";
    caption.textContent = chart.name;
    place.className = "chart";
    place.id = `chart-${index}`;
    figure.append(caption, place);
    box.append(figure);
    return place;
  });
  // How wide a place is shows when all are there.
  charts.forEach((chart, index) => {
    const lines = Object.entries(chart.lines).map(([run, points]) => ({
      points,
      means: [],
      color: `var(--line-${(runs.indexOf(run) % 8) + 1})`,
      dashed: runs.indexOf(run) >= 8,
    }));
    drawChart(places[index], { lines, label: "images", log: false, height: 220 });
  });
}

window.addEventListener("resize", draw);
document.addEventListener("DOMContentLoaded", draw); // data.js has been read by then
