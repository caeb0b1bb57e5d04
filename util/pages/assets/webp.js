// Animated WebP: frames that the browser encodes, put into one file (RIFF container, "WebP Container Specification").
"use strict";

const canWebp = () => document.createElement("canvas").toDataURL("image/webp").startsWith("data:image/webp");

// frames: ImageData of one size; delay in milliseconds; returns the bytes
async function encodeWebp(frames, delay) {
  const { width, height } = frames[0];
  const canvas = element("canvas", { width, height });
  const files = [];
  for (const frame of frames) {
    canvas.getContext("2d").putImageData(frame, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", 1));
    files.push(new Uint8Array(await blob.arrayBuffer()));
  }
  return muxWebp(files, width, height, delay);
}

// still WebP files of one size -> an endless film
function muxWebp(files, width, height, delay) {
  const size = [...little(width - 1, 3), ...little(height - 1, 3)];
  const frames = files.map((file) =>
    chunk("ANMF", [[0, 0, 0, 0, 0, 0, ...size, ...little(delay, 3), 2], ...imageChunks(file)]), // 2: covers the last
  );
  const head = chunk("VP8X", [[0x12, 0, 0, 0, ...size]]); // animated, perhaps transparent
  return chunk("RIFF", [letters("WEBP"), head, chunk("ANIM", [[0, 0, 0, 0, 0, 0]]), ...frames]); // no end
}

// the chunks of a file that hold its pixels, whole
function imageChunks(file) {
  const found = [];
  for (let at = 12; at + 8 <= file.length; ) {
    const name = String.fromCharCode(...file.subarray(at, at + 4));
    const length = new DataView(file.buffer, file.byteOffset).getUint32(at + 4, true);
    const next = at + 8 + length + (length & 1);
    if (["ALPH", "VP8 ", "VP8L"].includes(name)) found.push(file.subarray(at, next));
    at = next;
  }
  return found;
}

function chunk(name, parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(8 + length + (length & 1)); // padded to an even length
  bytes.set([...letters(name), ...little(length, 4)]);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const letters = (text) => [...text].map((letter) => letter.charCodeAt(0));
const little = (number, bytes) => Array.from({ length: bytes }, (_, i) => (number >>> (8 * i)) & 255);
