// What pages that run a model share: they unpack it, start it in a worker, paint what it returns, and save pictures.
"use strict";

const byId = (id) => document.getElementById(id);
const card = JSON.parse(byId("card").textContent);

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children); // strings become text, never markup
  return node;
}

function say(text) {
  byId("status").textContent = text;
}

// bytes of base64 of gzip
async function unpacked(text) {
  const packed = atob(text.trim());
  const bytes = Uint8Array.from({ length: packed.length }, (_, i) => packed.charCodeAt(i));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Starts the model; returns the function that runs it on {name: {type, data, dims}} and gives {data, dims, milliseconds}.
async function startModel() {
  const code = `${ORT.script}\n${byId("engine").textContent}`;
  const parts = { wasm: await unpacked(ORT.wasm), model: await unpacked(byId("model").textContent) };
  let call;
  try {
    call = inWorker(code);
    await call("load", parts);
  } catch (error) {
    console.info(`no worker here, the page itself computes: ${error.message ?? error}`);
    document.head.append(element("script", {}, code));
    await engine.load(parts);
    call = async (name, argument) => engine[name](argument);
  }
  return (inputs) => call("run", inputs);
}

// Not a module: browsers refuse those in the worker of a page from disk.
function inWorker(code) {
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const waiting = new Map();
  let count = 0;
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker did not start"));
    waiting.clear();
  };
  return (call, argument) =>
    new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject });
      worker.postMessage({ id: count, call, argument });
    });
}

// Wraps an async function so that calls during a call are answered by one call after it: the newest state wins.
function latest(work) {
  let running = null;
  let again = false;
  return () => {
    again = true;
    running ??= (async () => {
      while (again) {
        again = false;
        await work();
      }
    })().finally(() => (running = null));
    return running;
  };
}

// image number `index` of a batch of numbers in [-1, 1]; ImageData rounds and clamps by itself
function toPixels({ data, dims }, index = 0) {
  const [, channels, height, width] = dims;
  const image = new ImageData(width, height);
  const plane = width * height;
  const first = index * channels * plane;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = (data[first + (channels < 3 ? 0 : c) * plane + i] + 1) * 127.5;
    image.data[4 * i + 3] = 255;
  }
  return image;
}

function paint(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function saveBlob(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`saved ${name}`);
}

function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => saveBlob(blob, name), "image/png");
}

const inWords = (milliseconds) =>
  milliseconds < 950 ? `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

function tell(milliseconds) {
  say(`${inWords(milliseconds)} an image, on this device`);
}

async function begin(page) {
  try {
    if (!globalThis.DecompressionStream || !globalThis.WebAssembly) throw new Error("the browser is too old");
    if (!globalThis.ORT) throw new Error("ort.js, which belongs beside this page, was not found");
    say("unpacking the model …");
    const run = await startModel();
    byId("app").hidden = false;
    await page(run);
    document.documentElement.dataset.state = "ready";
  } catch (error) {
    document.documentElement.dataset.state = "failed";
    byId("app").hidden = true;
    byId("sorry").innerHTML = byId("fallback").textContent; // what is shown without scripts too
    byId("sorry").hidden = false;
    say(`The model cannot run here: ${error.message ?? error}`);
  }
}
