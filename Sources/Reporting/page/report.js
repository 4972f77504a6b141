"use strict";
const { name, state, summary, planned, metrics, settings, details, origin: made } = data;
const train = metrics.filter((line) => line.kind === "train");
const evaluations = metrics.filter((line) => line.kind === "eval");
const samples = metrics.filter((line) => line.kind === "sample");
const points = (lines, key) => lines.map((line) => [line.step, line[key]]);
const best = bestValidation(metrics);
const exponential = (points_) => points_.map(([step, value]) => [step, isNumber(value) ? Math.min(Math.exp(value), 1e300) : value]);

function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function tiles() {
  const last = train[train.length - 1];
  const seconds = train.reduce((sum, line) => sum + (line.seconds || 0), 0);
  const tokens = train.reduce((sum, line) => sum + (line.tokens || 0), 0);
  const all = [
    ["updates", last && last.step === planned ? fixed(planned, 0) : `${fixed(last ? last.step : 0, 0)} of ${fixed(planned, 0)}`],
    last && ["last training loss", figure(last.loss)],
    best && [`best validation loss, update ${best.step}`, figure(best.loss)],
    best && ["its perplexity", figure(best.perplexity)],
    best && ["its token accuracy", `${figure(100 * best.accuracy, 1)} %`],
    seconds > 0 && ["tokens a second", figure(Math.round(tokens / seconds))],
    seconds > 0 && ["in training", duration(seconds)],
  ].filter(Boolean);
  return make("div", { class: "tiles" }, all.map(([label, value]) =>
    make("div", { class: "tile" }, make("b", {}, value), make("span", {}, label))));
}

function noisy(title, unit, values) {
  const isLong = values.length > 60;
  return chart(isLong ? title + ", smoothed" : title, [{ name: title, points: isLong ? smoothed(values) : values }], { unit });
}

function charts() {
  const isLong = train.length > 60;
  const name = isLong ? "training, smoothed" : "training";
  const curve = (key) => (isLong ? smoothed(points(train, key)) : points(train, key));
  const mark = (text) => best && markOf(best, text(best));
  return [
    lossChart(metrics),
    chart("Perplexity, logarithmic", [
      { name, points: exponential(curve("loss")) },
      { name: "validation", points: points(evaluations, "perplexity"), dots: true },
    ], { unit: "perplexity", logarithmic: true, mark: mark((line) => figure(line.perplexity)) }),
    chart("Token accuracy", [
      { name, points: curve("accuracy") },
      { name: "validation", points: points(evaluations, "accuracy"), dots: true },
    ], { unit: "share of tokens", mark: mark((line) => figure(line.accuracy)) }),
    chart("Learning rate", [{ name: "learning rate", points: points(train, "lr") }], { unit: "learning rate" }),
    noisy("Gradient norm, before clipping", "norm", points(train, "grad_norm")),
    noisy("Speed", "tokens a second", points(train, "tokens_per_second")),
  ].filter(Boolean);
}

/** The latest of each prompt first; the others, from the end of training to its beginning, behind it. */
function answers() {
  const prompts = [...new Set(samples.map((sample) => sample.prompt))];
  return prompts.map((prompt) => {
    const texts = samples.filter((sample) => sample.prompt === prompt).reverse();
    return make("article", { class: "card" },
      make("div", { class: "ask" }, make("div", { class: "input text small" }, prompt)),
      scrolling(table([["update", "answer"], ...texts.map((sample) =>
        [sample.step.toLocaleString("en"), make("td", { class: "text" }, sample.text)])], { class: "wide samples" })));
  });
}

const list = (rows) => make("table", { class: "compact" }, make("tbody", {},
  rows.map(([key, value]) => make("tr", {}, make("td", {}, key), make("td", { class: "text" }, value)))));

page.append(make("h1", {}, name), make("p", { class: "soft" }, `${state}  ·  ${summary}`), ...(made ? origin(made) : []), tiles());
const drawn = charts();
if (drawn.length > 0) page.append(make("h2", {}, "Curves"), make("div", { class: "charts" }, drawn));
if (samples.length > 0) page.append(make("h2", {}, "Sample answers over time"), ...answers());
page.append(make("h2", {}, "Settings"), list(settings));
for (const { title, rows } of details) page.append(make("details", {}, make("summary", {}, title), list(rows)));
