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

/** Round values from low to high, about `count` of them. */
function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const values = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) values.push(value);
  return values;
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

/** 1, 2 and 5 times the powers of ten between low and high, or the powers alone where that is many. */
function logarithmicTicks(low, high) {
  const values = [];
  const factors = high / low > 1e4 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    values.push(...factors.map((factor) => factor * 10 ** power).filter((value) => value >= low && value <= high));
  }
  return values;
}

/** A line chart over steps. Series: {name, points: [[step, value]], dots}. null without points. */
function chart(title, series, logarithmic = false) {
  series = series
    .map((line, index) => ({ ...line, colour: "c" + index,
      points: line.points.filter((point) => isNumber(point[1]) && (!logarithmic || point[1] > 0)) }))
    .filter((line) => line.points.length > 0);
  if (series.length === 0) return null;
  const [width, height, left, right, top, bottom] = [560, 220, 52, 12, 10, 24];
  const all = series.flatMap((line) => thinned(line.points, 800));
  let [x0, x1] = [Math.min(...all.map((point) => point[0])), Math.max(...all.map((point) => point[0]))];
  let [y0, y1] = [Math.min(...all.map((point) => point[1])), Math.max(...all.map((point) => point[1]))];
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  if (y0 === y1) [y0, y1] = [y0 - Math.abs(y0) / 10 - (logarithmic ? 0 : 1e-9), y1 + Math.abs(y1) / 10 + 1e-9];
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const scale = logarithmic ? Math.log : (value) => value;
  const y = (value) => height - bottom - (scale(value) - scale(y0)) / (scale(y1) - scale(y0)) * (height - top - bottom);
  const svg = makeSVG("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const value of logarithmic ? logarithmicTicks(y0, y1) : ticks(y0, y1, 6)) {
    svg.append(makeSVG("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(makeSVG("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, figure(value)));
  }
  for (const value of ticks(x0, x1, 6).filter(Number.isInteger)) {
    svg.append(makeSVG("text", { x: x(value), y: height - 6, "text-anchor": "middle" }, value.toLocaleString("en")));
  }
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

/** Training and validation loss of metrics; null without any. */
function lossChart(metrics) {
  const of = (kind, key) => metrics.filter((line) => line.kind === kind).map((line) => [line.step, line[key]]);
  const train = of("train", "loss");
  const isLong = train.length > 60;
  return chart("Loss by update", [
    { name: isLong ? "training, smoothed" : "training", points: isLong ? smoothed(train) : train },
    { name: "validation", points: of("eval", "loss"), dots: true },
  ]);
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
