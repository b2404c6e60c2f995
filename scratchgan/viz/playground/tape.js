// Tensors and their tape, as in scratchgan/autograd: a primitive that ran leaves a node behind, and
// backward visits the nodes from last to first. The rows of the table are printed from Python's.
"use strict";

class Tensor {
  // Numbers in row-major order, in float64; a Float64Array is taken as it is.
  constructor(data, shape, requiresGrad = false) {
    this.data = data instanceof Float64Array ? data : Float64Array.from(data);
    this.shape = shape;
    this.requiresGrad = requiresGrad;
    this.node = null;
    this.grad = null;
  }
  get size() { return this.data.length; }
  item() { return this.data[0]; }
  detach() { return new Tensor(this.data, this.shape); }
}

const op = {};    // what is called, by the primitive's name
const rules = {}; // the rows of the table
let isRecording = true;
let clock = 0;

function withoutTape(compute) {
  const before = isRecording;
  isRecording = false;
  try { return compute(); } finally { isRecording = before; }
}

// --- Primitives ------------------------------------------------------------------------

const shapeOf = (x) => (typeof x === "number" ? [] : x.shape);
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);
const isSame = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

function primitive(name, kernel, row) {
  rules[name] = row;
  op[name] = (...given) => {
    const inputs = given.slice(0, row.inputs.length);
    const keywords = { ...row.defaults, ...given[row.inputs.length] };
    const out = kernel(inputs, keywords);
    const needs = row.inputs.map((x, i) => Boolean(inputs[i].requiresGrad && row.vjps[x]));
    if (isRecording && needs.includes(true)) {
      out.requiresGrad = true;
      out.node = { number: clock++, row, inputs, needs, values: valuesOf(row, inputs, keywords, out) };
    }
    return out;
  };
}

// What VJPs may name: inputs, their shapes, keywords, and the output.
function valuesOf(row, inputs, keywords, out) {
  const values = { ...keywords, out: out.detach() };
  row.inputs.forEach((x, i) => {
    values[x] = inputs[i];
    values[x + "_shape"] = shapeOf(inputs[i]);
  });
  return values;
}

// A function of numbers becomes one of tensors that broadcast.
function elementwise(name, f, row) {
  primitive(name, (inputs, keywords) => {
    const shape = broadcast(name, inputs.map(shapeOf));
    const numbers = row.keywords.map((x) => keywords[x]);
    const [a, b, c] = [...inputs, ...numbers].map((x) => spread(x, shape));
    const out = new Tensor(new Float64Array(sizeOf(shape)), shape);
    const data = out.data;
    if (c) for (let i = 0; i < data.length; i++) data[i] = f(a[i], b[i], c[i]);
    else if (b) for (let i = 0; i < data.length; i++) data[i] = f(a[i], b[i]);
    else for (let i = 0; i < data.length; i++) data[i] = f(a[i]);
    return out;
  }, row);
}

function broadcast(name, shapes) {
  const length = Math.max(...shapes.map((x) => x.length));
  return Array.from({ length }, (_, axis) => {
    const sizes = shapes.map((x) => x[axis - length + x.length] ?? 1);
    const size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.some((n) => n !== 1 && n !== size)) throw new Error(`${name}: ${sizes} do not broadcast`);
    return size;
  });
}

// The elements of x, repeated as a shape has them.
function spread(x, shape) {
  if (typeof x === "number") return new Float64Array(sizeOf(shape)).fill(x);
  if (isSame(x.shape, shape)) return x.data;
  const places = placesIn(x.shape, shape), data = new Float64Array(places.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[places[i]];
  return data;
}

// For each element of a shape, where it comes from in one that was broadcast to it.
const knownPlaces = new Map(); // a step asks for the same few again and again
function placesIn(small, shape) {
  const key = `${small} ${shape}`;
  if (knownPlaces.size > 100) knownPlaces.clear();
  if (!knownPlaces.has(key)) knownPlaces.set(key, newPlaces(small, shape));
  return knownPlaces.get(key);
}

function newPlaces(small, shape) {
  const places = new Int32Array(sizeOf(shape));
  const extra = shape.length - small.length;
  for (let i = 0; i < places.length; i++) {
    for (let axis = shape.length - 1, rest = i, step = 1; axis >= extra; axis--) {
      const size = small[axis - extra];
      if (size !== 1) places[i] += (rest % shape[axis]) * step;
      rest = Math.floor(rest / shape[axis]);
      step *= size;
    }
  }
  return places;
}

// --- By hand: what has no scalar definition --------------------------------------------

const kernels = {
  matmul([x, y]) {
    const [n, inner] = x.shape, m = y.shape[1];
    if (y.shape[0] !== inner) throw new Error(`matmul: ${x.shape} and ${y.shape} do not fit`);
    const data = new Float64Array(n * m), a = x.data, b = y.data;
    for (let i = 0; i < n; i++)
      for (let k = 0; k < inner; k++) {
        const factor = a[i * inner + k];
        for (let j = 0; j < m; j++) data[i * m + j] += factor * b[k * m + j];
      }
    return new Tensor(data, [n, m]);
  },
  sum([x], { dim }) {
    if (dim !== null) throw new Error("sum: of all elements only");
    return new Tensor([x.data.reduce((a, b) => a + b, 0)], []);
  },
  mean([x], { dim }) {
    if (dim !== null) throw new Error("mean: of all elements only");
    return new Tensor([x.data.reduce((a, b) => a + b, 0) * (1 / x.size)], []);
  },
  permute([x], { dims }) {
    const [n, m] = x.shape;
    if (String(dims) !== "1,0") throw new Error("permute: of the two axes of a matrix only");
    const data = new Float64Array(n * m);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) data[j * n + i] = x.data[i * m + j];
    return new Tensor(data, [m, n]);
  },
  expand: ([x], { shape }) => new Tensor(spread(x, shape), shape),
};

const byHand = {
  _transposed: (x) => op.permute(x, { dims: [1, 0] }),
  _inverse: (dims) => dims.map((_, i) => dims.indexOf(i)),
  _sum_vjp: (g, shape) => op.expand(g, { shape }),
  _mean_vjp: (g, shape) => op.expand(op.mul(g, 1 / sizeOf(shape)), { shape }),
};

// --- Backward --------------------------------------------------------------------------

// Adds to `grad` of every leaf the gradient of a tensor of one element.
function backward(tensor) {
  const nodes = nodesFrom(tensor.node).sort((a, b) => b.number - a.number);
  const gradients = new Map([[tensor.node, new Tensor([1], tensor.shape)]]);
  withoutTape(() => {
    for (const node of nodes) {
      // All that used this node's result were made later, so that its gradient is complete.
      for (const [input, gradient] of pullBack(node, gradients.get(node))) {
        if (!input.node) input.grad = input.grad ? op.add(input.grad, gradient) : gradient;
        else {
          const known = gradients.get(input.node);
          gradients.set(input.node, known ? op.add(known, gradient) : gradient);
        }
      }
    }
  });
}

function nodesFrom(node, seen = new Set()) {
  if (!node || seen.has(node)) return [];
  seen.add(node);
  return [node, ...node.inputs.flatMap((x) => nodesFrom(x.node, seen))];
}

// The inputs of a node that required gradients when it was made, and their gradients.
function pullBack({ row, inputs, needs, values }, g) {
  const found = [];
  row.inputs.forEach((name, i) => {
    if (!needs[i]) return;
    found.push([inputs[i], summedTo(vjp(row, name, { ...values, g }), inputs[i].shape)]);
  });
  return found;
}

function vjp(row, name, values) {
  const { takes, of } = row.vjps[name];
  return of(...takes.map((x) => values[x]));
}

// Broadcasting is undone here, for every primitive, and nowhere else.
function summedTo(gradient, shape) {
  if (isSame(gradient.shape, shape)) return gradient;
  const data = new Float64Array(sizeOf(shape)), places = placesIn(shape, gradient.shape);
  for (let i = 0; i < places.length; i++) data[places[i]] += gradient.data[i];
  return new Tensor(data, shape);
}
