"use strict";
// The trained generator: products of matrices and activations, on the weights of the run.

/** Bytes of base64. */
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Half precision (IEEE 754 binary16, the lowest byte first) to single. */
function halves(text) {
  const bytes = new DataView(bytesOf(text).buffer), found = new Float32Array(bytes.byteLength / 2);
  for (let i = 0; i < found.length; i++) {
    const bits = bytes.getUint16(2 * i, true), exponent = bits >> 10 & 31, fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    found[i] = bits >> 15 ? -size : size;
  }
  return found;
}

class Generator {
  /** data: {latent_dim, classes, shape: [height, width], layers: [{weight, bias, activation, slope}]}. */
  constructor(data) {
    Object.assign(this, data);
    this.layers = data.layers.map((layer) => ({...layer, weight: halves(layer.weight), bias: new Float32Array(bytesOf(layer.bias).buffer)}));
  }

  /** The image of a noise vector as numbers in (-1, 1); `mixture` has a share for each class, if there are any. */
  draw(noise, mixture = []) {
    let x = Float32Array.from([...noise, ...mixture]);
    for (const {weight, bias, activation, slope} of this.layers) {
      const y = new Float32Array(bias.length), width = x.length;
      for (let i = 0; i < y.length; i++) {
        let sum = bias[i];
        for (let j = 0, place = i * width; j < width; j++) sum += weight[place + j] * x[j];
        y[i] = activation === "tanh" ? Math.tanh(sum) : activation === "leaky_relu" && sum < 0 ? slope * sum : sum;
      }
      x = y;
    }
    return x;
  }
}

/** Standard normal numbers (Box and Muller), the same for the same seed (mulberry32 gives the uniform ones). */
function normals(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = state + 0x6d2b79f5 >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 4294967296;
  };
  return Array.from({length: count}, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** From one noise vector to another along an arc: in the middle it is as long as they are. */
function between(from, to, part) {
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0), cosine = dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to) || 1);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (Math.sin(angle) < 1e-6) return from.map((x, i) => x + part * (to[i] - x));
  const [a, b] = [Math.sin((1 - part) * angle) / Math.sin(angle), Math.sin(part * angle) / Math.sin(angle)];
  return from.map((x, i) => a * x + b * to[i]);
}

/** Paint images side by side. */
function paint(canvas, images, [height, width]) {
  const gap = images.length > 1 ? 2 : 0;
  canvas.width = images.length * (width + gap) - gap;
  canvas.height = height;
  const context = canvas.getContext("2d");
  images.forEach((image, place) => {
    const data = context.createImageData(width, height);
    image.forEach((x, i) => data.data.set([0, 0, 0].fill(Math.round((x + 1) * 127.5)).concat(255), 4 * i));
    context.putImageData(data, place * (width + gap), 0);
  });
}
