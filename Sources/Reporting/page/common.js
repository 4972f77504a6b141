"use strict";
// Everything shown is put in as text: no markup is ever made from data.

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");

/** An element: attributes, then children that are elements or text. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function makeSVG(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A number with about four digits that matter. */
function figure(value, digits) {
  if (!isNumber(value)) return "–";
  if (digits !== undefined) return value.toFixed(digits).replace("-", "−");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("-", "−").replace("e+", "e");
  const decimals = size >= 1000 || Number.isInteger(value) ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    .replace("-", "−");
}

const signed = (value, digits) => (value > 0 ? "+" : "") + figure(value, digits);

/** Round values from low to high, about `count` of them and at least `smallest` apart, and how to write them: all with as
 * many decimals as the distance between them has, in units of `power` of ten where that would be too long. */
function ticks(low, high, count, smallest = 0) {
  const raw = (high - low) / count || 1;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(smallest, [1, 2, 5, 10].map((factor) => factor * magnitude).find((step) => step >= raw * 0.75));
  const values = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) values.push(index * step);
  const largest = Math.max(...values.map(Math.abs), step);
  const decimals = -Math.floor(Math.log10(step) + 1e-9);
  const power = largest < 1e-3 || largest >= 1e6 ? Math.floor(Math.log10(largest) + 1e-9) : 0;
  return { values, power, text: (value) => fixed(value / 10 ** power, Math.min(12, Math.max(0, decimals + power))) };
}

/** With so many decimals, and a comma every three digits before them. */
function fixed(value, decimals) {
  const text = value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return Number(value.toFixed(decimals)) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** " × 10⁻⁴", or nothing for the power 0. */
function powerText(power) {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = String(power).replace("-", "⁻").replace(/\d/g, (digit) => digits[digit]);
  return power === 0 ? "" : ` × 10${raised}`;
}

/** At most `limit` points: means over equal runs. */
function thinned(points, limit) {
  if (points.length <= limit) return points;
  const run = points.length / limit;
  return Array.from({ length: limit }, (_, index) => {
    const part = points.slice(Math.floor(index * run), Math.floor((index + 1) * run));
    const mean = (axis) => part.reduce((sum, point) => sum + point[axis], 0) / part.length;
    return [part[part.length - 1][0], mean(1)];
  });
}

/** Ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten, the powers alone where that is many; as on a linear
 * axis where there are hardly any. */
function logarithmicTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
  const factors = high / low > 1e3 ? [1] : [1, 2, 5];
  const every = Math.ceil((last - first + 1) / 7);
  let values = [];
  for (let power = first; power <= last; power += every) {
    values.push(...factors.map((factor) => Number(`${factor}e${power}`)).filter((value) => value >= low && value <= high));
  }
  if (values.length < 3) return ticks(low, high, 5);
  const decimals = Math.max(0, -Math.floor(Math.log10(values[0]) + 1e-9));
  const isWide = values[values.length - 1] >= 1e6 || decimals > 3;
  return { values, power: 0, text: (value) => (isWide ? value.toExponential(0).replace("e+", "e").replace("-", "−")
    : fixed(value, decimals)) };
}

/** A line chart over updates. Series: {name, points: [[update, value]], dots}. `options`: title of the value's axis
 * (`unit`), `logarithmic`, and an update to mark (`mark`: {step, text}). null without points. */
function chart(title, series, { unit = "", logarithmic = false, mark = null } = {}) {
  series = series
    .map((line, index) => ({ ...line, colour: "c" + index,
      points: line.points.filter((point) => isNumber(point[1]) && (!logarithmic || point[1] > 0)) }))
    .filter((line) => line.points.length > 0);
  if (series.length === 0) return null;
  const all = series.flatMap((line) => thinned(line.points, 800));
  let [x0, x1] = [Math.min(...all.map((point) => point[0])), Math.max(...all.map((point) => point[0]))];
  let [y0, y1] = [Math.min(...all.map((point) => point[1])), Math.max(...all.map((point) => point[1]))];
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  // A flat curve is drawn as one, not as the noise of its last digits.
  const largest = Math.max(Math.abs(y0), Math.abs(y1)) || 1;
  if (y1 - y0 < 1e-4 * largest) [y0, y1] = y1 === 0 ? [0, 1] : [y0 - 0.1 * largest, y1 + 0.1 * largest];
  const [steps, values] = [ticks(x0, x1, 6, 1), logarithmic ? logarithmicTicks(y0, y1) : ticks(y0, y1, 6)];
  const longest = Math.max(...values.values.map((value) => values.text(value).length), 1);
  const [width, height, left, right, top, bottom] = [560, 240, 30 + 6.5 * longest, 20, 12, 42];
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const scale = logarithmic ? Math.log : (value) => value;
  const y = (value) => height - bottom - (scale(value) - scale(y0)) / (scale(y1) - scale(y0)) * (height - top - bottom);
  const svg = makeSVG("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const value of values.values) {
    svg.append(makeSVG("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(makeSVG("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, values.text(value)));
  }
  for (const value of steps.values) {
    svg.append(makeSVG("line", { class: "axis", x1: x(value), x2: x(value), y1: height - bottom, y2: height - bottom + 4 }));
    svg.append(makeSVG("text", { x: x(value), y: height - bottom + 16, "text-anchor": "middle" }, steps.text(value)));
  }
  const [middleX, middleY] = [(left + width - right) / 2, (top + height - bottom) / 2];
  svg.append(makeSVG("text", { class: "title", x: middleX, y: height - 8, "text-anchor": "middle" },
    "update" + powerText(steps.power)));
  svg.append(makeSVG("text", { class: "title", transform: `translate(12 ${middleY}) rotate(-90)`, "text-anchor": "middle" },
    unit + powerText(values.power)));
  for (const line of series) {
    const points = thinned(line.points, 800);
    const place = points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ");
    const group = makeSVG("g", { class: line.colour });
    group.append(makeSVG("polyline", {
      points: place, fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linejoin": "round",
    }));
    if (line.dots || points.length === 1) {
      for (const point of points) {
        group.append(makeSVG("circle", { cx: x(point[0]), cy: y(point[1]), r: 3, fill: "currentColor" }));
      }
    }
    svg.append(group);
  }
  if (mark && mark.step >= x0 && mark.step <= x1) {
    const { points } = series[series.length - 1];
    const nearest = points.reduce((best, point) =>
      (Math.abs(point[0] - mark.step) < Math.abs(best[0] - mark.step) ? point : best));
    const [place, isLeft] = [x(mark.step), mark.step < (x0 + x1) / 2];
    // Where the curve is not.
    const line = y(nearest[1]) > middleY ? top + 12 : height - bottom - 8;
    svg.append(
      makeSVG("line", { class: "mark", x1: place, x2: place, y1: top, y2: height - bottom }),
      makeSVG("circle", { class: "mark", cx: place, cy: y(nearest[1]), r: 6 }),
      makeSVG("text", { class: "mark", x: place + (isLeft ? 7 : -7), y: line, "text-anchor": isLeft ? "start" : "end" },
        mark.text));
  }
  const cursor = makeSVG("line", { class: "axis", y1: top, y2: height - bottom, x1: -9, x2: -9, "stroke-dasharray": "3 3" });
  svg.append(cursor);
  const tip = make("div", { class: "tip", hidden: "" });
  svg.addEventListener("mousemove", (event) => {
    const box = svg.getBoundingClientRect();
    const step = x0 + (((event.clientX - box.left) / box.width) * width - left) / (width - left - right) * (x1 - x0);
    const nearest = series.map((line) => line.points.reduce((best, point) =>
      Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
    cursor.setAttribute("x1", x(nearest[0][0]));
    cursor.setAttribute("x2", x(nearest[0][0]));
    tip.hidden = false;
    tip.textContent = series.map((line, index) => `${line.name} ${figure(nearest[index][1])} at ${nearest[index][0]}`)
      .join("   ");
  });
  svg.addEventListener("mouseleave", () => {
    tip.hidden = true;
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
  });
  const keys = series.map((line) => make("span", { class: "key " + line.colour }, line.name));
  return make("figure", {}, make("figcaption", {}, title, series.length > 1 ? keys : null), svg, tip);
}

/** Exponential mean, so that a noisy curve can be read. */
function smoothed(points) {
  const keep = Math.min(0.95, Math.max(0, 1 - 20 / Math.max(20, points.length)));
  let mean = null;
  return points.map(([step, value]) => {
    if (!isNumber(value)) return [step, value];
    mean = mean === null ? value : keep * mean + (1 - keep) * value;
    return [step, mean];
  });
}

/** The validation with the lowest loss; null without any. */
const bestValidation = (metrics) => metrics.filter((line) => line.kind === "eval" && isNumber(line.loss))
  .reduce((best, line) => (best === null || line.loss < best.loss ? line : best), null);

/** What a chart marks at the best validation; nothing without one. */
const markOf = (best, text) => (best === null ? null : { step: best.step, text: `best: ${text}, update ${fixed(best.step, 0)}` });

/** Training and validation loss of metrics; null without any. */
function lossChart(metrics) {
  const of = (kind, key) => metrics.filter((line) => line.kind === kind).map((line) => [line.step, line[key]]);
  const train = of("train", "loss");
  const isLong = train.length > 60;
  const best = bestValidation(metrics);
  return chart("Loss", [
    { name: isLong ? "training, smoothed" : "training", points: isLong ? smoothed(train) : train },
    { name: "validation", points: of("eval", "loss"), dots: true },
  ], { unit: "nats a token", mark: best && markOf(best, figure(best.loss)) });
}

/** When and by which command something was made; nothing where that is not recorded. */
function origin({ date, command }) {
  const words = date.replace(/T(\d\d:\d\d).*/, " $1 UTC");
  return [make("time", { class: "soft small", datetime: date }, words), make("pre", { class: "command" },
    command.split(" ").flatMap((word, index) => [index > 0 ? " " : "", make("span", {}, word)]))];
}

/** What is wider than the window, to be scrolled sideways, with a sign that there is more. */
function scrolling(wide) {
  const inner = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table" }, wide);
  const outer = make("div", {}, make("div", { class: "more", "aria-hidden": "true" }, "scroll for more →"), inner);
  const update = () => {
    const rest = inner.scrollWidth - inner.clientWidth - inner.scrollLeft;
    outer.classList.toggle("hidden-right", rest > 2);
    outer.classList.toggle("hidden-left", inner.scrollLeft > 2);
  };
  inner.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(inner);
  return outer;
}

/** A table of rows; the first is its head. */
function table(rows, attributes) {
  const [head, ...body] = rows;
  return make("table", attributes,
    make("thead", {}, make("tr", {}, head.map((cell) => make("th", {}, cell)))),
    make("tbody", {}, body.map((row) => make("tr", {}, row.map((cell) =>
      cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))))));
}

/** Runs a handler for a key unless something is being typed or a modifier is held. */
function onKey(handlers) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (typing && event.key === "Escape") event.target.blur();
    if (typing) return;
    const handler = handlers[event.key];
    if (!handler) return;
    event.preventDefault();
    handler();
  });
}
