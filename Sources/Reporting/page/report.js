"use strict";
const { name, state, metrics, sections } = data;
const train = metrics.filter((line) => line.kind === "train");
const evaluations = metrics.filter((line) => line.kind === "eval");
const samples = metrics.filter((line) => line.kind === "sample");
const points = (lines, key) => lines.map((line) => [line.step, line[key]]);
const exponential = (points_) => points_.map(([step, value]) => [step, isNumber(value) ? Math.min(Math.exp(value), 1e300) : value]);

function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function tiles() {
  const last = train[train.length - 1];
  const best = evaluations.reduce((best, line) => (best === null || line.loss < best.loss ? line : best), null);
  const seconds = train.reduce((sum, line) => sum + (line.seconds || 0), 0);
  const tokens = train.reduce((sum, line) => sum + (line.tokens || 0), 0);
  const all = [
    ["updates", last ? last.step.toLocaleString("en") : "0"],
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

function noisy(title, label, values) {
  if (values.length <= 60) return chart(title, [{ name: label, points: values }]);
  return chart(title + ", smoothed", [{ name: label, points: smoothed(values) }]);
}

function charts() {
  const trainLoss = points(train, "loss");
  const isLong = trainLoss.length > 60;
  return [
    lossChart(metrics),
    chart("Perplexity, logarithmic", [
      { name: isLong ? "training, smoothed" : "training", points: exponential(isLong ? smoothed(trainLoss) : trainLoss) },
      { name: "validation", points: points(evaluations, "perplexity"), dots: true },
    ], true),
    chart("Token accuracy", [
      { name: isLong ? "training, smoothed" : "training", points: isLong ? smoothed(points(train, "accuracy")) : points(train, "accuracy") },
      { name: "validation", points: points(evaluations, "accuracy"), dots: true },
    ]),
    chart("Learning rate", [{ name: "learning rate", points: points(train, "lr") }]),
    noisy("Gradient norm, before clipping", "norm", points(train, "grad_norm")),
    noisy("Tokens a second", "tokens a second", points(train, "tokens_per_second")),
  ].filter(Boolean);
}

/** The latest of each prompt first; the others, from the end of training to its beginning, behind it. */
function answers() {
  const prompts = [...new Set(samples.map((sample) => sample.prompt))];
  return prompts.map((prompt) => {
    const texts = samples.filter((sample) => sample.prompt === prompt).reverse();
    return make("article", { class: "card" },
      make("div", { class: "ask" }, make("div", { class: "input text small" }, prompt)),
      make("div", { class: "scroll" }, table([["update", "answer"], ...texts.map((sample) =>
        [sample.step.toLocaleString("en"), make("td", { class: "text" }, sample.text)])], { class: "wide samples" })));
  });
}

page.append(make("h1", {}, name), make("p", { class: "soft" }, state), tiles());
const drawn = charts();
if (drawn.length > 0) page.append(make("h2", {}, "Curves"), make("div", { class: "charts" }, drawn));
if (samples.length > 0) page.append(make("h2", {}, "Sample answers over time"), ...answers());
for (const { title, rows } of sections) {
  page.append(make("h2", {}, title), make("div", { class: "scroll" }, make("table", { class: "compact" }, make("tbody", {},
    rows.map(([key, value]) => make("tr", {}, make("td", {}, key), make("td", { class: "text" }, value)))))));
}
