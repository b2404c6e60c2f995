// The game of two networks on points of the plane, as in scratchgan/gan/game.py.

// Random numbers from a seed: uniform by mulberry32 (Tommy Ettinger 2017), normal by Box & Muller 1958.
class Stream {
  constructor(seed) { this.state = seed >>> 0; }
  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
  tensor(draw, ...shape) { return new Tensor(Float64Array.from({ length: sizeOf(shape) }, draw), shape); }
  noise(count) { return this.tensor(() => this.normal(), count, LATENT); }
}

const LATENT = 2; // numbers in a noise vector

// --- Data: points of about the size of 1 -----------------------------------------------

const around = (stream, x, y, width) => [x + width * stream.normal(), y + width * stream.normal()];
const onCircle = (angle, radius) => [radius * Math.cos(angle), radius * Math.sin(angle)];

const datasets = {
  "8 Gaussians on a ring"(stream) {
    return around(stream, ...onCircle((2 * Math.PI * Math.floor(8 * stream.uniform())) / 8, 1), 0.06);
  },
  "ring"(stream) { return around(stream, ...onCircle(2 * Math.PI * stream.uniform(), 1), 0.04); },
  "25 Gaussians on a grid"(stream) {
    const place = () => (Math.floor(5 * stream.uniform()) - 2) / 2;
    return around(stream, place(), place(), 0.04);
  },
  "two moons"(stream) {
    const isUpper = stream.uniform() < 0.5;
    const [x, y] = onCircle(Math.PI * stream.uniform(), 0.8);
    return around(stream, isUpper ? x - 0.4 : x + 0.4, isUpper ? y - 0.2 : 0.2 - y, 0.05);
  },
};

function pointsOf(dataset, stream, count) {
  return new Tensor(Array.from({ length: count }, () => datasets[dataset](stream)).flat(), [count, 2]);
}

// --- Networks --------------------------------------------------------------------------

// Layers with a LeakyReLU between them; first weights are uniform on ±1/√inputs, as in nn.Linear.
class Network {
  constructor(sizes, slope, stream) {
    this.slope = slope;
    this.layers = sizes.slice(1).map((outputs, i) => {
      const bound = 1 / Math.sqrt(sizes[i]);
      const draw = () => bound * (2 * stream.uniform() - 1);
      const parts = { weight: stream.tensor(draw, outputs, sizes[i]), bias: stream.tensor(draw, outputs) };
      Object.values(parts).forEach((x) => { x.requiresGrad = true; });
      return parts;
    });
  }
  get parameters() { return this.layers.flatMap(({ weight, bias }) => [weight, bias]); }
  forward(x) {
    this.layers.forEach(({ weight, bias }, i) => {
      if (i > 0) x = op.leaky_relu(x, { negative_slope: this.slope });
      x = op.add(op.matmul(x, byHand._transposed(weight)), bias);
    });
    return x;
  }
}

// What is computed within counts the parameters of a network as constants.
function frozen(network, compute) {
  network.parameters.forEach((x) => { x.requiresGrad = false; });
  try { return compute(); } finally { network.parameters.forEach((x) => { x.requiresGrad = true; }); }
}

// Applies `adam`, the rule for one element, to all of them.
class Adam {
  constructor(parameters, options) {
    this.options = { weight_decay: 0, ...options };
    this.parameters = parameters;
    this.states = parameters.map((x) => ({ m: new Float64Array(x.size), v: new Float64Array(x.size) }));
    this.steps = 0;
  }
  zeroGrad() { this.parameters.forEach((x) => { x.grad = null; }); }
  step() {
    this.parameters.forEach(({ data, grad }, k) => {
      const { m, v } = this.states[k];
      for (let i = 0; i < data.length; i++) {
        [data[i], m[i], v[i]] = adam(grad.data[i], [data[i], m[i], v[i], this.steps], this.options);
      }
    });
    this.steps++;
  }
}

// --- The game --------------------------------------------------------------------------

// Options: dataset, objective, batch, seed, widthG, widthD, lrG, lrD, clip; and beta1, beta2, eps and
// negative_slope. Those that shape no network may be changed while it goes on.
class Game {
  constructor(options) {
    this.options = options;
    this.stream = new Stream(options.seed);
    const { widthG, widthD, beta1, beta2, eps, negative_slope: slope } = options;
    this.generator = new Network([LATENT, widthG, widthG, 2], slope, this.stream);
    this.discriminator = new Network([2, widthD, widthD, 1], slope, this.stream);
    this.adamG = new Adam(this.generator.parameters, { lr: options.lrG, beta1, beta2, eps });
    this.adamD = new Adam(this.discriminator.parameters, { lr: options.lrD, beta1, beta2, eps });
    this.steps = 0;
  }
  get objective() { return objectives[this.options.objective]; }

  // One move of D and one of G; their losses before each.
  step() {
    const { batch, dataset } = this.options;
    const real = pointsOf(dataset, this.stream, batch);
    const lossD = this.moveD(real, this.stream.noise(batch));
    const lossG = this.moveG(this.stream.noise(batch), real);
    this.steps++;
    return { lossD, lossG };
  }
  moveD(real, noise) {
    const fake = withoutTape(() => this.generator.forward(noise));
    const score = (x) => this.discriminator.forward(x);
    const loss = this.objective.discriminator(score(real), score(fake));
    this.update(this.adamD, loss, this.options.lrD);
    const most = this.options.clip;
    if (most > 0) for (const x of this.discriminator.parameters) {
      x.data.set(withoutTape(() => op.clip(x, { min: -most, max: most })).data);
    }
    return loss.item();
  }
  moveG(noise, real) {
    const loss = frozen(this.discriminator, () => this.lossOfG(this.generator.forward(noise), real));
    this.update(this.adamG, loss, this.options.lrG);
    return loss.item();
  }
  lossOfG(fake, real) {
    const logits = [this.discriminator.forward(fake)];
    if (this.objective.isRelative) logits.unshift(withoutTape(() => this.discriminator.forward(real)));
    return this.objective.generator(...logits);
  }
  update(optimizer, loss, lr) {
    optimizer.options.lr = lr;
    optimizer.zeroGrad();
    backward(loss);
    optimizer.step();
  }

  // --- What is shown: nothing of it changes the game ---

  samples(noise) { return withoutTape(() => this.generator.forward(noise)); }
  logits(points) { return withoutTape(() => this.discriminator.forward(points)); }
  // The gradient of G's loss with respect to each sample.
  gradientsAt(samples, real) {
    const leaf = new Tensor(samples.data, samples.shape, true);
    frozen(this.discriminator, () => backward(this.lossOfG(leaf, real)));
    return leaf.grad;
  }
}
