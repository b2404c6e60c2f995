"use strict";
const byId = (id) => document.getElementById(id), read = (id) => JSON.parse(byId(id).textContent);
const data = read("data"), timings = read("timings"), {columns} = data;
const marking = []; // what is told to show another step
const series = (name, column) => ({name, points: (columns[column] ?? []).map((y, i) => [columns.step[i], y])});

function chart(place, curves, options) {
  const made = lineChart(curves, {xLabel: "step", ...options});
  byId(place).append(made.figure);
  marking.push(made.mark);
}

// --- What was measured ---------------------------------------------------------------

byId("title").textContent = data.title;
byId("state").textContent = data.state;
chart("game", [series("D", "discriminator_loss"), series("G", "generator_loss")], {title: "Loss"});
const scores = [...(columns.d_real ?? []), ...(columns.d_fake ?? [])];
const areShares = scores.every((x) => x === null || (x >= 0 && x <= 1));
chart("game", [series("D(x), real images", "d_real"), series("D(G(z)), fakes", "d_fake")],
  {title: areShares ? "Probability of being real, says D" : "Score that D gives", ...(areShares ? {low: 0, high: 1, reference: 0.5} : {})});
chart("collapse", [series("of real images", "d_accuracy_real"), series("of fakes", "d_accuracy_fake")],
  {title: "Accuracy of D", low: 0, high: 1, reference: 0.5});
chart("collapse", [series("diversity", "diversity")], {title: "Diversity of samples, over that of real images", low: 0, reference: 1});
if (columns.effective_classes) {
  chart("collapse", [series("classes", "effective_classes")],
    {title: "Classes that are drawn: exp of the entropy", low: 1, high: data.classes.length});
}
if (columns.frechet_distance) {
  chart("collapse", [series("Fréchet distance", "frechet_distance")], {title: "Distance from real digits", log: true});
  chart("collapse", [series("precision", "precision"), series("recall", "recall")], {title: "Precision and recall", low: 0, high: 1});
}

/** "generator.body.3" in words: G, layer 3. */
function layerName(name) {
  const [player, ...path] = name.split("."), shape = data.shapes[name];
  return `${player[0].toUpperCase()} ${path.join(".")}${shape ? ` (${shape[1]} → ${shape[0]})` : ""}`;
}
for (const [prefix, title, options] of [["gradient_norm.", "Norm of gradients", {log: true}], ["dead.", "Dead units", {low: 0, high: 1}]]) {
  for (const [player, name] of [["generator", "G"], ["discriminator", "D"]]) {
    const names = Object.keys(columns).filter((each) => each.startsWith(`${prefix}${player}`));
    if (names.length || prefix !== "dead.") {
      chart("layers", names.map((each) => series(layerName(each.slice(prefix.length)), each)), {title: `${title}, ${name}`, ...options});
    }
  }
}
const rates = timings.steps.map((step, i) => [step, i && timings.images_per_step * (step - timings.steps[i - 1]) / (timings.seconds[i] - timings.seconds[i - 1])]);
chart("speed", [{name: "images per second", points: rates.slice(1).filter(([, y]) => y > 0 && Number.isFinite(y))}],
  {title: "Images per second, with all that was written between", low: 0});
for (const [name, value] of Object.entries(data.settings)) {
  const shown = value === null ? "none" : Array.isArray(value) ? value.join(", ") : String(value);
  byId("settings").append(make("div", {}, make("dt", {}, name), make("dd", {}, shown)));
}

// --- Classes over epochs -------------------------------------------------------------

const shareRows = data.classes.map((_, i) => columns[`sample_share_of_${i}`] ?? []);
const measured = columns.epoch.map((_, i) => i).filter((i) => (shareRows[0][i] ?? null) !== null);
let showShares = () => {};
if (measured.length) {
  const figure = make("figure", {}, make("figcaption", {}, "Shares of the classes, over epochs"));
  const note = make("p", {class: "quiet"}, "A row for each class, the stronger the more of them; beside it the epoch of the slider. At best all rows are alike.");
  const plot = make("svg", {class: "plot", role: "img"});
  figure.append(note, plot);
  byId("shares").append(figure);
  const most = Math.max(...measured.flatMap((i) => shareRows.map((row) => row[i])), 1e-9);
  let shown = measured.at(-1);
  showShares = (step = columns.step[shown]) => {
    shown = measured.reduce((best, i) => (Math.abs(columns.step[i] - step) < Math.abs(columns.step[best] - step) ? i : best));
    const width = Math.max(300, figure.clientWidth || 700), left = 26, barsLeft = width * 0.64, each = (barsLeft - left - 12) / measured.length, row = 21;
    plot.setAttribute("viewBox", `0 0 ${width} ${row * data.classes.length + 20}`);
    plot.replaceChildren();
    data.classes.forEach((name, k) => {
      const y = k * row;
      plot.append(make("text", {x: left - 7, y: y + 15, "text-anchor": "end"}, name.length > 4 ? `${name.slice(0, 3)}…` : name));
      measured.forEach((i, place) => plot.append(make("rect", {class: "cell", x: (left + place * each).toFixed(1), y, width: Math.max(each - Math.min(1, each * 0.06), 0.5).toFixed(1),
        height: row - 2, "fill-opacity": (0.04 + 0.96 * shareRows[k][i] / most).toFixed(3)})));
      const share = shareRows[k][shown], room = width - barsLeft - 52;
      plot.append(make("rect", {class: "bar", x: barsLeft, y: y + 2, width: Math.max(1, share / most * room).toFixed(1), height: row - 6}));
      plot.append(make("text", {x: barsLeft + share / most * room + 6, y: y + 15}, `${(100 * share).toFixed(1)} %`));
    });
    const at = left + measured.indexOf(shown) * each;
    plot.append(make("rect", {class: "chosen", x: at, y: 0, width: Math.max(each, 2), height: row * data.classes.length - 2}));
    plot.append(make("text", {x: left, y: row * data.classes.length + 14}, `epoch ${[...new Set([columns.epoch[measured[0]], columns.epoch[measured.at(-1)]])].join(" to ")}`));
    plot.append(make("text", {x: barsLeft, y: row * data.classes.length + 14}, `epoch ${columns.epoch[shown]}`));
    plot.setAttribute("aria-label", `Epoch ${columns.epoch[shown]}: ${data.classes.map((name, k) => `${name} ${(100 * shareRows[k][shown]).toFixed(1)} %`).join(", ")}`);
  };
  new ResizeObserver(() => showShares()).observe(figure);
}
marking.push((step) => showShares(step));

// --- Histograms ----------------------------------------------------------------------

function showHistograms(step) {
  const place = byId("histograms");
  if (!data.histograms.length) {
    place.replaceChildren(make("p", {class: "quiet"}, "Nothing was measured."));
    return;
  }
  const chosen = data.histograms.reduce((best, each) => (Math.abs(each.step - step) < Math.abs(best.step - step) ? each : best));
  const ends = (name, kind) => {
    const all = data.histograms.filter((each) => each.layers[name]).map((each) => each.layers[name][kind]);
    return [Math.min(...all.map((h) => h.low)), Math.max(...all.map((h) => h.high))];
  };
  place.replaceChildren(...Object.entries(chosen.layers).map(([name, {weights, updates}]) => {
    const made = [["weights", weights], ["updates", updates]].map(([kind, h]) => make("figure", {}, barChart(`${kind} of ${layerName(name)}`, h, ...ends(name, kind), kind),
      make("span", {class: "reading"}, `${kind}: ${short(h.low)} to ${short(h.high)}, typically ±${short(h.rms)}`)));
    const ratio = weights.rms > 0 ? `; a step moves a weight by ${short(updates.rms / weights.rms)} of its size` : "";
    return make("div", {}, make("h3", {}, layerName(name)), make("span", {class: "reading"}, `epoch ${chosen.epoch}${ratio}`), make("div", {class: "small"}, ...made));
  }));
}
marking.push(showHistograms);

// --- The slider ----------------------------------------------------------------------

// An image's pixel is one of the picture's, which is too small for most screens.
byId("grid").addEventListener("load", ({target}) => { target.style.width = `${2 * target.naturalWidth}px`; });
const slider = byId("epoch"), grid = byId("grid"), play = byId("play");
function show(place) {
  const {epoch, step, png} = data.samples[place];
  slider.value = place;
  slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
  byId("now").textContent = `epoch ${epoch} of ${data.settings.epochs}`;
  grid.src = png;
  grid.alt = `Samples after epoch ${epoch}`;
  for (const mark of marking) mark(step);
}
let playing = 0;
function stop() {
  clearInterval(playing);
  playing = 0;
  play.textContent = "Play";
  play.setAttribute("aria-pressed", "false");
}
if (data.samples.length) {
  const last = data.samples.length - 1;
  slider.max = last;
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  play.addEventListener("click", () => {
    if (playing) return stop();
    if (+slider.value === last) show(0);
    play.textContent = "Stop";
    play.setAttribute("aria-pressed", "true");
    playing = setInterval(() => (+slider.value < last ? show(+slider.value + 1) : stop()), 200);
  });
  show(last);
} else {
  byId("time").hidden = true;
  byId("samples").hidden = true;
  showHistograms(0);
}

// --- The latent explorer -------------------------------------------------------------

const generator = data.generator && new Generator(data.generator);
if (generator) {
  const {latent_dim: size, classes: count} = generator, shown = Math.min(8, size), named = count > 0;
  let seed = 1, noise = normals(size, seed);
  const ends = {from: normals(size, 2), to: normals(size, 3)};
  const mixture = (shares) => (named ? data.classes.map((_, i) => shares[i] ?? 0) : []);
  const classOf = (id) => ({[byId(id).value]: 1});
  const redraw = () => paint(byId("drawn"), [generator.draw(noise, mixture(classOf("class")))], generator.shape);
  const redrawWay = () => {
    const at = (part) => {
      const shares = {};
      shares[byId("from").value] = 1 - part;
      shares[byId("to").value] = (shares[byId("to").value] ?? 0) + part;
      return generator.draw(between(ends.from, ends.to, part), mixture(shares));
    };
    paint(byId("way"), [...Array.from({length: 9}, (_, i) => at(i / 8)), at(byId("part").value / 100)], generator.shape);
  };
  for (const id of ["class", "from", "to"]) {
    byId(id).append(...data.classes.map((name, i) => make("option", {value: i}, name)));
    byId(id).hidden = !named;
  }
  byId("classes").hidden = !named;
  if (named && count > 1) byId("to").value = 1;
  const sliders = Array.from({length: shown}, (_, i) => {
    const input = make("input", {type: "range", min: -3, max: 3, step: 0.05, "aria-label": `Number ${i + 1} of the noise`}), value = make("output");
    input.addEventListener("input", () => { noise[i] = +input.value; value.textContent = noise[i].toFixed(2); redraw(); });
    byId("dimensions").append(make("label", {}, `z${i + 1}`, input, value));
    return () => { input.value = noise[i]; value.textContent = noise[i].toFixed(2); };
  });
  const fresh = () => { noise = normals(size, seed++); sliders.forEach((each) => each()); redraw(); };
  byId("fresh").addEventListener("click", fresh);
  byId("class").addEventListener("input", redraw);
  for (const id of ["from", "to"]) {
    byId(`other-${id}`).addEventListener("click", () => { ends[id] = normals(size, 1000 + seed++); redrawWay(); });
    byId(id).addEventListener("input", redrawWay);
  }
  byId("part").addEventListener("input", redrawWay);
  byId("explorer").hidden = false;
  fresh();
  redrawWay();
}
