// The controls: they make a game, let it go on, and say what is drawn.

const $ = (id) => document.getElementById(id);
const controls = $("controls");
const settings = JSON.parse($("settings").textContent);
const MOST_SHOWN = 1500; // steps in the curves

let game, view, history;
let isPlaying = false;
let due = 0, lastTime = 0; // steps that are to be taken, and when they were last counted

function fill(name, values, chosen) {
  for (const value of values) controls[name].add(new Option(value, value, false, value === chosen));
}

// The number that a field holds, kept within its bounds; what is no number is what it began with.
function numberIn(name) {
  const field = controls[name];
  const given = field.value.trim() === "" ? NaN : Number(field.value);
  const whole = field.step === "1" ? Math.round(given) : given;
  const value = Math.min(Math.max(Number.isFinite(whole) ? whole : Number(field.defaultValue), field.min), field.max);
  if (String(value) !== field.value) field.value = value;
  return value;
}

function options() {
  const numbers = ["batch", "clip", "lrG", "lrD", "widthG", "widthD", "seed"].map((name) => [name, numberIn(name)]);
  const { beta1, beta2, eps, negative_slope } = settings;
  return { dataset: controls.dataset.value, objective: controls.objective.value, ...Object.fromEntries(numbers),
    beta1, beta2, eps, negative_slope };
}

function restart() {
  game = new Game(options());
  view = new View(game);
  history = [];
  show();
}

function advance() {
  const losses = game.step();
  history.push({ step: game.steps, ...losses });
  if (history.length > MOST_SHOWN) history.shift();
}

function show() {
  const layers = Object.fromEntries([...$("layers").querySelectorAll("input")].map((x) => [x.name, x.checked]));
  const longest = view.draw($("plane"), layers);
  drawLosses($("losses"), history);
  const now = history.at(-1);
  const losses = now ? `loss of D ${now.lossD.toFixed(3)}, of G ${now.lossG.toFixed(3)}` : "no step yet";
  const isLost = now && !(Number.isFinite(now.lossD) && Number.isFinite(now.lossG));
  $("status").textContent = isLost
    ? `Step ${game.steps}: the losses are no longer finite. Start anew, with lower learning rates.`
    : `Step ${game.steps}: ${losses}; longest gradient at a sample ${longest.toExponential(1)}`;
}

function play(starts) {
  isPlaying = starts;
  $("play").textContent = isPlaying ? "❚❚ pause" : "▶ play";
  // A screen reader would be told of every frame.
  $("status").setAttribute("aria-live", isPlaying ? "off" : "polite");
  due = 1;
  lastTime = performance.now();
  if (isPlaying) requestAnimationFrame(frame);
}

function frame(time) {
  if (!isPlaying) return;
  due = Math.min(due + (Math.max(time - lastTime, 0) / 1000) * Number(controls.speed.value), 100);
  lastTime = time;
  const end = performance.now() + 25; // of a frame, so that the page answers
  const before = game.steps;
  for (; due >= 1 && performance.now() < end; due--) advance();
  if (game.steps !== before) show();
  requestAnimationFrame(frame);
}

function once() {
  play(false);
  advance();
  show();
}

controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("change", ({ target }) => {
  if (target.name === "speed") return;
  if (target.name === "objective") controls.clip.value = objectives[target.value].weightClip;
  if (["seed", "widthG", "widthD"].includes(target.name)) restart();
  else {
    Object.assign(game.options, options());
    show();
  }
});
$("layers").addEventListener("change", show);
$("play").addEventListener("click", () => play(!isPlaying));
$("once").addEventListener("click", once);
$("restart").addEventListener("click", restart);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, pre")) return;
  const action = { " ": () => play(!isPlaying), ArrowRight: once, s: once, r: restart }[event.key];
  // The space bar is for what has the focus; the other keys mean nothing to a button.
  if (!action || (event.key === " " && event.target.closest("button, summary, input"))) return;
  event.preventDefault();
  action();
});
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

fill("dataset", Object.keys(datasets), Object.keys(datasets)[0]);
fill("objective", Object.keys(objectives), settings.objective);
controls.clip.value = objectives[settings.objective].weightClip;
restart();
