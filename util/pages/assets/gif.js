// Animated GIF (89a): one palette of 256 colours for all frames, by median cut, and LZW.
"use strict";

// frames: ImageData of one size; delay in milliseconds; returns the bytes
function encodeGif(frames, delay) {
  const { width, height } = frames[0];
  const { palette, nearest } = commonPalette(frames);
  const bytes = [...new TextEncoder().encode("GIF89a"), width & 255, width >> 8, height & 255, height >> 8, 0xf7, 0, 0];
  for (let i = 0; i < 256; i++) bytes.push(...(palette[i] ?? [0, 0, 0]));
  bytes.push(0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0); // for ever
  const hundredths = Math.round(delay / 10);
  for (const { data } of frames) {
    const indices = Uint8Array.from({ length: width * height }, (_, i) => nearest[coarse(data, 4 * i)]);
    bytes.push(0x21, 0xf9, 4, 0, hundredths & 255, hundredths >> 8, 0, 0);
    bytes.push(0x2c, 0, 0, 0, 0, width & 255, width >> 8, height & 255, height >> 8, 0, 8);
    const packed = lzw(indices);
    for (let start = 0; start < packed.length; start += 255) {
      const block = packed.slice(start, start + 255);
      bytes.push(block.length, ...block);
    }
    bytes.push(0);
  }
  bytes.push(0x3b);
  return Uint8Array.from(bytes);
}

// the upper five bits of red, green and blue
const coarse = (data, at) => ((data[at] >> 3) << 10) | ((data[at + 1] >> 3) << 5) | (data[at + 2] >> 3);

// up to 256 colours, and for each coarse colour the place of the nearest
function commonPalette(frames) {
  const cells = new Map();
  for (const { data } of frames) {
    for (let i = 0; i < data.length; i += 4) {
      const key = coarse(data, i);
      let cell = cells.get(key);
      if (!cell) cells.set(key, (cell = { key, count: 0, sums: [0, 0, 0] }));
      cell.count++;
      for (let c = 0; c < 3; c++) cell.sums[c] += data[i + c];
    }
  }
  const total = (box) => box.reduce((sum, { count }) => sum + count, 0);
  for (const cell of cells.values()) cell.color = cell.sums.map((sum) => sum / cell.count);
  const weighed = (box) => {
    box.widths = [0, 1, 2].map((c) => {
      const values = box.map(({ color }) => color[c]);
      return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
    });
    box.weight = Math.max(...box.widths) * Math.sqrt(total(box));
    return box;
  };
  const boxes = [weighed([...cells.values()])];
  while (boxes.length < 256) {
    const place = boxes.reduce((best, box, i) => (box.weight > boxes[best].weight ? i : best), 0);
    const box = boxes[place];
    if (box.length < 2) break;
    const axis = box.widths.indexOf(Math.max(...box.widths));
    box.sort((a, b) => a.color[axis] - b.color[axis]);
    const half = total(box) / 2;
    let seen = 0;
    const middle = box.findIndex(({ count }) => (seen += count) >= half);
    const cut = Math.min(Math.max(middle, 1), box.length - 1);
    boxes.splice(place, 1, weighed(box.slice(0, cut)), weighed(box.slice(cut)));
  }
  const palette = boxes.map((box) => [0, 1, 2].map((c) => box.reduce((sum, cell) => sum + cell.sums[c], 0) / total(box)));
  const nearest = new Uint8Array(1 << 15);
  for (const { key, color } of cells.values()) nearest[key] = closest(palette, color);
  return { palette: palette.map((color) => color.map(Math.round)), nearest };
}

function closest(palette, color) {
  let best = 0;
  let least = Infinity;
  for (let i = 0; i < palette.length; i++) {
    const p = palette[i];
    const distance = (color[0] - p[0]) ** 2 + (color[1] - p[1]) ** 2 + (color[2] - p[2]) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

function lzw(indices) {
  const bytes = [];
  let [buffer, bits, size, next] = [0, 0, 9, 258];
  let codes = new Map();
  const put = (code) => {
    buffer |= code << bits;
    for (bits += size; bits >= 8; bits -= 8, buffer >>>= 8) bytes.push(buffer & 255);
  };
  put(256); // clear
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = (prefix << 8) | indices[i];
    if (codes.has(key)) {
      prefix = codes.get(key);
      continue;
    }
    put(prefix);
    if (next === 4096) {
      put(256);
      [size, next] = [9, 258];
      codes = new Map();
    } else {
      if (next === 1 << size) size++;
      codes.set(key, next++);
    }
    prefix = indices[i];
  }
  put(prefix);
  put(257); // end
  if (bits) bytes.push(buffer & 255);
  return bytes;
}
