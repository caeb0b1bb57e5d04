// The page of a model that translates images: dropped, pasted, chosen, among examples, or drawn.
"use strict";

const SIDES = [64, 128, 256, 512, 1024]; // choices for the longest side, pixels

async function translatePage(run) {
  const before = byId("before");
  const after = byId("after");
  const usual = Math.max(...card.image_size) || 256; // as it was trained
  let source = null; // what is translated: anything that drawImage takes
  let name = "image";

  const side = byId("side");
  for (const pixels of [...new Set([usual, ...SIDES])].sort((a, b) => a - b)) {
    if (pixels >= Math.max(card.min_size, usual / 2)) side.append(element("option", { value: pixels }, `${pixels} px`));
  }
  side.value = usual;

  const translate = latest(async () => {
    const { width, height } = source;
    const scale = Math.min(1, Number(side.value) / Math.max(width, height));
    const image = await pixelsOf(source, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
    byId("compare").dataset.busy = "true";
    const waiting = setTimeout(() => say("translating …"), 300);
    try {
      const result = await translated(run, image);
      paint(before, shown(image));
      paint(after, result.image);
      if (source === byId("sketch")) paint(byId("live"), result.image);
      tell(result.milliseconds);
    } catch (error) {
      say(`This image cannot be translated here: ${error.message ?? error}`);
    } finally {
      clearTimeout(waiting);
      byId("compare").dataset.busy = "false";
    }
  });

  async function take(blob, called = "image") {
    try {
      source = await createImageBitmap(blob, { colorSpaceConversion: "none" });
      name = called.replace(/\.\w+$/, "");
    } catch {
      say(`${called || "this"} is no image that the browser can read`);
      return;
    }
    press(null);
    await translate();
  }

  // --- where images come from

  const drop = byId("drop");
  document.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  document.ondragleave = () => drop.classList.remove("over");
  document.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file, file.name);
    else say("what was dropped is no file: save the image first, or paste it");
  };
  document.onpaste = (event) => {
    const file = [...event.clipboardData.items].map((item) => item.getAsFile()).find(Boolean);
    if (file) take(file, file.name || "pasted");
    else say("there is no image in the clipboard");
  };
  byId("choose").onclick = () => byId("file").click();
  byId("file").onchange = () => {
    const [file] = byId("file").files;
    if (file) take(file, file.name);
    byId("file").value = "";
  };
  side.onchange = translate;

  const buttons = card.examples.map((url, i) => {
    const image = element("img", { src: url, alt: `example ${i + 1}` });
    const button = element("button", { type: "button", class: "sample", "aria-pressed": "false" }, image);
    button.onclick = async () => {
      await image.decode();
      source = image;
      name = `example${i + 1}`;
      press(button);
      await translate();
    };
    byId("examples").append(button);
    return button;
  });
  const press = (chosen) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
  byId("example-field").hidden = !buttons.length;

  // --- before and after

  byId("swipe").oninput = () => byId("compare").style.setProperty("--at", `${byId("swipe").value}%`);
  byId("save-png").onclick = () => saveCanvas(after, `${name}_${card.name}.png`);
  byId("save-pair").onclick = () => {
    const pair = element("canvas", { width: before.width + after.width, height: after.height });
    pair.getContext("2d").drawImage(before, 0, 0);
    pair.getContext("2d").drawImage(after, before.width, 0);
    saveCanvas(pair, `${name}_${card.name}_pair.png`);
  };

  // --- drawing

  const sketch = startSketch(usual, () => {
    source = byId("sketch");
    name = "drawing";
    press(null);
    return translate();
  });
  byId("trace").onclick = () => sketch.copy(before);

  globalThis.page = { run, take, translate, sketch }; // for scripts
  if (buttons.length) await buttons[0].onclick();
  else await sketch.begin();
}

// the pixels of an image on white, brought to a size, and in as many channels as the model takes
async function pixelsOf(source, width, height) {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  let [from, w, h] = [source, source.width, source.height];
  while (w > 2 * width && h > 2 * height) {
    // by halves: some browsers look at few pixels only when they shrink an image
    [w, h] = [Math.max(width, w >> 1), Math.max(height, h >> 1)];
    const half = element("canvas", { width: w, height: h });
    half.getContext("2d").drawImage(from, 0, 0, w, h);
    from = half;
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(from, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function grey(data, i) {
  return (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16; // ITU-R 601-2, as Pillow has it
}

// an image as the model sees it
function shown(image) {
  if (card.input_nc === 3) return image;
  const result = new ImageData(image.width, image.height);
  for (let i = 0; i < image.data.length; i += 4) result.data.fill(grey(image.data, i), i, i + 3), (result.data[i + 3] = 255);
  return result;
}

// Pads by reflection to sides that the network takes, evenly, runs it, and crops: models/networks/sides.py, padded
async function translated(run, image) {
  const { width, height, data } = image;
  const fitting = (length) => Math.ceil(Math.max(length, card.min_size) / card.size_multiple) * card.size_multiple;
  const [w, h] = [fitting(width), fitting(height)];
  const [left, top] = [(w - width) >> 1, (h - height) >> 1];
  const [columns, rows] = [mirrored(width, w, left), mirrored(height, h, top)];
  const numbers = new Float32Array(card.input_nc * h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const from = 4 * (rows[y] * width + columns[x]);
      for (let c = 0; c < card.input_nc; c++) {
        numbers[(c * h + y) * w + x] = (card.input_nc === 1 ? grey(data, from) : data[from + c]) / 127.5 - 1;
      }
    }
  }
  const result = await run({ image: { type: "float32", data: numbers, dims: [1, card.input_nc, h, w] } });
  const whole = element("canvas", {});
  paint(whole, toPixels(result));
  return { image: whole.getContext("2d").getImageData(left, top, width, height), milliseconds: result.milliseconds };
}

function mirrored(length, wanted, offset) {
  const period = Math.max(1, 2 * (length - 1));
  return Array.from({ length: wanted }, (_, i) => {
    const place = (((i - offset) % period) + period) % period;
    return Math.min(place, period - place);
  });
}

begin(translatePage);
