// What is seen of a game: the plane with its layers, and the curves of both losses.

const REACH = 1.7;  // the plane is shown from -REACH to REACH
const CELLS = 44;   // of its fields, along each side
const SHOWN = 96;   // points of each kind
const CLOUD = 1500; // samples from which the density is estimated

// A canvas as sharp as the screen; gives its context, width and height in CSS pixels.
function cleared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = window.devicePixelRatio || 1;
  const sizes = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== sizes[0] || canvas.height !== sizes[1]) [canvas.width, canvas.height] = sizes;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const channels = (hex) => (hex.length === 4 ? [...hex.slice(1)].map((x) => x + x) : hex.slice(1).match(/../g))
  .map((x) => parseInt(x, 16));

// --- Fields on a grid of CELLS × CELLS, row by row from the bottom -----------------------

const middleOf = (i) => -REACH + (2 * REACH * (i + 0.5)) / CELLS;

function gridPoints() {
  const data = [];
  for (let j = 0; j < CELLS; j++) for (let i = 0; i < CELLS; i++) data.push(middleOf(i), middleOf(j));
  return new Tensor(data, [CELLS * CELLS, 2]);
}

// How dense points lie: their counts in cells, blurred by three passes of (1, 2, 1) / 4 each way.
function densityOf(points) {
  let counts = new Float64Array(CELLS * CELLS);
  for (let k = 0; k < points.length; k += 2) {
    const [i, j] = [points[k], points[k + 1]].map((x) => Math.floor(((x + REACH) / (2 * REACH)) * CELLS));
    if (i >= 0 && i < CELLS && j >= 0 && j < CELLS) counts[j * CELLS + i]++;
  }
  for (const step of [1, CELLS, 1, CELLS, 1, CELLS]) {
    const at = (k, other) => {
      const isBeside = other >= 0 && other < counts.length && (step > 1 || Math.floor(k / CELLS) === Math.floor(other / CELLS));
      return isBeside ? counts[other] : 0;
    };
    counts = counts.map((x, k) => x / 2 + (at(k, k - step) + at(k, k + step)) / 4);
  }
  return counts;
}

// Pieces of the line on which a field has a value (marching squares), as [x, y, x, y].
function contour(field, value) {
  const lines = [];
  for (let j = 0; j + 1 < CELLS; j++) for (let i = 0; i + 1 < CELLS; i++) {
    const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
    const crossings = [];
    corners.forEach(([x, y], k) => {
      const [u, v] = corners[(k + 1) % 4], a = field[y * CELLS + x] - value, b = field[v * CELLS + u] - value;
      if (a < 0 === b < 0) return;
      const share = a / (a - b);
      crossings.push([middleOf(x + share * (u - x)), middleOf(y + share * (v - y))]);
    });
    for (let k = 0; k + 1 < crossings.length; k += 2) lines.push([...crossings[k], ...crossings[k + 1]]);
  }
  return lines;
}

// --- The plane ---------------------------------------------------------------------------

// What is shown of a game at a moment, with points and noise that stay the same from frame to frame.
class View {
  constructor(game) {
    const stream = new Stream(game.options.seed + 1);
    this.game = game;
    this.noise = stream.noise(SHOWN);
    this.cloud = stream.noise(CLOUD);
    this.grid = gridPoints();
    this.takePoints();
  }
  takePoints() {
    this.dataset = this.game.options.dataset;
    this.real = pointsOf(this.dataset, new Stream(this.game.options.seed + 2), SHOWN);
  }
  // Draws the layers that are asked for; gives the length of the longest gradient.
  draw(canvas, layers) {
    if (this.dataset !== this.game.options.dataset) this.takePoints();
    const { context, width } = cleared(canvas);
    const place = (x, y) => [((x + REACH) / (2 * REACH)) * width, ((REACH - y) / (2 * REACH)) * width];
    const { game } = this, samples = game.samples(this.noise);
    const gradients = game.gradientsAt(samples, this.real);
    if (layers.field) this.drawField(context, width, place);
    if (layers.density) {
      const field = densityOf(game.samples(this.cloud).data), most = Math.max(...field);
      context.strokeStyle = colour("density");
      [0.1, 0.35, 0.7].forEach((share, i) => {
        context.lineWidth = 0.8 + 0.6 * i;
        if (most > 0) strokeLines(context, contour(field, share * most), place);
      });
    }
    if (layers.real) drawCircles(context, this.real.data, place);
    const longest = longestOf(gradients.data);
    if (layers.gradients && longest > 0) drawArrows(context, samples.data, gradients.data, 0.35 / longest, place);
    if (layers.samples) drawTriangles(context, samples.data, place);
    return longest;
  }
  // D's score between its two colours: by sigmoid where there is a boundary, else from least to most.
  drawField(context, width, place) {
    const { boundary } = this.game.objective, logits = this.game.logits(this.grid).data;
    const least = Math.min(...logits), most = Math.max(...logits);
    const [low, high] = [channels(colour("low")), channels(colour("high"))];
    const image = new ImageData(CELLS, CELLS);
    logits.forEach((logit, k) => {
      const share = boundary === null ? (logit - least) / (most - least || 1) : 1 / (1 + Math.exp(2 * (boundary - logit)));
      const at = 4 * ((CELLS - 1 - Math.floor(k / CELLS)) * CELLS + (k % CELLS));
      low.forEach((x, c) => { image.data[at + c] = x + share * (high[c] - x); });
      image.data[at + 3] = 255;
    });
    const small = new OffscreenCanvas(CELLS, CELLS);
    small.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(small, 0, 0, width, width);
    if (boundary === null) return;
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.6;
    context.setLineDash([7, 5]);
    strokeLines(context, contour(logits, boundary), place);
    context.setLineDash([]);
  }
}

function strokeLines(context, lines, place) {
  context.beginPath();
  for (const [x, y, u, v] of lines) {
    context.moveTo(...place(x, y));
    context.lineTo(...place(u, v));
  }
  context.stroke();
}

function eachPoint(data, draw) {
  for (let k = 0; k < data.length; k += 2) draw(data[k], data[k + 1], k);
}

function drawCircles(context, data, place) {
  context.strokeStyle = colour("ink");
  context.lineWidth = 1.3;
  eachPoint(data, (x, y) => {
    context.beginPath();
    context.arc(...place(x, y), 3.4, 0, 2 * Math.PI);
    context.stroke();
  });
}

function drawTriangles(context, data, place) {
  context.fillStyle = colour("orange");
  context.strokeStyle = colour("paper");
  context.lineWidth = 0.8;
  eachPoint(data, (x, y) => {
    const [u, v] = place(x, y);
    context.beginPath();
    context.moveTo(u, v - 4.5);
    context.lineTo(u + 4.2, v + 3.2);
    context.lineTo(u - 4.2, v + 3.2);
    context.closePath();
    context.fill();
    context.stroke();
  });
}

function longestOf(data) {
  let longest = 0;
  eachPoint(data, (x, y) => { longest = Math.max(longest, Math.hypot(x, y)); });
  return longest;
}

// From each sample against its gradient, the way that lowers G's loss.
function drawArrows(context, points, gradients, scale, place) {
  context.strokeStyle = colour("orange");
  context.lineWidth = 1.2;
  context.beginPath();
  eachPoint(points, (x, y, k) => {
    const [u, v] = place(x, y), [s, t] = place(x - scale * gradients[k], y - scale * gradients[k + 1]);
    const angle = Math.atan2(t - v, s - u), head = Math.min(5, Math.hypot(s - u, t - v) / 2);
    context.moveTo(u, v);
    context.lineTo(s, t);
    for (const side of [-0.5, 0.5]) {
      context.moveTo(s, t);
      context.lineTo(s - head * Math.cos(angle + side), t - head * Math.sin(angle + side));
    }
  });
  context.stroke();
}

// --- The losses --------------------------------------------------------------------------

function drawLosses(canvas, history) {
  const { context, width, height } = cleared(canvas);
  const values = history.flatMap(({ lossD, lossG }) => [lossD, lossG]).filter(Number.isFinite);
  if (!values.length) return;
  const least = Math.min(0, ...values), most = Math.max(...values, least + 1e-9);
  const [left, bottom] = [44, 20];
  const x = (i) => left + ((width - left - 8) * i) / Math.max(history.length - 1, 1);
  const y = (value) => 8 + ((height - bottom - 8) * (most - value)) / (most - least);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colour("quiet");
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  for (const value of [least, (least + most) / 2, most]) {
    context.fillText(value.toFixed(2), 6, y(value) + 4);
    context.beginPath();
    context.moveTo(left, y(value));
    context.lineTo(width - 8, y(value));
    context.stroke();
  }
  context.fillText(`step ${history[0].step}`, left, height - 5);
  const last = `step ${history.at(-1).step}`;
  context.fillText(last, width - 8 - context.measureText(last).width, height - 5);
  context.lineWidth = 1.8;
  for (const [name, stroke, dashes] of [["lossD", "blue", []], ["lossG", "orange", [6, 3]]]) {
    context.strokeStyle = colour(stroke);
    context.setLineDash(dashes);
    context.beginPath();
    history.forEach((row, i) => { if (Number.isFinite(row[name])) context.lineTo(x(i), y(row[name])); });
    context.stroke();
  }
  context.setLineDash([]);
}
