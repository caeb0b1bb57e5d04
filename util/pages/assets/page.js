// Follows a training run: reads log.js, a list of calls such as ganvas({"kind": "losses", "epoch": 1, ...}), again and
// again, and draws what it says. A page opened from disk may not fetch data, but it may load a script.
"use strict";

const READ_EVERY = 10000; // milliseconds
const FRAME = 250; // milliseconds of each epoch when the images are played
const NUM_COLORS = 8;

let incoming = []; // entries of the reading under way
let shown = ""; // tells the reading that is shown from others
let run = fold([]);
let chosenEpoch = null; // null: follow the newest
let cursor = null; // index of the report under the cursor, null: the newest
let playing = null; // timer
let lossChart = null;
const hidden = new Set(); // losses switched off in the legend

function ganvas(entry) {
  incoming.push(entry);
}

let status = null; // what status.js said last

function ganvasStatus(entry) {
  status = entry;
}

const byId = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children); // strings become text, never markup
  return node;
}

const color = (name) => `var(--line-${(run.names.indexOf(name) % NUM_COLORS) + 1})`;
const counts = (entry) =>
  `epoch ${entry.epoch} · step ${entry.step.toLocaleString("en")} · ${entry.images.toLocaleString("en")} images`;

const epochName = (epoch) => (epoch === 0 ? "before training" : `epoch ${epoch}`);

function read() {
  const start = Date.now();
  readStatus();
  incoming = [];
  const script = element("script", { src: `log.js?${start}` });
  script.onload = script.onerror = () => {
    script.remove();
    // Nothing arrives while the log is missing or its last line is half written: what is shown stays.
    const arrived = incoming.length && `${incoming.length} ${JSON.stringify(incoming.at(-1))}`;
    if (arrived && arrived !== shown) {
      shown = arrived;
      run = fold(incoming);
      show();
    }
    // A page that nobody looks at rests, and a long log is read less often.
    setTimeout(
      () => (document.hidden ? document.addEventListener("visibilitychange", read, { once: true }) : read()),
      Math.max(READ_EVERY, 20 * (Date.now() - start)),
    );
  };
  document.head.append(script);
}

// status.js is small and written anew again and again; the page works without it.
function readStatus() {
  const script = element("script", { src: `status.js?${Date.now()}` });
  script.onload = () => {
    script.remove();
    showStatus();
  };
  script.onerror = () => script.remove();
  document.head.append(script);
}

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function statusText() {
  if (!run.last) return "Nothing has been reported yet.";
  if (!status) return counts(run.last);
  const parts = [status.state, counts(run.last).replace(" · ", ` of ${status.total_epochs} · `)];
  if (status.rate) parts.push(`${formatNumber(status.rate)} images/s`);
  if (status.state === "training" && status.seconds_left) parts.push(`about ${duration(status.seconds_left)} left`);
  const silence = Date.now() / 1000 - status.time;
  if (status.state === "training" && silence > 120) parts.push(`last news ${duration(silence)} ago`);
  return parts.join(" · ");
}

function showStatus() {
  byId("status").textContent = statusText();
  const warnings = status ? status.warnings : [];
  byId("warnings").hidden = !warnings.length;
  byId("warnings").replaceChildren(...warnings.map((text) => element("li", {}, text)));
  const resume = byId("command-resume");
  if (resume) resume.hidden = status?.state === "finished"; // there is nothing to resume
}

function show() {
  if (cursor >= run.reports.length) cursor = null;
  showStatus();
  byId("images").hidden = run.pictures.size === 0;
  byId("metrics").hidden = run.metrics.length === 0;
  byId("losses").hidden = run.names.length === 0;
  byId("epochs").hidden = run.epochs.size === 0;
  showSlider();
  showLegend();
  showCharts();
  showMetrics();
  showEpochs();
}

function showSlider() {
  const epochs = [...run.pictures.keys()];
  const slider = byId("epoch");
  slider.max = Math.max(0, epochs.length - 1);
  const place = chosenEpoch === null ? -1 : epochs.findLastIndex((epoch) => epoch <= chosenEpoch);
  slider.value = place < 0 ? epochs.length - 1 : place;
  slider.disabled = byId("play").disabled = epochs.length < 2;
  showPictures();
}

function showPictures() {
  const epochs = [...run.pictures.keys()];
  if (!epochs.length) return;
  const epoch = epochs[byId("epoch").value];
  const text = epochName(epoch);
  byId("epoch-shown").textContent = text;
  byId("epoch").setAttribute("aria-valuetext", text);
  const box = byId("grids");
  const old = new Map([...box.children].map((figure) => [figure.dataset.key, figure]));
  box.replaceChildren(
    ...picturesAt(run.pictures, epoch).map((entry) => {
      // Figures are kept where only the picture changes: it then changes without a flicker.
      const key = JSON.stringify([entry.name, entry.size, entry.lines, entry.rows]);
      const figure = old.get(key) ?? gridFigure(entry, key);
      const url = `images/${encodeURIComponent(entry.file)}?${entry.step}`;
      const image = figure.querySelector("img");
      if (image.getAttribute("src") !== url) image.setAttribute("src", url);
      image.parentElement.href = url;
      image.alt = `${entry.name}, epoch ${entry.epoch}`;
      figure.querySelector(".muted").textContent = entry.epoch === epoch || entry.single ? "" : epochName(entry.epoch);
      if (!entry.single) offerFilm(figure.querySelector(".film"), entry.file);
      return figure;
    }),
  );
}

// The film of a kind of picture is there once the run has ended.
function offerFilm(link, file) {
  const film = file.replace(/^epoch\d+_/, "").replace(/png$/, "webp");
  const url = `images/${encodeURIComponent(film)}?${run.last.step}`;
  if (link.dataset.asked === url) return;
  link.dataset.asked = url;
  const probe = new Image();
  probe.onload = () => {
    link.href = url;
    link.hidden = false;
  };
  probe.src = url;
}

function gridFigure(entry, key) {
  const [width, height] = entry.size;
  const image = element("img", { width, height });
  const labels = element("div", { class: "row-labels", style: `grid-template-rows: repeat(${entry.lines}, 1fr)` });
  labels.append(...entry.rows.map((row) => element("span", { title: row }, row)));
  const grid = element("div", { class: "grid" }, ...(entry.rows.length ? [labels] : []), element("a", {}, image));
  const caption = element("figcaption", {}, entry.name, " ", element("span", { class: "muted" }), " ");
  caption.append(element("a", { class: "film", hidden: "" }, "watch it learn"));
  const figure = element("figure", {}, caption, grid);
  figure.dataset.key = key;
  return figure;
}

function showLegend() {
  const place = cursor ?? run.reports.length - 1;
  byId("cursor-at").textContent = cursor === null ? "latest values" : counts(run.reports[place]);
  const legend = byId("legend");
  while (legend.children.length > run.names.length) legend.lastChild.remove();
  run.names.forEach((name, index) => {
    let button = legend.children[index];
    if (!button) {
      button = element("button", { type: "button" }, element("i", {}), element("span", {}), element("b", {}));
      button.onclick = () => {
        if (!hidden.delete(run.names[index])) hidden.add(run.names[index]);
        showLegend();
        showCharts();
      };
      legend.append(button);
    }
    button.setAttribute("aria-pressed", String(!hidden.has(name)));
    button.style.setProperty("--color", color(name));
    button.firstChild.className = index >= NUM_COLORS ? "dashed" : "";
    button.children[1].textContent = name;
    const value = run.reports.findLast((entry, i) => i <= place && name in entry.losses)?.losses[name];
    button.lastChild.textContent = value === null ? "not finite" : formatNumber(value, true);
  });
}

function showCharts() {
  if (byId("losses").hidden && byId("epochs").hidden) return;
  const axis = byId("axis").value;
  const narrow = window.innerWidth < 600;
  const names = run.names.filter((name) => !hidden.has(name));
  const lines = names.map((name) => ({
    ...lossLine(run, name, axis),
    color: color(name),
    dashed: run.names.indexOf(name) >= NUM_COLORS,
  }));
  const height = narrow ? 250 : 340;
  lossChart = drawChart(byId("loss-chart"), { lines, label: axis === "step" ? "steps" : axis, log: byId("log-scale").checked, height });
  showCursor();
  const rates = [...run.epochs.values()].map((entry) => [entry.epoch, entry.lr]);
  const line = { points: rates, means: [], color: "var(--line-1)", dashed: false };
  drawChart(byId("lr-chart"), { lines: [line], label: "epochs", log: false, fromZero: true, first: 1, height: narrow ? 150 : 180 });
}

function showMetrics() {
  if (!run.metrics.length) return;
  const last = run.metrics.at(-1);
  byId("best").textContent = last.best && `Best: ${last.best}; python test.py --epoch best draws from it.`;
  byId("metric-settings").textContent = last.settings;
  const names = [...new Set(run.metrics.flatMap((entry) => Object.keys(entry.values)))];
  const box = byId("metric-charts");
  while (box.children.length > names.length) box.lastChild.remove();
  while (box.children.length < names.length) {
    const chart = element("div", { class: "chart", id: `metric-chart-${box.children.length}`, role: "img" });
    box.append(element("figure", { class: "metric" }, element("figcaption", {}), chart));
  }
  names.forEach((name, index) => {
    const [caption, chart] = box.children[index].children;
    const points = metricLine(run, name);
    caption.textContent = `${name}: ${formatNumber(points.at(-1)[1])}`;
    chart.setAttribute("aria-label", `${name} over the images seen`);
    drawChart(chart, { lines: [{ points, means: [], color: "var(--line-1)", dashed: false }], label: "images", log: false, height: 170 });
  });
}

function showCursor() {
  const entry = run.reports[cursor];
  const line = lossChart.cursor;
  line.setAttribute("visibility", entry ? "visible" : "hidden");
  if (!entry) return;
  for (const end of ["x1", "x2"]) line.setAttribute(end, lossChart.toX(entry[byId("axis").value]));
}

function moveCursor(index) {
  cursor = index === null || !run.reports.length ? null : Math.min(Math.max(index, 0), run.reports.length - 1);
  showLegend();
  showCursor();
}

function nearestReport(x) {
  const axis = byId("axis").value;
  let nearest = 0;
  run.reports.forEach((entry, index) => {
    if (Math.abs(entry[axis] - x) < Math.abs(run.reports[nearest][axis] - x)) nearest = index;
  });
  return nearest;
}

function showEpochs() {
  const row = (tag, cells) => element("tr", {}, ...cells.map((cell) => element(tag, {}, cell)));
  const epochs = [...run.epochs.values()].reverse();
  const body = epochs.map((entry) =>
    row("td", [String(entry.epoch), ...run.names.map((name) => formatNumber(entry.means[name], true)), formatNumber(entry.lr, true)]),
  );
  byId("epoch-table").replaceChildren(row("th", ["epoch", ...run.names, "learning rate"]), ...body);
}

function play() {
  const slider = byId("epoch");
  const stop = playing !== null || !run.pictures.size;
  clearInterval(playing);
  playing = null;
  byId("play").textContent = stop ? "Play" : "Pause";
  if (stop) return;
  if (slider.value === slider.max) slider.value = 0;
  playing = setInterval(() => {
    slider.stepUp();
    choose();
    if (slider.value === slider.max) play();
  }, FRAME);
  choose();
}

function choose() {
  const slider = byId("epoch");
  chosenEpoch = slider.value === slider.max ? null : [...run.pictures.keys()][slider.value];
  showPictures();
}

function start() {
  byId("epoch").oninput = choose;
  byId("play").onclick = play;
  byId("axis").onchange = byId("log-scale").onchange = showCharts;
  const chart = byId("loss-chart");
  chart.onpointermove = (event) => {
    if (lossChart) moveCursor(nearestReport(lossChart.fromX(event.clientX - chart.getBoundingClientRect().left)));
  };
  chart.onpointerleave = chart.onblur = () => moveCursor(null);
  chart.onkeydown = (event) => {
    const place = cursor ?? run.reports.length - 1;
    const far = Math.max(1, Math.round(run.reports.length / 20));
    const places = { ArrowLeft: place - 1, ArrowRight: place + 1, PageUp: place - far, PageDown: place + far, Home: 0, End: run.reports.length };
    if (!(event.key in places)) return;
    event.preventDefault();
    moveCursor(places[event.key]);
  };
  new ResizeObserver(showCharts).observe(byId("losses"));
  new ResizeObserver(showMetrics).observe(byId("metrics"));
  read();
}

start();
