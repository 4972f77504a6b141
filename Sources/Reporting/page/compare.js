"use strict";
const { comparison, names, titles, metrics, votes, origin: made } = data;
const { settings, summary, items } = comparison;
/** Which of the tuned models is held against the base: 0 for the first. */
let shown = 0;

const answersOf = (item) => [item.base, item.tuned, ...(item.adapters || [])];
const scores = [summary.base, summary.tuned, ...(summary.adapters || [])];
const differencesOf = (index) => (index === 0 ? summary.differences : summary.adapter_differences[index - 1]);
const lowerIsBetter = new Set(["loss", "bits_per_byte", "repetition", "echo"]);

// MARK: - What it comes to

const shortPath = (path) => path.split("/").slice(-3).join("/");

function heading() {
  const other = settings.model_b || settings.adapter;
  const sampling = settings.generation.sampling;
  const decoding = settings.generation.num_beams > 1 ? `beam search, ${settings.generation.num_beams} beams`
    : sampling.temperature === 0 ? "greedy"
    : `temperature ${sampling.temperature}, seed ${settings.generation.seed}`;
  return [
    make("h1", {}, settings.model_b ? `${shortPath(settings.model)} and ${shortPath(other)}`
      : `Is ${shortPath(other)} better than its base?`),
    make("p", { class: "soft small" },
      [`base ${settings.model}`, `${names[1]} ${other}`,
        ...(settings.adapters || []).map((adapter, index) => `${names[index + 2]} ${adapter}`),
        ...(settings.questions ? [`questions ${settings.questions} (${fixed(summary.questions, 0)})`] : []),
        `template ${settings.template}`, decoding, `at most ${settings.generation.max_new_tokens} tokens`].join("  ·  ")),
    ...(made ? origin(made) : []),
  ];
}

/** The measure that says most about these questions. */
function headline() {
  const wanted = summary.with_reference > 0 ? "token_f1" : summary.with_choices > 0 ? "choice_accuracy" : "ended_with_eos";
  return differencesOf(shown).find((difference) => difference.measure === wanted);
}

function verdict() {
  const difference = headline();
  if (!difference) return make("p", {}, "No measure is to be had of these questions.");
  const name = names[shown + 1];
  const words = {
    better: [`${name} is better: `, "good"], worse: [`${name} is worse: `, "bad"], unclear: ["No clear difference: ", "soft"],
  }[difference.conclusion];
  const interval = isNumber(difference.low)
    ? `, 95 % interval ${signed(difference.low, 3)} to ${signed(difference.high, 3)}` : "";
  return make("p", { class: "verdict" },
    make("b", { class: words[1] }, words[0]),
    `${titles[difference.measure]} ${figure(difference.base, 3)} → ${figure(difference.tuned, 3)} `
    + `(${signed(difference.difference, 3)}${interval}); of ${difference.questions} questions ${difference.wins} won, `
    + `${difference.ties} tied, ${difference.losses} lost (sign test p ${difference.p_value < 0.001 ? "<" : "="} ${Math.max(0.001, difference.p_value).toFixed(3)}).`);
}

const pValue = (value) => (value < 0.001 ? "<0.001" : value.toFixed(3));

/** What the measures count in. */
const unitOf = (measure) => ({ loss: "nats a token", bits_per_byte: "bits a byte" })[measure] || "share, of 1";

/** Every difference with its interval, better to the right; the measures of one unit share a scale. null without any. */
function intervals() {
  const rows = differencesOf(shown).filter((difference) => isNumber(difference.low)).map((difference) => {
    const sign = lowerIsBetter.has(difference.measure) ? -1 : 1;
    const [low, high] = [sign * difference.low, sign * difference.high].sort((a, b) => a - b);
    return { ...difference, low, high, gain: sign * difference.difference, unit: unitOf(difference.measure) };
  });
  if (rows.length === 0) return null;
  const panels = [...new Set(rows.map((row) => row.unit))].map((unit) => {
    const inside = rows.filter((row) => row.unit === unit);
    const [low, high] = [Math.min(0, ...inside.map((row) => row.low)), Math.max(0, ...inside.map((row) => row.high))];
    return { unit, rows: inside, low, high, reach: high - low || 1 };
  });
  const [width, left, right, line, axis] = [560, 148, 22, 21, 44];
  // 0 stands at the same place in all panels.
  const share = Math.min(0.9, Math.max(0.1, ...panels.map((panel) => -panel.low / panel.reach)));
  const zero = left + share * (width - left - right);
  const height = 16 + panels.reduce((sum, panel) => sum + panel.rows.length * line + axis, 0);
  const svg = makeSVG("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "differences and their intervals" });
  const text = (attributes, words) => svg.append(makeSVG("text", attributes, words));
  text({ class: "bad", x: zero - 10, y: 14, "text-anchor": "end" }, "← worse");
  text({ class: "good", x: zero + 10, y: 14 }, "better →");
  let top = 24;
  for (const panel of panels) {
    const bottom = top + panel.rows.length * line;
    const scale = Math.min((zero - left) / Math.max(-panel.low, 1e-12), (width - right - zero) / Math.max(panel.high, 1e-12));
    const x = (value) => zero + value * scale;
    const { values, power, text: label } = ticks((left - zero) / scale, (width - right - zero) / scale, 7);
    for (const value of values) {
      svg.append(makeSVG("line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom }));
      text({ x: x(value), y: bottom + 14, "text-anchor": "middle" }, (value > 0 ? "+" : "") + label(value));
    }
    svg.append(makeSVG("line", { class: "axis", x1: zero, x2: zero, y1: top, y2: bottom }));
    text({ class: "title", x: (left + width - right) / 2, y: bottom + 29, "text-anchor": "middle" },
      `better by (${panel.unit}${powerText(power)})`);
    panel.rows.forEach((row, index) => {
      const y = top + (index + 0.5) * line;
      text({ class: "name", x: left - 12, y: y + 4, "text-anchor": "end" }, titles[row.measure]);
      svg.append(makeSVG("g", { class: { better: "good", worse: "bad" }[row.conclusion] || "soft" },
        makeSVG("title", {}, `${titles[row.measure]}: ${signed(row.difference, 3)}`),
        makeSVG("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y, stroke: "currentColor", "stroke-width": 3,
          "stroke-linecap": "round" }),
        makeSVG("circle", { cx: x(row.gain), cy: y, r: 4, fill: "currentColor" })));
    });
    top = bottom + axis;
  }
  return make("figure", { class: "intervals" },
    make("figcaption", {}, `${names[shown + 1]} against base, with 95 % intervals`,
      make("span", { class: "key good" }, "better"), make("span", { class: "key bad" }, "worse"),
      make("span", { class: "key soft" }, "may be chance")), svg);
}

function measures() {
  const rows = differencesOf(shown).map((difference) => [
    titles[difference.measure] + (lowerIsBetter.has(difference.measure) ? " ↓" : ""),
    figure(difference.base, 3), figure(difference.tuned, 3), signed(difference.difference, 3),
    isNumber(difference.low) ? `${signed(difference.low, 3)} … ${signed(difference.high, 3)}` : "–",
    `${difference.wins} / ${difference.ties} / ${difference.losses}`, pValue(difference.p_value),
  ]);
  return [
    intervals(),
    scrolling(table(
      [["", "base", names[shown + 1], "difference", "95 % interval", "won / tied / lost", "p"], ...rows], { class: "wide" })),
    make("p", { class: "soft small" },
      "↓ less is better: in the plot those differences are turned round, so that better is always to the right; measures of "
      + "one unit share its scale. Intervals: percentile bootstrap over questions. p: exact sign test, ties left out. "
      + "Of so many measures one in twenty differs by chance. "
      + (summary.questions < 20 ? "With so few questions the intervals are too narrow. " : "")
      + (summary.with_reference > 0 ? `ROUGE-L by ${settings.rouge_words === "ascii"
        ? "rouge-score's own words (a–z, 0–9)" : "words of any script"}. ` : "")
      + (settings.same_tokenizer ? "" : "The tokenizers differ, so nothing that counts tokens is compared.")),
  ].filter(Boolean);
}

/** What a judge said, and why it said no more; nothing where none was asked. */
function judged() {
  const { judge, judge_failure: failure } = summary;
  if (!settings.judge) return null;
  const who = `A judge (${settings.judge_model} at ${settings.judge})`;
  return make("p", {},
    judge ? `${who}, asked in both orders about ${judge.votes} of ${summary.questions} questions, preferred ${names[1]} on `
      + `${judge.tuned}, ${names[0]} on ${judge.base}, neither on ${judge.ties} `
      + `(sign test p ${judge.p_value < 0.001 ? "<" : "="} ${Math.max(0.001, judge.p_value).toFixed(3)}). `
      : `${who} was asked and gave no verdict. `,
    failure ? make("span", { class: "bad" }, `It failed: ${failure}.`) : null);
}

function overall() {
  const rows = [
    ["ended by themselves", (score) => `${score.ended} of ${summary.questions}`],
    ["cut at the limit", (score) => `${figure(100 * score.overrun, 1)} %`],
    ["mean length in tokens", (score) => figure(score.mean_tokens, 1)],
    ["perplexity of the expected answers", (score) => (settings.same_tokenizer ? figure(score.perplexity) : "–")],
    ["right choices", (score) => (isNumber(score.choices_right) ? `${score.choices_right} of ${summary.with_choices}` : "–")],
    ["different tokens", (score) => figure(score.distinct1, 3)],
    ["different pairs of tokens", (score) => figure(score.distinct2, 3)],
  ].map(([name, text]) => [name, ...scores.map(text)]).filter((row) => row.slice(1).some((cell) => cell !== "–"));
  return make("div", {}, scrolling(table([["", ...names], ...rows])), ...[judged()].filter(Boolean));
}

// MARK: - Word differences

const wordsOf = (text) => text.match(/\s+|[^\s]+/g) || [];

/** Which words of `ours` are in a longest common subsequence with `theirs`. */
function common(ours, theirs) {
  const rows = Array.from({ length: ours.length + 1 }, () => new Uint16Array(theirs.length + 1));
  for (let i = ours.length - 1; i >= 0; i--) {
    for (let j = theirs.length - 1; j >= 0; j--) {
      rows[i][j] = ours[i] === theirs[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
    }
  }
  const kept = new Set();
  for (let i = 0, j = 0; i < ours.length && j < theirs.length;) {
    if (ours[i] === theirs[j]) { kept.add(i); i++; j++; } else if (rows[i + 1][j] >= rows[i][j + 1]) i++; else j++;
  }
  return kept;
}

/** The text with words that `other` lacks inside `tag` elements. */
function differing(text, other, tag) {
  const ours = wordsOf(text);
  const isWord = (word) => /\S/.test(word);
  const words = ours.filter(isWord);
  const theirs = wordsOf(other).filter(isWord);
  if (words.length > 1500 || theirs.length > 1500) return [text];
  const kept = common(words, theirs);
  let index = 0;
  return ours.map((word) => (isWord(word) && !kept.has(index++) ? make(tag, {}, word) : word));
}

function body(item, index) {
  const answers = answersOf(item);
  const mode = differences.value;
  if (mode === "expected" && item.reference !== undefined) return differing(answers[index].text, item.reference, "mark");
  if (mode === "base") {
    if (index === 0) return differing(item.base.text, answers[shown + 1].text, "del");
    return differing(answers[index].text, item.base.text, "ins");
  }
  return [answers[index].text];
}

// MARK: - Answers

function verdictOf(item) {
  if (shown === 0) return item.verdict;
  const value = (answer) => ({
    choice_accuracy: () => Number(answer.measures.choice.correct),
    token_f1: () => answer.measures.token_f1,
    ended_with_eos: () => Number(answer.ended_with_eos),
  })[item.verdict_measure]();
  const difference = value(item.adapters[shown - 1]) - value(item.base);
  return Math.abs(difference) <= 1e-6 ? "tie" : difference > 0 ? "win" : "loss";
}

function figures(answer) {
  const { measures } = answer;
  const parts = [`${answer.tokens} tokens${answer.finish_reason === "length" ? ", cut" : ""}`];
  if (isNumber(measures.token_f1)) parts.push(`F1 ${figure(measures.token_f1, 2)}`);
  if (isNumber(measures.rouge_l)) parts.push(`ROUGE-L ${figure(measures.rouge_l, 2)}`);
  if (measures.reference) parts.push(`loss of the expected ${figure(measures.reference.loss, 2)}`);
  if (measures.choice) parts.push(`chose ${measures.choice.chosen + 1}${measures.choice.correct ? " ✓" : " ✗"}`);
  if (isNumber(measures.end_probability)) parts.push(`P(EOS) at the end ${figure(measures.end_probability, 2)}`);
  return parts.join("  ·  ");
}

function card(item) {
  const number = items.indexOf(item);
  const outcome = verdictOf(item);
  const vote = votes && votes[number];
  const ask = make("div", { class: "ask" },
    make("div", { class: "text" }, make("span", { class: "soft" }, `${number + 1}  `), item.question,
      make("span", { class: "tag " + outcome }, { win: "won", tie: "tied", loss: "lost" }[outcome]),
      item.judgement ? make("span", { class: "tag" }, item.judgement.preferred === "tie" ? "judged a tie"
        : `judged for ${item.judgement.preferred === "tuned" ? names[1] : names[0]}`) : null,
      vote ? make("span", { class: "tag" }, vote === "tie" ? "voted a tie" : `voted for ${vote}`) : null),
    item.input === undefined ? null : make("div", { class: "input text" }, item.input),
    item.choices ? make("ol", { class: "choices" }, item.choices.map((choice, index) =>
      make("li", {}, choice, index === item.answer ? make("span", { class: "good" }, "  ✓") : null))) : null,
    item.reference === undefined ? null
      : make("div", { class: "expected" }, make("span", { class: "soft" }, "expected  "),
        make("span", { class: "text" }, item.reference)));
  const sides = answersOf(item).map((answer, index) => make("div", { class: "side s" + Math.min(index, 2) },
    make("h3", {}, names[index]), make("div", { class: "text" }, body(item, index)),
    make("div", { class: "figures" }, figures(answer))));
  return make("article", { class: "card", tabindex: -1 }, ask, make("div", { class: "sides" }, sides));
}

const filters = {
  all: ["all questions", () => true],
  win: ["won", (item) => verdictOf(item) === "win"],
  loss: ["lost (regressions)", (item) => verdictOf(item) === "loss"],
  tie: ["tied", (item) => verdictOf(item) === "tie"],
  changed: ["answered differently", (item) => answersOf(item)[shown + 1].text !== item.base.text],
  cut: ["cut at the limit", (item) => answersOf(item)[shown + 1].finish_reason === "length"],
};
const option = ([value, text]) => make("option", { value }, text);
const search = make("input", { type: "search", placeholder: "Search questions and answers", "aria-label": "Search" });
const filter = make("select", { "aria-label": "Filter" }, Object.entries(filters).map(([key, [text]]) => option([key, text])));
const order = make("select", { "aria-label": "Order" },
  [["file", "in the file's order"], ["worst", "worst first"], ["best", "best first"], ["long", "longest first"]].map(option));
const differences = make("select", { "aria-label": "Word differences" },
  [["expected", "words not expected"], ["base", "words that differ"], ["off", "plain text"]].map(option));
const against = make("select", { "aria-label": "Adapter" }, names.slice(1).map((name, index) => option([index, name])));
const count = make("span", { class: "soft small", role: "status" });
const list = make("div", {});
const sentinel = make("div", {});
let found = [];
let cards = [];
let here = -1;

function gain(item) {
  const value = (answer) => {
    const { token_f1: f1, choice, reference } = answer.measures;
    return (isNumber(f1) ? f1 : 0) + (choice ? Number(choice.correct) : 0) + Number(answer.ended_with_eos) * 1e-3
      - (reference ? reference.loss * 1e-3 : 0);
  };
  return value(answersOf(item)[shown + 1]) - value(item.base);
}

function update() {
  const wanted = search.value.trim().toLowerCase();
  const holds = (text) => text !== undefined && text.toLowerCase().includes(wanted);
  found = items.filter((item) => filters[filter.value][1](item) && (wanted === "" || holds(item.question)
    || holds(item.input) || holds(item.reference) || answersOf(item).some((answer) => holds(answer.text))));
  const sorted = { worst: (a, b) => gain(a) - gain(b), best: (a, b) => gain(b) - gain(a),
    long: (a, b) => answersOf(b)[shown + 1].tokens - answersOf(a)[shown + 1].tokens }[order.value];
  if (sorted) found.sort(sorted);
  count.textContent = `${found.length.toLocaleString("en")} of ${items.length.toLocaleString("en")}`;
  cards = [];
  here = -1;
  list.replaceChildren(...(found.length === 0 ? [make("div", { class: "empty" }, "No question is like that.")] : []));
  more();
}

/** Cards are made as they come into sight: thousands at once would take the browser seconds. */
function more(until = cards.length + 20) {
  while (cards.length < Math.min(until, found.length)) {
    cards.push(card(found[cards.length]));
    list.append(cards[cards.length - 1]);
  }
}

function go(to) {
  if (found.length === 0) return;
  if (here >= 0) cards[here].classList.remove("here");
  here = Math.max(0, Math.min(found.length - 1, to));
  more(here + 3);
  cards[here].classList.add("here");
  cards[here].focus({ preventScroll: true });
  cards[here].scrollIntoView({ block: "nearest" });
}

function cycle(select) {
  select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
  select.dispatchEvent(new Event("change"));
}

const top_ = make("div", {});
function showSummary() {
  top_.replaceChildren(verdict(), make("h2", {}, "Measures"), ...measures());
}

const curve = metrics ? lossChart(metrics) : null;
if (summary.with_reference === 0) differences.value = "base";
page.append(...heading(), top_,
  make("div", { class: "beside" }, make("section", {}, make("h2", {}, "Answers as a whole"), overall()),
    curve ? make("section", {}, make("h2", {}, "Training"), curve) : null),
  make("h2", {}, "Answers"),
  make("div", { class: "tools" }, search, filter, order, differences, names.length > 2 ? against : null, count),
  list, sentinel,
  make("p", { class: "soft small" }, make("kbd", {}, "j"), " ", make("kbd", {}, "k"), " next and previous question   ",
    make("kbd", {}, "/"), " search   ", make("kbd", {}, "f"), " filter   ", make("kbd", {}, "o"), " order   ",
    make("kbd", {}, "d"), " word differences   ", make("kbd", {}, "Home"), " ", make("kbd", {}, "End"), " first and last"));
let waiting = null;
search.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(update, 120);
});
for (const select of [filter, order, differences]) select.addEventListener("change", update);
against.addEventListener("change", () => {
  shown = Number(against.value);
  showSummary();
  update();
});
onKey({
  j: () => go(here + 1), k: () => go(here - 1), ArrowDown: () => go(here + 1), ArrowUp: () => go(here - 1),
  Home: () => go(0), End: () => go(found.length - 1),
  "/": () => { search.focus(); search.select(); }, f: () => cycle(filter), o: () => cycle(order), d: () => cycle(differences),
});
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) more();
}, { rootMargin: "1200px" }).observe(sentinel);
showSummary();
update();
