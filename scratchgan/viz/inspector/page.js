"use strict";
// One page, one recording or several. A tape is laid out once (and again when a module is folded);
// moving in time changes the classes of the nodes between two moments and nothing else.

const page = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WIDE = 118, HIGH = 38;

function element(name, attributes = {}, ...children) {
  const made = ["svg", "g", "rect", "text", "path", "title"].includes(name)
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

let tape, time = 0, chosen = null, timer = null;
const view = { x: 0, y: 0, scale: 1 };

// --- The tape as a graph ---------------------------------------------------------------------

// A tape's nodes: its calls, and a leaf for each value that no call made. A parameter is drawn in
// each module's pass that uses it, so that its edges stay short.
function prepare(source) {
  const made = { ...source, nodes: [], edges: [], byCall: [], byValue: new Map(), folded: new Set(), groups: new Map() };
  const producer = new Map(source.calls.map((call, i) => [call.output, i]));
  // A module that is one call needs no box around it: the call bears its name.
  const many = new Map();
  for (const call of source.calls) call.group.forEach((_, depth) => {
    const path = call.group.slice(0, depth + 1).join(".");
    many.set(path, (many.get(path) || 0) + 1);
  });
  const boxOf = (call) => many.get(call.group.join(".")) === 1 && call.group.length > 1 ? call.group.slice(0, -1) : call.group;
  source.calls.forEach((call, i) => {
    const key = `c${i}`, group = boxOf(call);
    made.byCall[i] = key;
    const own = group === call.group ? "" : `${call.group.at(-1)}: `;
    made.nodes.push({ key, call: i, group, label: own + labelOf(call), shape: shapeOf(source.values[call.output]) });
  });
  const known = new Set();
  source.calls.forEach((call, i) => call.inputs.forEach((input, position) => {
    if (typeof input === "string") return;
    const from = producer.get(input);
    if (from !== undefined && from < i) {
      made.edges.push({ from: `c${from}`, to: `c${i}`, position });
      return;
    }
    const value = source.values[input];
    const group = value.kind === "parameter" ? boxOf(call) : [];
    const key = `v${input}@${group.join(".")}`;
    if (!known.has(key)) {
      known.add(key);
      const name = !value.name ? value.kind : value.kind === "parameter" ? within(group, value.name) : value.name;
      made.nodes.push({ key, value: input, group, label: name, title: value.name, shape: shapeOf(value), kind: value.kind });
      made.byValue.set(input, [...(made.byValue.get(input) || []), key]);
    }
    made.edges.push({ from: key, to: `c${i}`, position });
  }));
  // What is changed and not used again has no node of its own: it is shown where it was.
  for (const [kind, before, after] of source.moments) {
    if (kind === "u" && !made.byValue.has(after)) made.byValue.set(after, made.byValue.get(before) || []);
  }
  for (const node of made.nodes) {
    node.group.forEach((_, depth) => {
      const path = node.group.slice(0, depth + 1).join(".");
      made.groups.set(path, (made.groups.get(path) || 0) + (node.call !== undefined));
    });
  }
  made.nodeOf = new Map(made.nodes.map((node) => [node.key, node]));
  made.into = new Map();
  for (const edge of made.edges) made.into.set(`${edge.to}/${edge.position}`, edge);
  // Modules of few calls say nothing that their own node would not; of large tapes all are folded.
  if (made.nodes.length > 160) for (const [path] of made.groups) if (path.includes(".")) made.folded.add(path);
  if (made.nodes.length > 500) for (const [path] of made.groups) made.folded.add(path);
  return made;
}

// A parameter's name as its module knows it: "weight" of "model.0.weight" in model, 0. A model without a
// name is a group, but no part of the name.
function within(group, name) {
  const parts = name.split("."), path = group.map((part, i) => (i ? part : part.replace(/ \(\d+\)$/, "")));
  while (path.length && !path.every((part, i) => part === parts[i])) path.shift();
  return parts.slice(path.length).join(".");
}

const pen = element("canvas").getContext("2d");
function lengthOf(text, size) {
  pen.font = `${size}px system-ui, sans-serif`;
  return pen.measureText(text).width;
}

// Names may be of any length; the whole of one is in the title and in the details.
const LONGEST = 280;
function cut(text, most = LONGEST, size = 12) {
  if (lengthOf(text, size) <= most) return text;
  const kept = [...text.slice(0, most)];
  while (kept.length && lengthOf(`${kept.join("")}…`, size) > most) kept.pop();
  return `${kept.join("")}…`;
}

function labelOf(call) {
  const numbers = call.inputs.filter((input) => typeof input === "string").map(short);
  const activation = call.keywords.activation;
  const extra = numbers.length ? ` ${numbers.join(", ")}` : activation && activation !== "none" ? ` + ${activation}` : "";
  return call.primitive + extra;
}

const shapeOf = (value) => value.shape.length ? value.shape.join(" × ") : "number";
const short = (text) => /^-?[\d.e+-]+$/.test(text) ? String(Number(Number(text).toPrecision(4))) : text;

// Its name and its class, which is all of its name where it has none.
const moduleName = (path) => [...new Set([path.split(".").pop(), tape.modules[path]])].filter(Boolean).join(" ");

// Where a node is drawn: itself, or the outermost folded module that it is in.
function drawnAs(node) {
  for (let depth = 1; depth <= node.group.length; depth++) {
    const path = node.group.slice(0, depth).join(".");
    if (tape.folded.has(path)) return `g${path}`;
  }
  return node.key;
}

function layOut() {
  tape.drawn = new Map(tape.nodes.map((node) => [node.key, drawnAs(node)]));
  const nodes = new Map();
  for (const node of tape.nodes) {
    const key = tape.drawn.get(node.key);
    if (!nodes.has(key)) nodes.set(key, node);
  }
  const edges = new Map();
  for (const edge of tape.edges) {
    const [from, to] = [tape.drawn.get(edge.from), tape.drawn.get(edge.to)];
    edge.drawn = `${from}→${to}`;
    if (from !== to) edges.set(edge.drawn, [from, to]);
  }
  const laid = { boxes: new Map(), groups: [], lines: new Map(), width: 0, height: 0 };
  for (const keys of inPieces([...nodes.keys()])) layOutPiece(keys, nodes, edges, laid);
  for (const [name, [from, to]] of edges) {
    if (laid.lines.has(name)) continue;
    const [above, below] = [laid.boxes.get(from), laid.boxes.get(to)];
    laid.lines.set(name, [{ x: above.x, y: above.y + HIGH / 2 }, { x: below.x, y: below.y - HIGH / 2 }]);
  }
  draw(laid, nodes);
}

// The layout calls itself once for each layer, so that a long tape would overflow the stack, and its
// time grows faster than the tape: a long tape is laid out in pieces, one below the other.
const PIECE = 400;
function inPieces(keys) {
  const order = new Map();  // of what is drawn: its first call, or for a leaf the first that takes it
  for (const node of tape.nodes) if (node.call !== undefined) {
    const key = tape.drawn.get(node.key);
    order.set(key, Math.min(order.get(key) ?? Infinity, node.call));
  }
  for (const edge of tape.edges) {
    const key = tape.drawn.get(edge.from);
    if (!order.has(key)) order.set(key, tape.nodeOf.get(edge.to).call);
  }
  keys.sort((a, b) => order.get(a) - order.get(b));
  const pieces = [];
  for (let i = 0; i < keys.length; i += PIECE) pieces.push(keys.slice(i, i + PIECE));
  return pieces;
}

function layOutPiece(keys, nodes, edges, laid) {
  const graph = new dagre.graphlib.Graph({ compound: true });
  graph.setGraph({ rankdir: "TB", nodesep: 16, ranksep: 26, marginx: 20, marginy: 34 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const key of keys) {
    const node = nodes.get(key);
    graph.setNode(key, { width: Math.max(WIDE, lengthOf(cut(key[0] === "g" ? `▸ ${moduleName(key.slice(1))}` : node.label), 12) + 26), height: HIGH });
    const path = key[0] === "g" ? key.slice(1).split(".").slice(0, -1) : node.group;
    path.forEach((_, depth) => {
      const own = `m${path.slice(0, depth + 1).join(".")}`;
      if (!graph.hasNode(own)) graph.setNode(own, {});
      if (depth) graph.setParent(own, `m${path.slice(0, depth).join(".")}`);
    });
    if (path.length) graph.setParent(key, `m${path.join(".")}`);
  }
  for (const [from, to] of edges.values()) if (graph.hasNode(from) && graph.hasNode(to)) graph.setEdge(from, to);
  dagre.layout(graph);
  const above = laid.height;
  const down = (place) => ({ ...place, y: place.y + above });
  // Above what is in a group there is room for its name, also where that is another group.
  const topOf = (key) => {
    const box = graph.node(key), inner = graph.children(key).filter((each) => each[0] === "m").map(topOf);
    return Math.min(box.y - box.height / 2 - 14, ...inner.map((top) => top - 18));
  };
  for (const key of graph.nodes()) {
    if (key[0] === "m") laid.groups.push([key.slice(1), { ...down(graph.node(key)), top: above + topOf(key) }]);
    else laid.boxes.set(key, down(graph.node(key)));
  }
  for (const edge of graph.edges()) laid.lines.set(`${edge.v}→${edge.w}`, graph.edge(edge).points.map(down));
  laid.width = Math.max(laid.width, graph.graph().width);
  laid.height += graph.graph().height;
}

function draw(laid, nodes) {
  const view = $("view");
  view.replaceChildren();
  tape.shapes = new Map();
  tape.lines = new Map();
  for (const [path, box] of laid.groups.sort(([a], [b]) => a.length - b.length)) {
    const g = element("g", { class: "group" });
    const left = box.x - box.width / 2, { top } = box;
    g.append(element("rect", { x: left, y: top, width: box.width, height: box.y + box.height / 2 - top }));
    const text = element("text", { x: left + 8, y: top + 15, "data-fold": path }, cut(`▾ ${moduleName(path)}`, box.width - 16, 13));
    g.append(text, element("title", {}, path));
    view.append(g);
  }
  for (const [name, points] of laid.lines) {
    const d = points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");
    const line = element("path", { class: "edge", d });
    tape.lines.set(name, line);
    view.append(line);
  }
  for (const [key, node] of nodes) {
    const box = laid.boxes.get(key);
    const isFolded = key[0] === "g";
    const kind = isFolded ? "folded" : node.call === undefined ? `leaf ${node.kind}` : "call";
    const g = element("g", { class: `node ${kind}`, transform: `translate(${box.x} ${box.y})`, "data-key": key });
    g.append(element("rect", { x: -box.width / 2, y: -HIGH / 2, width: box.width, height: HIGH, rx: 5 }));
    const path = key.slice(1);
    g.append(element("text", { y: -2 }, cut(isFolded ? `▸ ${moduleName(path)}` : node.label)));
    const calls = tape.groups.get(path);
    g.append(element("text", { y: 12, class: "shape" }, isFolded ? `${calls} ${calls === 1 ? "call" : "calls"}` : node.shape));
    g.append(element("text", { class: "nabla", x: box.width / 2 - 5, y: -7 }, "∇"));
    g.append(element("title", {}, isFolded ? path : node.title || [...node.group, node.label].join(" › ")));
    g.dataset.base = g.getAttribute("class");
    tape.shapes.set(key, g);
    view.append(g);
  }
  tape.extent = { width: laid.width, height: laid.height };
  tape.counts = new Map();  // of what is drawn: how many of its nodes are done, and have gradients
  const at = time;
  time = 0;
  moveTo(at);
  if (chosen) mark(chosen);
}

// --- Time ------------------------------------------------------------------------------------

// Moment 0 is before anything; moment i is after the i-th has happened.
function moveTo(moment) {
  const target = Math.max(0, Math.min(tape.moments.length, moment));
  while (time < target) happen(tape.moments[time++], 1);
  while (time > target) happen(tape.moments[--time], -1);
  document.querySelectorAll(".node.now").forEach((g) => g.classList.remove("now"));
  const last = time ? tape.moments[time - 1] : null;
  for (const key of last ? nodesOf(last) : []) tape.shapes.get(tape.drawn.get(key))?.classList.add("now");
  $("time").value = time;
  $("moment").value = $("moment").title = describe(last);
  show(chosen || (last && nodesOf(last)[0]) || null);
}

function nodesOf(moment) {
  if (moment[0] === "u") return [...(tape.byValue.get(moment[1]) || []), ...(tape.byValue.get(moment[2]) || [])];
  return [tape.byCall[moment[1]]];
}

function happen(moment, by) {
  if (moment[0] === "f") {
    const key = tape.byCall[moment[1]];
    count(key, "done", by);
    tape.calls[moment[1]].inputs.forEach((input, position) => {
      const edge = tape.into.get(`${key}/${position}`);
      if (!edge) return;
      count(edge.drawn, "done", by, tape.lines);
      if (edge.from[0] === "v") count(edge.from, "done", by);
    });
  } else if (moment[0] === "b") {
    const key = tape.byCall[moment[1]];
    count(key, "got", by);
    for (const [position, value] of Object.entries(moment[3])) {
      const edge = tape.into.get(`${key}/${position}`);
      if (!edge) continue;
      if (edge.from[0] === "v") count(edge.from, "got", by);
      count(edge.drawn, "got", by, tape.lines);
      const line = tape.lines.get(edge.drawn);
      if (line) {
        line.style.strokeWidth = by > 0 ? widthOf(tape.values[value]) : "";
        line.classList.toggle("weak", by > 0 && isWeak(tape.values[value]));
      }
    }
  }
}

function count(key, what, by, of = tape.shapes) {
  const name = of === tape.shapes ? tape.drawn.get(key) : key;
  const counted = `${name} ${what}`;
  const many = (tape.counts.get(counted) || 0) + by;
  tape.counts.set(counted, many);
  of.get(name)?.classList.toggle(what, many > 0);
}

// A gradient's size is that of a typical element, on a logarithmic scale between the tape's.
function widthOf(value) {
  const [low, high] = tape.range;
  if (value.bad) return 7.5;
  if (!value.rms) return 1;
  const share = high > low ? (Math.log10(value.rms) - low) / (high - low) : 0.5;
  return 1.5 + 6 * Math.max(0, Math.min(1, share));
}
const isWeak = (value) => !value.bad && (!value.rms || value.rms < 1e-7);

function measure(made) {
  const logs = made.moments.filter((m) => m[0] === "b").flatMap((m) => Object.values(m[3]))
    .map((v) => made.values[v].rms).filter((rms) => rms > 0).map(Math.log10);
  made.range = logs.length ? [Math.min(...logs), Math.max(...logs)] : [0, 1];
  const sorted = [...logs].sort((a, b) => a - b);
  made.middle = sorted.length ? sorted[sorted.length >> 1] : 0;
}

function describe(moment) {
  const where = `${time} of ${tape.moments.length}`;
  if (!moment) return `${where}: before the first`;
  if (moment[0] === "u") return `${where}: update of ${tape.values[moment[1]].name}`;
  const call = tape.calls[moment[1]];
  const place = call.group.length ? ` in ${call.group.join(".")}` : "";
  return `${where}: ${moment[0] === "f" ? "forward" : "backward"}, ${call.primitive}${place}`;
}

// --- Details ---------------------------------------------------------------------------------

function show(key) {
  const box = $("details");
  if (!key) {
    box.replaceChildren(element("h2", {}, "Before the first moment"),
      element("p", {}, "Move the slider, or press →. First each primitive computes its output (forward); then gradients go back, from the last node to the first (backward); then the optimizer changes the parameters (update). Click a node to see what it holds."));
    return;
  }
  const node = tape.nodeOf.get(key);
  box.replaceChildren(...(node.call === undefined ? leafDetails(node) : callDetails(node)));
}

function backwardOf(call) {
  return tape.moments.slice(0, time).find((m) => m[0] === "b" && m[1] === call);
}

function callDetails(node) {
  const call = tape.calls[node.call];
  const op = page.primitives[call.primitive];
  const done = tape.moments.slice(0, time).some((m) => m[0] === "f" && m[1] === node.call);
  const back = backwardOf(node.call);
  const parts = [element("h2", {}, node.label)];
  if (call.group.length) parts.push(element("p", { class: "place" }, call.group.join(" › ")));
  parts.push(mathOf(op.formula), source(op.source, op.place));
  const keywords = Object.entries(call.keywords);
  if (keywords.length) parts.push(element("p", { class: "place" }, keywords.map(([k, v]) => `${k} = ${v}`).join(", ")));
  parts.push(element("h3", {}, "out"), done ? card(tape.values[call.output], "value", deadOf(call)) : nothing("not computed yet"));
  if (call.needs.some(Boolean)) {
    parts.push(back ? card(tape.values[back[2]], "gradient g that arrived", sizeMark(tape.values[back[2]])) : nothing("no gradient has arrived yet"));
  }
  if (call.needs.some(Boolean)) for (const shared of op.shared) {
    parts.push(element("p", { class: "place" }, `${shared.name}, which several gradients share`), source(shared.text, shared.place));
  }
  call.inputs.forEach((input, position) => {
    const vjp = op.vjps.find((v) => v.position === position) || op.vjps.find((v) => v.variadic && position >= v.position);
    const name = op.inputs[Math.min(position, op.inputs.length - 1)];
    const what = typeof input === "string" ? input : tape.values[input].name || "";
    parts.push(element("h3", {}, what ? `${name}: ${what}` : name));
    if (typeof input !== "string") parts.push(card(tape.values[input], "value"));
    if (!call.needs[position] || !vjp) return;
    parts.push(element("p", { class: "place" }, `gradient of ${name}`));
    if (vjp.formula) parts.push(mathOf(vjp.formula));
    parts.push(source(vjp.text, vjp.place));
    const left = back && back[3][position];
    parts.push(left !== undefined && left !== null ? card(tape.values[left], "gradient that left", sizeMark(tape.values[left])) : nothing("no gradient has left yet"));
  });
  return parts;
}

function leafDetails(node) {
  const value = tape.values[node.value];
  let now = node.value;
  const parts = [element("h2", {}, value.name || value.kind), element("p", { class: "place" }, value.kind), card(value, "value")];
  for (const moment of tape.moments.slice(0, time)) {
    if (moment[0] === "b") {
      for (const [position, gradient] of Object.entries(moment[3])) {
        const edge = tape.into.get(`${tape.byCall[moment[1]]}/${position}`);
        if (edge && edge.from === node.key) parts.push(card(tape.values[gradient], `gradient from ${tape.calls[moment[1]].primitive}`, sizeMark(tape.values[gradient])));
      }
    } else if (moment[0] === "u" && moment[1] === now) {
      parts.push(element("h3", {}, "after the update"), card(tape.values[moment[2]], "value"));
      const change = moment[4];
      if (change) parts.push(card(change, "change"));
      if (tape.byValue.get(moment[2]).includes(node.key)) now = moment[2];
    }
  }
  return parts;
}

function deadOf(call) {
  const dead = tape.values[call.output].dead;
  return dead ? `${(100 * dead).toFixed(0)} % of the units are off for the whole batch` : "";
}

function sizeMark(value) {
  if (value.rms === undefined) return "";  // without elements, or all of them are not finite
  if (!value.rms) return "zero: nothing is learned from here on";
  const away = Math.log10(value.rms) - tape.middle;
  if (value.rms < 1e-7 || away < -4) return "vanishing: far smaller than most gradients here";
  return away > 4 ? "exploding: far larger than most gradients here" : "";
}

const nothing = (text) => element("p", { class: "none" }, text);

function mathOf(markup) {
  const holder = element("div");
  holder.innerHTML = markup;  // made by this project's own printer
  return holder;
}

function source(text, place) {
  const holder = element("details");
  if (text.length < 120 && !text.includes("\n")) holder.open = true;
  holder.append(element("summary", { class: "place" }, place), element("pre", {}, text));
  return holder;
}

function card(value, title, markText = "") {
  const box = element("div", { class: "card" });
  box.append(element("b", {}, title), ` ${shapeOf(value)} ${value.dtype} `);
  if (value.gone) box.append(nothing("the tape has not kept it; inspect a function to see it"));
  const bad = value.bad ? `${value.bad} of its elements ${value.bad === 1 ? "is" : "are"} not finite` : "";
  for (const text of [bad, markText].filter(Boolean)) box.append(element("span", { class: "mark" }, `⚠ ${text} `));
  if (value.numbers && value.numbers.length <= 12) box.append(element("p", {}, value.numbers.map((x) => typeof x === "number" ? number(x) : x).join("  ")));
  if (value.bars) {
    const list = element("dl");
    for (const name of ["min", "mean", "max", "std"]) list.append(element("dt", {}, name), element("dd", {}, number(value[name])));
    box.append(list, histogram(value));
  }
  if (value.picture) box.append(picture(value));
  return box;
}

const number = (x) => x === 0 ? "0" : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(4))) : x.toExponential(2);

function histogram(value) {
  const most = Math.max(...value.bars), wide = 240 / value.bars.length;
  const svg = element("svg", { class: "bars", viewBox: "0 0 240 40", width: "100%", height: "40", role: "img", preserveAspectRatio: "none" });
  svg.setAttribute("aria-label", `histogram from ${number(value.min)} to ${number(value.max)}`);
  value.bars.forEach((many, i) => {
    const high = many ? Math.max(1.5, 38 * many / most) : 0;
    svg.append(element("rect", { x: i * wide, y: 40 - high, width: wide - 1, height: high }));
  });
  return svg;
}

// Blue below zero, orange above, black or white at zero; where all have one sign, from dark to light.
function picture(value) {
  const { width, height, pixels } = value.picture;
  const canvas = element("canvas", { width, height, role: "img", "aria-label": `picture of ${shapeOf(value)}` });
  const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const most = Math.max(Math.abs(value.min), Math.abs(value.max)) || 1, signed = value.min < 0 && value.max > 0;
  for (let i = 0; i < bytes.length; i++) {
    const x = value.min * (1 - bytes[i] / 255) + value.max * (bytes[i] / 255);
    let rgb = [bytes[i], bytes[i], bytes[i]];
    if (signed) {
      const t = Math.min(1, Math.abs(x) / most);
      rgb = x < 0 ? [247 - 215 * t, 247 - 145 * t, 247 - 67 * t] : [247 - 17 * t, 247 - 150 * t, 247 - 247 * t];
    }
    image.data.set([...rgb, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  if (width < 8) canvas.style.width = `${width * 16}px`;
  return canvas;
}

// --- Hands -----------------------------------------------------------------------------------

function choose(key) {
  chosen = chosen === key ? null : key;
  mark(chosen);
  show(chosen || null);
  if (!chosen) moveTo(time);
}

function mark(key) {
  document.querySelectorAll(".node.chosen").forEach((g) => g.classList.remove("chosen"));
  if (key) tape.shapes.get(tape.drawn.get(key))?.classList.add("chosen");
}

function fold(path) {
  tape.folded.has(path) ? tape.folded.delete(path) : tape.folded.add(path);
  layOut();
}

function place() {
  $("view").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
}

function fit() {
  const box = $("svg").getBoundingClientRect(), { width, height } = tape.extent;
  view.scale = Math.min(1.2, box.width / width, Math.max(box.height / height, 0.35));
  view.x = (box.width - width * view.scale) / 2;
  view.y = Math.max(0, (box.height - height * view.scale) / 2);
  place();
  const last = time ? tape.moments[time - 1] : null;
  if (last) bring(nodesOf(last)[0]);
}

function zoom(by, x, y) {
  const scale = Math.max(0.03, Math.min(4, view.scale * by));
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  place();
}

function bring(key) {
  const g = tape.shapes.get(tape.drawn.get(key));
  if (!g) return;
  const [, x, y] = g.getAttribute("transform").match(/translate\(([-\d.]+) ([-\d.]+)\)/).map(Number);
  const box = $("svg").getBoundingClientRect();
  const [left, top] = [view.x + x * view.scale, view.y + y * view.scale];
  if (left < 30 || top < 30 || left > box.width - 30 || top > box.height - 30) {
    view.x = box.width / 2 - x * view.scale;
    view.y = box.height / 2 - y * view.scale;
    place();
  }
}

function step(by) {
  moveTo(time + by);
  const last = time ? tape.moments[time - 1] : null;
  if (last && nodesOf(last)[0]) bring(nodesOf(last)[0]);
}

function play() {
  const isPlaying = timer !== null;
  clearInterval(timer);
  timer = isPlaying ? null : setInterval(() => time < tape.moments.length ? step(1) : play(), 350);
  if (!isPlaying && time === tape.moments.length) moveTo(0);
  $("play").textContent = isPlaying ? "▶ play" : "❚❚ pause";
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return;
  const keys = tape.nodes.filter((n) => `${n.group.join(".")}.${n.label} ${n.title || ""}`.toLowerCase().includes(wanted)).map((n) => n.key);
  const next = keys[(keys.indexOf(chosen) + 1) % keys.length];
  $("find").setAttribute("aria-invalid", String(!keys.length));
  if (!keys.length) return;
  const node = tape.nodeOf.get(next);
  const before = tape.folded.size;
  node.group.forEach((_, depth) => tape.folded.delete(node.group.slice(0, depth + 1).join(".")));
  if (tape.folded.size !== before) layOut();
  chosen = next;
  mark(next);
  show(next);
  bring(next);
}

function open(number) {
  const known = open.prepared[number];
  tape = known || (open.prepared[number] = prepare(page.tapes[number]));
  if (!known) measure(tape);
  time = 0;
  chosen = null;
  $("time").max = tape.moments.length;
  [...$("tapes").children].forEach((tab, i) => tab.setAttribute("aria-selected", String(i === number)));
  layOut();
  fit();
}
open.prepared = [];

page.tapes.forEach((source, i) => {
  const tab = element("button", { role: "tab" }, source.title);
  tab.addEventListener("click", () => open(i));
  $("tapes").append(tab);
});
$("time").addEventListener("input", (event) => step(Number(event.target.value) - time));
$("first").addEventListener("click", () => moveTo(0));
$("last").addEventListener("click", () => moveTo(tape.moments.length));
$("back").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("play").addEventListener("click", play);
$("fit").addEventListener("click", fit);
$("fold").addEventListener("click", () => {
  const all = [...tape.groups.keys()];
  tape.folded = tape.folded.size ? new Set() : new Set(all);
  layOut();
  fit();
});
$("find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") find(event.target.value);
  if (event.key === "Escape") event.target.blur();
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=search]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), Home: () => moveTo(0), End: () => moveTo(tape.moments.length),
    "/": () => $("find").focus(), 0: fit, f: () => $("fold").click(), Escape: () => chosen && choose(chosen),
    "+": () => zoomMiddle(1.25), "-": () => zoomMiddle(0.8), " ": play,
  };
  const action = actions[event.key];
  if (!action || (event.key === " " && event.target.matches("button, summary"))) return;
  event.preventDefault();
  action();
});
function zoomMiddle(by) {
  const box = $("svg").getBoundingClientRect();
  zoom(by, box.width / 2, box.height / 2);
}

const svg = $("svg");
const fingers = new Map();
let moved = false;
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = svg.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
svg.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  moved = false;
});
svg.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY];
  if (Math.hypot(now[0] - before[0], now[1] - before[1]) > 3 || moved) moved = true; else return;
  const others = [...fingers].filter(([id]) => id !== event.pointerId);
  if (others.length) {
    const [x, y] = others[0][1], box = svg.getBoundingClientRect();
    const by = Math.hypot(now[0] - x, now[1] - y) / (Math.hypot(before[0] - x, before[1] - y) || 1);
    zoom(by, x - box.left, y - box.top);
  } else {
    view.x += now[0] - before[0];
    view.y += now[1] - before[1];
    place();
  }
  fingers.set(event.pointerId, now);
});
for (const name of ["pointerup", "pointercancel", "pointerleave"]) svg.addEventListener(name, (event) => fingers.delete(event.pointerId));
svg.addEventListener("click", (event) => {
  if (moved) return;
  const label = event.target.closest("[data-fold]"), node = event.target.closest(".node");
  if (label) fold(label.dataset.fold);
  else if (node) node.dataset.key[0] === "g" ? fold(node.dataset.key.slice(1)) : choose(node.dataset.key);
});
addEventListener("resize", fit);
open(0);
