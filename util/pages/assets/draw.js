// The page of a model that draws from noise: a picture on the way from one sample to another, and samples to choose from.
"use strict";

const NUM = 24; // samples
const WALK = 900; // milliseconds from one sample to the next
const FRAMES = 24; // of a saved walk, there; as many lead back
const AT_ONCE = 60; // milliseconds that a batch may take: the picture must not wait longer for its turn
const FILM_SIDE = 256; // pixels at least

async function drawPage(run) {
  const picture = byId("picture");
  const slider = byId("walk");
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");
  const state = { seed: 0, label: 0, truncation: 0, from: null, to: null, fromIndex: 0, toIndex: 1, t: 0 };
  let zs = [];
  let playing = false;
  let cost = 50; // milliseconds an image

  const noise = (i) => truncated(latent(state.seed, i, card.nz), state.truncation);
  const nearest = () => (state.t < 0.5 ? state.fromIndex : state.toIndex);
  const current = () => between(state.from, state.to, state.t);

  async function draw(vectors, label = state.label) {
    const inputs = { z: { type: "float32", data: Float32Array.from(vectors.flatMap((z) => [...z])), dims: [vectors.length, card.nz] } };
    const labels = BigInt64Array.from(vectors, () => BigInt(label));
    if (card.classes.length) inputs.label = { type: "int64", data: labels, dims: [vectors.length] };
    const result = await run(inputs);
    cost = result.milliseconds / vectors.length;
    return result;
  }

  const show = latest(async () => {
    paint(picture, toPixels(await draw([current()])));
    tell(cost);
  });

  // --- samples

  const cells = Array.from({ length: NUM }, (_, i) => {
    const canvas = element("canvas", { width: card.image_size[1], height: card.image_size[0] });
    const button = element("button", { type: "button", class: "sample", "aria-label": `sample ${i}` }, canvas);
    button.onclick = () => {
      stop();
      walkTo(i);
    };
    byId("samples").append(button);
    return { button, canvas };
  });

  const showSamples = latest(async () => {
    const wanted = `${state.seed} ${state.label} ${state.truncation}`;
    for (let start = 0; start < NUM; ) {
      const num = Math.max(1, Math.min(NUM - start, Math.floor(AT_ONCE / cost)));
      const result = await draw(zs.slice(start, start + num));
      if (wanted !== `${state.seed} ${state.label} ${state.truncation}`) return; // called again
      for (let k = 0; k < num; k++) paint(cells[start + k].canvas, toPixels(result, k));
      start += num;
    }
  });

  function mark() {
    cells.forEach(({ button }, i) => {
      button.classList.toggle("from", i === state.fromIndex);
      button.setAttribute("aria-pressed", String(i === state.toIndex));
    });
    slider.value = state.t;
    slider.setAttribute("aria-valuetext", `${Math.round(100 * state.t)} % of the way`);
  }

  // --- walking

  let walking = 0; // number of the walk under way: a newer one ends it
  async function walkTo(index, fromIndex = nearest()) {
    const number = ++walking;
    Object.assign(state, { from: current(), to: zs[index], fromIndex, toIndex: index, t: 0 });
    mark();
    const start = performance.now();
    while (state.t < 1 && number === walking) {
      const duration = reduced.matches && !playing ? 0 : Math.max(WALK, 8 * cost);
      state.t = duration ? Math.min(1, (performance.now() - start) / duration) : 1;
      slider.value = state.t;
      await show();
      await new Promise(requestAnimationFrame);
    }
    if (number === walking) mark();
    return number === walking;
  }

  async function play() {
    playing = true;
    byId("play").textContent = "Pause";
    byId("play").setAttribute("aria-pressed", "true");
    while (playing && (await walkTo((nearest() + 1) % NUM)));
    stop();
  }

  function stop() {
    playing = false;
    byId("play").textContent = "Play";
    byId("play").setAttribute("aria-pressed", "false");
  }

  function toggle() {
    if (!playing) return void play();
    walking++;
    stop();
    mark();
  }

  slider.oninput = () => {
    walking++;
    stop();
    state.t = Number(slider.value);
    mark();
    show();
  };
  byId("play").onclick = toggle;

  // --- what to draw

  function renew() {
    // the same places on new noise
    zs = Array.from({ length: NUM }, (_, i) => noise(i));
    state.to = zs[state.toIndex];
    state.from = zs[state.fromIndex];
  }

  function change() {
    walking++;
    stop();
    renew();
    mark();
    remember();
    show().then(showSamples);
  }

  function chooseClass(label) {
    state.label = label;
    [...byId("classes").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === label)));
    remember();
    show().then(showSamples);
  }

  function setSeed(seed) {
    state.seed = Math.min(2 ** 31 - 1, Math.max(0, Math.round(Number(seed) || 0)));
    byId("seed").value = state.seed;
    Object.assign(state, { fromIndex: 0, toIndex: 1, t: 0 });
    change();
  }

  function setTruncation() {
    const input = byId("truncation");
    state.truncation = input.value === input.max ? 0 : Number(input.value);
    byId("truncation-shown").textContent = state.truncation ? state.truncation.toFixed(2) : "off";
    change();
  }

  function remember() {
    const words = new URLSearchParams({ seed: state.seed });
    if (card.classes.length) words.set("class", card.classes[state.label]);
    if (state.truncation) words.set("truncation", state.truncation);
    history.replaceState(null, "", `#${words}`);
  }

  card.classes.forEach((name, i) => {
    const button = element("button", { type: "button", "aria-pressed": "false" }, name);
    button.onclick = () => chooseClass(i);
    byId("classes").append(button);
  });
  byId("class-field").hidden = byId("class-keys").hidden = !card.classes.length;
  byId("last-key").textContent = String(Math.min(9, card.classes.length));
  byId("seed").onchange = () => setSeed(byId("seed").value);
  byId("new-seed").onclick = () => setSeed(Math.random() * 100000);
  byId("truncation").oninput = setTruncation;

  // --- saving

  const fileName = (ending) =>
    [card.name, card.classes[state.label], `seed${state.seed}`, ending].filter(Boolean).join("_").replace(/[^\w.-]+/g, "_");

  byId("save-png").onclick = () => saveCanvas(picture, fileName(`${nearest()}.png`));

  byId("save-sheet").onclick = () => {
    const [height, width] = card.image_size;
    const sheet = element("canvas", { width: 6 * width, height: Math.ceil(NUM / 6) * height });
    cells.forEach(({ canvas }, i) => sheet.getContext("2d").drawImage(canvas, (i % 6) * width, Math.floor(i / 6) * height));
    saveCanvas(sheet, fileName("samples.png"));
  };

  async function saveWalk(kind, encode) {
    const { from, to, label } = { ...state, from: zs[state.fromIndex] };
    const factor = Math.ceil(FILM_SIDE / Math.max(...card.image_size));
    const frames = [];
    for (let i = 0; i < FRAMES; i++) {
      say(`drawing frame ${i + 1} of ${FRAMES} …`);
      const eased = (1 - Math.cos((Math.PI * i) / (FRAMES - 1))) / 2;
      frames.push(enlarged(toPixels(await draw([between(from, to, eased)], label)), factor));
    }
    say("packing the film …");
    await new Promise((done) => setTimeout(done));
    const bytes = await encode([...frames, ...frames.slice(1, -1).reverse()], 60);
    saveBlob(new Blob([bytes], { type: `image/${kind}` }), fileName(`walk.${kind}`));
  }

  byId("save-gif").onclick = () => saveWalk("gif", encodeGif);
  byId("save-webp").onclick = () => saveWalk("webp", encodeWebp);
  byId("save-webp").hidden = !canWebp(); // Safari draws WebP, but writes none

  document.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (event.key === " " && event.target.matches("button")) return; // presses it
    const step = { ArrowRight: 1, ArrowLeft: NUM - 1 }[event.key];
    if (event.key === " ") toggle();
    else if (step) stop(), walkTo((nearest() + step) % NUM);
    else if (event.key === "n") byId("new-seed").click();
    else if (event.key === "s") byId("save-png").click();
    else if (event.key > "0" && event.key <= "9" && byId("classes").children[event.key - 1]) byId("classes").children[event.key - 1].click();
    else return;
    event.preventDefault();
  };

  // --- what the address asks for

  const asked = new URLSearchParams(location.hash.slice(1));
  state.label = Math.max(0, card.classes.indexOf(asked.get("class")));
  state.truncation = Math.min(2.5, Math.max(0, Number(asked.get("truncation")) || 0));
  if (state.truncation) {
    byId("truncation").value = state.truncation;
    byId("truncation-shown").textContent = state.truncation.toFixed(2);
  }
  byId("classes").children[state.label]?.setAttribute("aria-pressed", "true");
  setSeed(asked.get("seed") ?? 0);
  await show();
  globalThis.page = { run, draw, state, noise, showSamples }; // for scripts
  await showSamples();
}

// each pixel as a square of `factor` pixels
function enlarged(image, factor) {
  const result = new ImageData(image.width * factor, image.height * factor);
  const [from, to] = [new Uint32Array(image.data.buffer), new Uint32Array(result.data.buffer)];
  for (let y = 0; y < result.height; y++) {
    for (let x = 0; x < result.width; x++) {
      to[y * result.width + x] = from[Math.floor(y / factor) * image.width + Math.floor(x / factor)];
    }
  }
  return result;
}

begin(drawPage);
