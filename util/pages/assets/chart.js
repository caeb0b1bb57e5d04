// Line charts as inline SVG. Everything above drawChart is pure and needs no browser.
"use strict";

// Round steps (1, 2 or 5 times a power of ten) that cover low..high in about `count` parts.
function niceTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

// Powers of ten between low and high; when there are few of them, their doubles and fives too.
function logTicks(low, high) {
  const ticks = [];
  const factors = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of factors) ticks.push(factor * 10 ** power);
  }
  const inside = ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  return inside.length > 1 ? inside : niceTicks(low, high, 5);
}

// A number in at most four digits: 0.512, 12.3k, 4e-5; `fixed` keeps zeros at its end, so that columns line up;
// thousands are written with a k from `kilo` on.
function formatNumber(value, fixed = false, kilo = 1e4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const short = (number) => (fixed ? number.toPrecision(4) : String(Number(number.toPrecision(4))));
  if (size >= 1e15) return value.toExponential(1);
  for (const [unit, sign] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= Math.max(unit, kilo)) return short(value / unit) + sign;
  }
  if (size === 0) return "0";
  if (size < 1e-3) return fixed ? value.toExponential(2) : Number(value.toPrecision(3)).toExponential();
  return short(value);
}

// At most `limit` points: neighbours are averaged; a gap (null) stays one unless its neighbours fill it.
function thin(points, limit) {
  const group = Math.ceil(points.length / limit);
  if (group <= 1) return points;
  const result = [];
  for (let i = 0; i < points.length; i += group) {
    const part = points.slice(i, i + group);
    const known = part.filter((point) => point[1] !== null);
    const mean = (index, list) => list.reduce((sum, point) => sum + point[index], 0) / list.length;
    result.push([mean(0, part), known.length ? mean(1, known) : null]);
  }
  return result;
}

// The span of values to draw; single spikes among many values are cut off so that they do not flatten the rest.
function valueRange(values) {
  const sorted = values.filter((value) => value !== null && Number.isFinite(value)).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const cut = sorted.length >= 50 ? 0.005 : 0;
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = [at(cut), at(1 - cut)];
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * high)];
  const margin = 0.04 * (high - low);
  return [low >= 0 && low < 0.4 * high ? 0 : low - margin, high + margin];
}

// An SVG path through the points, interrupted at nulls.
function linePath(points, toX, toY) {
  let path = "", open = false;
  for (const [x, y] of points) {
    if (y !== null) path += `${open ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
    open = y !== null;
  }
  return path;
}

// The points that no line leads to or from: they are drawn as dots.
function lonePoints(points) {
  const isGap = (point) => !point || point[1] === null;
  return points.filter((point, i) => !isGap(point) && isGap(points[i - 1]) && isGap(points[i + 1]));
}

function shape(parent, tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

// Draw {lines: [{color, dashed, points, means}], label, log, fromZero, height} into `box`; points are [x, y or null].
// Returns where x lies, for the cursor: {toX, fromX, cursor}.
function drawChart(box, chart) {
  const width = Math.max(240, box.clientWidth), height = chart.height;
  const [left, right, top, bottom] = [52, 12, 10, 38];
  const drawable = (point) => point[1] !== null && (!chart.log || point[1] > 0);
  const all = chart.lines.flatMap((line) => [...line.points, ...line.means]).filter(drawable);
  const xs = chart.lines.flatMap((line) => [...line.points, ...line.means]).map((point) => point[0]);
  let [low, high] = valueRange(all.map((point) => (chart.log ? Math.log10(point[1]) : point[1])));
  if (chart.log) {
    const logs = all.map((point) => Math.log10(point[1]));
    low = logs.length ? logs.reduce((a, b) => Math.min(a, b)) - 0.05 : 0;
    high = logs.length ? logs.reduce((a, b) => Math.max(a, b)) + 0.05 : 1;
  }
  if (chart.fromZero) low = Math.min(0, low);
  const last = xs.reduce((a, b) => Math.max(a, b), 0) || 1;
  const first = Math.min(chart.first ?? 0, last);
  const span = last - first || 1;

  const toX = (x) => left + ((x - first) / span) * (width - left - right);
  const fromX = (pixel) => first + ((pixel - left) / (width - left - right)) * span;
  const scale = (y) => (chart.log ? Math.log10(y) : y);
  const toY = (y) => top + (1 - (scale(y) - low) / (high - low)) * (height - top - bottom);

  const kilo = (values) => (values.some((value) => Math.abs(value) >= 1e4) ? 1e3 : 1e4); // one unit along an axis

  box.replaceChildren();
  const svg = shape(box, "svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const ticks = chart.log ? logTicks(10 ** low, 10 ** high) : niceTicks(low, high, 5);
  for (const tick of ticks) {
    const y = toY(tick).toFixed(1);
    shape(svg, "line", { class: tick === 0 ? "axis" : "rule", x1: left, x2: width - right, y1: y, y2: y });
    shape(svg, "text", { class: "tick", x: left - 8, y, dy: "0.32em", "text-anchor": "end" }, formatNumber(tick, false, kilo(ticks)));
  }
  for (const tick of niceTicks(first, last, width / 110).filter((value) => Number.isInteger(value))) {
    const x = toX(tick).toFixed(1);
    const anchor = x > width - right - 14 ? "end" : "middle";
    shape(svg, "text", { class: "tick", x, y: height - bottom + 17, "text-anchor": anchor }, formatNumber(tick, false, kilo([last])));
  }
  shape(svg, "text", { class: "tick", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, chart.label);

  const clip = shape(svg, "clipPath", { id: `${box.id}-clip` });
  shape(clip, "rect", { x: left - 3, y: top - 4, width: width - left - right + 6, height: height - top - bottom + 8 });
  const plot = shape(svg, "g", { "clip-path": `url(#${box.id}-clip)` });
  const hole = (point) => (drawable(point) ? point : [point[0], null]);
  for (const [kind, limit] of [["points", 700], ["means", 1000]]) {
    for (const line of chart.lines) {
      const points = thin(line[kind], limit).map(hole);
      const d = linePath(points, toX, toY);
      const only = kind === "means" || line.means.length === 0 ? "mean" : "raw";
      shape(plot, "path", { class: `line ${only}`, d, style: `stroke: ${line.color}`, "stroke-dasharray": line.dashed ? "6 4" : "none" });
      for (const [x, y] of lonePoints(points)) {
        shape(plot, "circle", { class: "dot", cx: toX(x).toFixed(1), cy: toY(y).toFixed(1), r: 3.5, style: `fill: ${line.color}` });
      }
    }
  }
  const cursor = shape(svg, "line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  return { toX, fromX, cursor };
}

if (typeof module !== "undefined") module.exports = { niceTicks, logTicks, formatNumber, thin, valueRange, linePath, lonePoints };
