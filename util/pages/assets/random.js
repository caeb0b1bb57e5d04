// The latent vectors of a seed, as torch.randn gives them to test.py: image i of a seed is the same image here and there.
"use strict";

const MASK = (1n << 64n) - 1n;

// splitmix64, one round per number of the key: util/seeding.py, mix
function mixed(...key) {
  let state = 0n;
  for (const number of key) {
    state = ((state ^ BigInt(number)) + 0x9e3779b97f4a7c15n) & MASK;
    state = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    state = ((state ^ (state >> 27n)) * 0x94d049bb133111ebn) & MASK;
    state ^= state >> 31n;
  }
  return state;
}

// Mersenne Twister (Matsumoto and Nishimura 1998); returns a function that gives the next 32 bits
function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let place = 624;
  const renew = () => {
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    place = 0;
  };
  return () => {
    if (place === 624) renew();
    let y = state[place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

// latent vector i of a seed: standard normal, by Box and Muller in torch's order
function latent(seed, i, length) {
  const next = twister(Number((mixed(seed, i) >> 1n) & 0xffffffffn));
  return length < 16 ? fewNormals(next, length) : manyNormals(next, length);
}

function manyNormals(next, length) {
  const uniform = () => Math.fround((next() & 0xffffff) / 0x1000000);
  const values = Float32Array.from({ length }, uniform);
  const turn = (start) => {
    for (let j = start; j < start + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - values[j]));
      const angle = 2 * Math.PI * values[j + 8];
      values[j] = radius * Math.cos(angle);
      values[j + 8] = radius * Math.sin(angle);
    }
  };
  for (let start = 0; start + 16 <= length; start += 16) turn(start);
  if (length % 16) {
    for (let j = length - 16; j < length; j++) values[j] = uniform();
    turn(length - 16);
  }
  return values;
}

function fewNormals(next, length) {
  const uniform = () => {
    const high = next() & 0x1fffff;
    return (high * 0x100000000 + next()) / 2 ** 53;
  };
  const values = [];
  while (values.length < length) {
    const [u1, u2] = [uniform(), uniform()];
    const radius = Math.sqrt(-2 * Math.log1p(-u2));
    values.push(radius * Math.cos(2 * Math.PI * u1), radius * Math.sin(2 * Math.PI * u1));
  }
  return Float32Array.from(values.slice(0, length));
}

// z on the same quantiles of the normal distribution cut off at -threshold and threshold; 0: as it is
function truncated(z, threshold) {
  if (!threshold) return z;
  const low = below(-threshold);
  return z.map((value) => Math.min(threshold, Math.max(-threshold, quantile(low + below(value) * (1 - 2 * low)))));
}

// The normal distribution: how much of it lies below x (Abramowitz and Stegun 26.2.17 refined, as in West 2005)
function below(x) {
  const a = Math.abs(x);
  let tail = 0;
  if (a < 7.07106781186547) {
    const top = [0.0352624965998911, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931, 220.206867912376];
    const bottom = [0.0883883476483184, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752];
    const horner = (coefficients) => coefficients.reduce((sum, c) => sum * a + c, 0);
    tail = (Math.exp((-a * a) / 2) * horner(top)) / horner(bottom);
  } else if (a < 37) {
    tail = Math.exp((-a * a) / 2) / (a + 1 / (a + 2 / (a + 3 / (a + 4 / (a + 0.65))))) / 2.506628274631;
  }
  return x > 0 ? 1 - tail : tail;
}

// Its inverse: Acklam's rational approximation, and a step of Halley's method
function quantile(p) {
  if (p <= 0 || p >= 1) return p <= 0 ? -Infinity : Infinity;
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
  const horner = (coefficients, x) => coefficients.reduce((sum, k) => sum * x + k, 0);
  let x;
  if (p < 0.02425 || p > 1 - 0.02425) {
    const q = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
    x = horner(c, q) / horner(d, q);
    x = p < 0.5 ? x : -x;
  } else {
    const q = p - 0.5;
    x = (horner(a, q * q) * q) / horner(b, q * q);
  }
  const error = (below(x) - p) * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
  return x - error / (1 + (x * error) / 2);
}

// From a to b along a circle, where lengths stay those of noise: util/results/interpolation.py, walk, slerp
function between(a, b, t) {
  const product = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  const lengths = [Math.sqrt(product(a, a)), Math.sqrt(product(b, b))];
  const angle = Math.acos(Math.min(1, Math.max(-1, product(a, b) / (lengths[0] * lengths[1]))));
  const line = a.map((x, i) => x + t * (b[i] - x));
  if (!(Math.sin(angle) >= 1e-4)) return line;
  const length = lengths[0] + t * (lengths[1] - lengths[0]);
  const [p, q] = [Math.sin((1 - t) * angle) / lengths[0], Math.sin(t * angle) / lengths[1]];
  return a.map((x, i) => ((p * x + q * b[i]) / Math.sin(angle)) * length);
}
