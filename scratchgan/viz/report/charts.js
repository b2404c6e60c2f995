"use strict";
// Charts as inline SVG. A series is told from another by its dashes and its mark, not by colour alone.

const DASHES = ["", "7 3", "2 3", "10 3 2 3", "5 2 1 2 1 2", "1 4", "12 4", "4 1"];
const MARKS = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M-3-3h6v6h-6z", "M0-4 4 3-4 3z", "M0-4 4 0 0 4-4 0z", "M-3-3 3 3M3-3-3 3", "M0-4V4M-4 0H4",
  "M0 4 4-3-4-3z", "M-4-2h8v4h-8z"];

/** An element, of SVG if it is drawn: `make("p", {class: "quiet"}, "text")`. */
function make(name, attributes = {}, ...children) {
  const isDrawn = ["svg", "path", "line", "rect", "text", "g", "title"].includes(name);
  const made = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A number in as few letters as say something. */
function short(x) {
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  if (size >= 10000) return Math.round(x).toLocaleString("en");
  if (size < 0.001) return x.toExponential(1);
  return String(+x.toPrecision(3));
}

/** Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((x) => x * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step + 0); // not -0
  return found;
}

/** Powers of ten within a range, or its ends if there are none. */
function powers(low, high) {
  const found = [];
  for (let i = Math.ceil(Math.log10(low) - 1e-9); i <= Math.log10(high) + 1e-9; i++) found.push(10 ** i);
  return found.length > 1 ? found.filter((_, i) => i % Math.ceil(found.length / 6) === 0) : [low, high];
}

/**
 * Curves over a common axis.
 *
 * series: [{name, points: [[x, y], ...]}], x rising; options: title, xLabel, low and high (of y), log, reference (a y with
 * a line). Returns {figure, mark(x)}: mark shows a place in the chart, and what the curves are there.
 */
function lineChart(series, options) {
  series = series.map((each) => ({...each, points: each.points.filter(([, y]) => y !== null && (!options.log || y > 0))}));
  series = series.filter((each) => each.points.length);
  const figure = make("figure", {}, make("figcaption", {}, options.title));
  if (!series.length) {
    figure.append(make("p", {class: "quiet"}, "Nothing was measured."));
    return {figure, mark() {}};
  }
  const style = (i) => `stroke: var(--s${i % 8}); stroke-dasharray: ${DASHES[i % 8] || "none"}`;
  const key = (i) => make("svg", {viewBox: "0 0 34 12", "aria-hidden": "true"}, make("line", {x1: 0, x2: 34, y1: 6, y2: 6, class: "curve", style: style(i)}),
    make("path", {d: MARKS[i % 8], transform: "translate(17 6)", style: `fill: var(--s${i % 8}); stroke: var(--s${i % 8})`}));
  const legend = make("ul", {class: "legend"}, ...series.map((each, i) => make("li", {}, key(i), each.name)));
  const label = `${options.title}: ${series.map((each) => each.name).join(", ")}. Arrow keys read the values.`;
  const plot = make("svg", {class: "plot", tabindex: 0, role: "img", "aria-label": label});
  const reading = make("output", {class: "reading", "aria-live": "polite"});
  figure.append(legend, plot, reading);

  const xs = [...new Set(series.flatMap((each) => each.points.map(([x]) => x)))].sort((a, b) => a - b);
  const ys = series.flatMap((each) => each.points.map(([, y]) => y));
  let low = options.low ?? Math.min(...ys), high = options.high ?? Math.max(...ys);
  if (!(high > low)) [low, high] = options.log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  if (options.low === undefined && options.high === undefined && !options.log) [low, high] = [low - 0.04 * (high - low), high + 0.04 * (high - low)];
  else if (options.high === undefined && !options.log) high += 0.08 * (high - low);
  const [first, last] = [Math.min(0, xs[0]), xs.at(-1)];
  const scale = options.log ? Math.log10 : (y) => y;
  let marked = last, toX, height = 210, marker;

  function draw() {
    const width = Math.max(260, figure.clientWidth || 400), left = 46, right = 8, top = 8, bottom = 34;
    toX = (x) => left + (x - first) / (last - first || 1) * (width - left - right);
    const toY = (y) => top + (scale(high) - scale(y)) / (scale(high) - scale(low)) * (height - top - bottom);
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.replaceChildren();
    for (const y of options.log ? powers(low, high) : ticks(low, high, 4)) {
      plot.append(make("line", {class: "axis", x1: left, x2: width - right, y1: toY(y), y2: toY(y), opacity: 0.5}));
      plot.append(make("text", {x: left - 6, y: toY(y) + 4, "text-anchor": "end"}, short(y)));
    }
    for (const x of ticks(first, last || 1, Math.max(2, Math.round(width / 110)))) {
      plot.append(make("text", {x: toX(x), y: height - bottom + 16, "text-anchor": "middle"}, x.toLocaleString("en")));
    }
    plot.append(make("text", {x: width - right, y: height - 3, "text-anchor": "end"}, options.xLabel));
    plot.append(make("path", {class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}`}));
    if (options.reference !== undefined && options.reference > low && options.reference < high) {
      const y = toY(options.reference);
      plot.append(make("line", {class: "reference", x1: left, x2: width - right, y1: y, y2: y}));
    }
    series.forEach(({points}, i) => {
      const clipped = points.map(([x, y]) => [toX(x), toY(Math.min(high, Math.max(low, y)))]);
      plot.append(make("path", {class: "curve", style: style(i), d: `M${clipped.map((p) => p.map((z) => z.toFixed(1)).join(" ")).join("L")}`}));
      const every = Math.ceil(clipped.length / 5), offset = Math.floor(i * every / series.length);
      clipped.forEach(([x, y], j) => {
        if (clipped.length < 3 || j % every === offset) {
          plot.append(make("path", {d: MARKS[i % 8], transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
            style: `fill: var(--s${i % 8}); stroke: var(--s${i % 8})`}));
        }
      });
    });
    marker = make("line", {class: "marker", y1: top, y2: height - bottom});
    plot.append(marker);
    mark(marked);
  }

  const nearest = (points, x) => points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));

  function mark(x) {
    marked = Math.min(last, Math.max(first, x));
    marker.setAttribute("x1", toX(marked));
    marker.setAttribute("x2", toX(marked));
    // Of a curve that begins later, or ends sooner, it is told where that is.
    const values = series.map(({name, points}) => {
      const [x, y] = nearest(points, marked), reaches = points[0][0] <= marked && marked <= points.at(-1)[0];
      return `${name} ${short(y)}${reaches ? "" : ` (at ${x.toLocaleString("en")})`}`;
    });
    reading.textContent = `${options.xLabel} ${Math.round(marked).toLocaleString("en")}: ${values.join(", ")}`;
  }

  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect(), x = (event.clientX - box.left) * plot.viewBox.baseVal.width / box.width;
    const place = first + (x - toX(first)) / (toX(last) - toX(first) || 1) * (last - first);
    mark(nearest(xs.map((each) => [each]), place)[0]);
  });
  plot.addEventListener("keydown", (event) => {
    const move = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -xs.length, End: xs.length}[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const at = xs.indexOf(nearest(xs.map((each) => [each]), marked)[0]);
    mark(xs[Math.min(xs.length - 1, Math.max(0, at + move))]);
  });
  new ResizeObserver(draw).observe(figure);
  draw();
  return {figure, mark};
}

/** Bars from low to high over an axis from `from` to `to`. */
function barChart(title, {low, high, counts}, from, to, kind) {
  const width = 260, height = 92, most = Math.max(...counts, 1), span = to - from || 1;
  const left = (low - from) / span * width, room = Math.max(counts.length, (high - low) / span * width), each = room / counts.length;
  const plot = make("svg", {class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}, from ${short(low)} to ${short(high)}`});
  counts.forEach((count, i) => {
    const size = count && Math.max(1, count / most * (height - 18));
    const x = Math.min(left, width - room) + i * each;
    plot.append(make("rect", {class: `bar ${kind}`, x: x.toFixed(2), y: (height - 16 - size).toFixed(1), width: (each * 0.92).toFixed(2), height: size.toFixed(1)}));
  });
  plot.append(make("path", {class: "axis", d: `M0 ${height - 16}H${width}`}));
  plot.append(make("text", {x: 0, y: height - 3}, short(from)), make("text", {x: width, y: height - 3, "text-anchor": "end"}, short(to)));
  if (from < 0 && to > 0) plot.append(make("text", {x: -from / span * width, y: height - 3, "text-anchor": "middle"}, "0"));
  return plot;
}
