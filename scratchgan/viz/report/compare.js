"use strict";
const byId = (id) => document.getElementById(id), {runs} = JSON.parse(byId("data").textContent);
const shown = (x) => (x === null || x === undefined ? "none" : Array.isArray(x) ? x.join(", ") : String(x));

/** A table with a column for each run; rows: [[name, [cell, ...]], ...]. */
function table(rows) {
  const head = make("tr", {}, make("th", {}, ""), ...runs.map((run) => make("th", {scope: "col"}, run.title)));
  return make("table", {}, head, ...rows.map(([name, cells]) => make("tr", {}, make("th", {scope: "row"}, name), ...cells.map((cell) => make("td", {}, cell)))));
}
function fill(id, rows, none) {
  byId(id).append(rows.length ? table(rows) : make("p", {class: "quiet"}, none));
}
const namesOf = (part) => [...new Set(runs.flatMap((run) => Object.keys(run[part])))];

const rows = namesOf("settings").map((name) => [name, runs.map((run) => shown(run.settings[name]))]);
fill("settings", rows.filter(([, cells]) => new Set(cells).size > 1), "All settings are the same.");
for (const run of runs) {
  const caption = make("figcaption", {}, run.title);
  byId("samples").append(make("figure", {}, caption, run.sample
    ? make("img", {class: "grid", src: run.sample.png, alt: `Samples of ${run.title} after epoch ${run.sample.epoch}`})
    : make("p", {class: "quiet"}, "There are none."), make("span", {class: "reading"}, run.sample ? `epoch ${run.sample.epoch}` : "")));
}
fill("measures", namesOf("measures").map((name) => [name.replaceAll("_", " "), runs.map((run) => (name in run.measures ? short(run.measures[name]) : "—"))]),
  "None of these trainings was evaluated.");

const CURVES = [
  ["diversity", "Diversity of samples, over that of real images", {low: 0, reference: 1}],
  ["effective_classes", "Classes that are drawn: exp of the entropy", {low: 1}],
  ["frechet_distance", "Fréchet distance from real digits", {log: true}],
  ["precision", "Precision", {low: 0, high: 1}],
  ["recall", "Recall", {low: 0, high: 1}],
  ["d_accuracy_real", "Accuracy of D, real images", {low: 0, high: 1, reference: 0.5}],
  ["d_accuracy_fake", "Accuracy of D, fakes", {low: 0, high: 1, reference: 0.5}],
  ["discriminator_loss", "Loss of D", {}],
  ["generator_loss", "Loss of G", {}],
  ["d_real", "What D gives real images", {}],
  ["d_fake", "What D gives fakes", {}],
];
for (const [column, title, options] of CURVES) {
  const curves = runs.map(({title: name, columns, images_per_step: size}) => ({name, points: (columns[column] ?? []).map((y, i) => [columns.step[i] * size, y])}));
  if (curves.some(({points}) => points.some(([, y]) => y !== null))) {
    byId("curves").append(lineChart(curves, {title, xLabel: "images", ...options}).figure);
  }
}
