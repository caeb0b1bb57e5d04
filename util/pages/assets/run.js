// A run as its log tells it. Pure functions, no browser needed.
"use strict";

// Order the entries of a log: {reports, epochs, pictures, metrics, names, last}. Of what was reported twice, the later counts.
function fold(entries) {
  const state = { reports: [], epochs: new Map(), pictures: new Map(), metrics: [], names: [], last: null };
  const names = new Set();
  for (const entry of entries) {
    state.last = entry;
    if (entry.kind === "losses") {
      // A run that went back to an earlier state repeats its steps.
      while (state.reports.length && state.reports.at(-1).step >= entry.step) state.reports.pop();
      state.reports.push(entry);
      Object.keys(entry.losses).forEach((name) => names.add(name));
    } else if (entry.kind === "epoch") {
      state.epochs.set(entry.epoch, entry);
      Object.keys(entry.means).forEach((name) => names.add(name));
    } else if (entry.kind === "metrics") {
      while (state.metrics.length && state.metrics.at(-1).step >= entry.step) state.metrics.pop();
      state.metrics.push(entry);
    } else if (entry.kind === "images") {
      if (!state.pictures.has(entry.epoch)) state.pictures.set(entry.epoch, new Map());
      state.pictures.get(entry.epoch).set(entry.name, entry);
    }
  }
  state.epochs = new Map([...state.epochs].sort((a, b) => a[0] - b[0]));
  state.pictures = new Map([...state.pictures].sort((a, b) => a[0] - b[0]));
  state.names = [...names];
  return state;
}

// For every name the picture of `epoch` or, where it has none, the one before. Names that had pictures last come first,
// so that the order is the same at every epoch; `single` marks real images and the like, which are shown once.
function picturesAt(pictures, epoch) {
  const found = new Map();
  const epochs = new Map(); // name -> the epochs it has pictures of
  for (const [number, named] of pictures) {
    named.forEach((entry, name) => {
      epochs.set(name, [...(epochs.get(name) ?? []), number]);
      if (number <= epoch) found.set(name, entry);
    });
  }
  return [...epochs.keys()]
    .sort((a, b) => epochs.get(b).at(-1) - epochs.get(a).at(-1))
    .filter((name) => found.has(name))
    .map((name) => ({ ...found.get(name), single: epochs.get(name).length === 1 }));
}

// What drawChart needs to know about a loss; an epoch's mean stands in the middle of the epoch.
function lossLine(state, name, axis) {
  let start = 0;
  const means = [];
  for (const epoch of state.epochs.values()) {
    means.push([(start + epoch[axis]) / 2, epoch.means[name] ?? null]);
    start = epoch[axis];
  }
  const points = state.reports.filter((entry) => name in entry.losses).map((entry) => [entry[axis], entry.losses[name]]);
  return { points, means };
}

// The curve of a figure over images seen, [images, value or null] for each measurement that has it.
function metricLine(state, name) {
  return state.metrics.filter((entry) => name in entry.values).map((entry) => [entry.images, entry.values[name]]);
}

if (typeof module !== "undefined") module.exports = { fold, picturesAt, lossLine, metricLine };
