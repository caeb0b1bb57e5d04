// A canvas to draw on: pen, filled areas, undo. Each stroke calls `changed`.
"use strict";

const MAX_UNDO = 30;

function startSketch(size, changed) {
  const canvas = byId("sketch");
  for (const each of [canvas, byId("live")]) each.width = each.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const earlier = [];
  let ink = card.colors[0];
  let last = null; // where the pen was

  const blank = () => {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  };
  const keep = () => {
    earlier.push(context.getImageData(0, 0, canvas.width, canvas.height));
    if (earlier.length > MAX_UNDO) earlier.shift();
    byId("undo").disabled = false;
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  const stroke = (to) => {
    context.strokeStyle = ink;
    context.lineWidth = (Number(byId("width").value) * canvas.width) / 256 + 0.5;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    last = to;
  };

  canvas.onpointerdown = (event) => {
    keep();
    if (byId("fill").getAttribute("aria-pressed") === "true") {
      flood(context, ...place(event).map(Math.floor), ink);
      changed();
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(last);
  };
  canvas.onpointermove = (event) => {
    if (!last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) stroke(place(each));
    changed();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (last) changed();
    last = null;
  };

  const choose = (color, chosen) => {
    ink = color;
    byId("ink").value = color;
    for (const button of byId("colors").children) button.setAttribute("aria-pressed", String(button === chosen));
  };
  card.colors.forEach((color, i) => {
    const button = element("button", { type: "button", class: "color", style: `--ink: ${color}`, "aria-label": color });
    button.onclick = () => choose(color, button);
    byId("colors").append(button);
    if (!i) choose(color, button);
  });
  byId("ink").oninput = () => choose(byId("ink").value, null);
  byId("fill").onclick = () => {
    const on = byId("fill").getAttribute("aria-pressed") !== "true";
    byId("fill").setAttribute("aria-pressed", String(on));
  };
  byId("undo").onclick = () => {
    const image = earlier.pop();
    canvas.width = image.width;
    canvas.height = image.height;
    context.putImageData(image, 0, 0);
    byId("undo").disabled = !earlier.length;
    changed();
  };
  byId("clear").onclick = () => {
    keep();
    blank();
    changed();
  };
  blank();
  return {
    begin: changed,
    copy(other) {
      keep();
      canvas.width = other.width;
      canvas.height = other.height;
      context.drawImage(other, 0, 0);
      changed();
    },
  };
}

// Fills the area of one colour around a pixel.
function flood(context, x, y, color) {
  const { width, height } = context.canvas;
  context.fillStyle = color;
  const image = context.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const old = pixels[y * width + x];
  context.fillRect(x, y, 1, 1);
  const [ink] = new Uint32Array(context.getImageData(x, y, 1, 1).data.buffer);
  if (ink === old) return;
  const waiting = [y * width + x];
  while (waiting.length) {
    const at = waiting.pop();
    if (pixels[at] !== old) continue;
    pixels[at] = ink;
    const column = at % width;
    if (column) waiting.push(at - 1);
    if (column < width - 1) waiting.push(at + 1);
    if (at >= width) waiting.push(at - width);
    if (at < width * (height - 1)) waiting.push(at + width);
  }
  context.putImageData(image, 0, 0);
}
