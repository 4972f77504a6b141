"use strict";
// Left and right were shuffled before this page was made; it does not know which is which.
const { digest, items } = data;
const store = "sft-votes-" + digest;
const votes = new Map();
try {
  for (const [item, vote] of JSON.parse(localStorage.getItem(store) || "[]")) {
    if (item < items.length && ["left", "right", "tie"].includes(vote)) votes.set(item, vote);
  }
} catch { /* Without a store the votes live as long as the page. */ }
let at = items.findIndex((_, index) => !votes.has(index));
if (at < 0) at = 0;

function keep() {
  try { localStorage.setItem(store, JSON.stringify([...votes])); } catch { /* As above. */ }
}

const bar = make("div", {});
const status = make("p", { class: "soft small", role: "status" });
const question = make("div", { class: "ask" });
const left = make("div", { class: "text" });
const right = make("div", { class: "text" });
const buttons = {
  left: make("button", { type: "button", on: { click: () => cast("left") } }, "Left is better  ", make("kbd", {}, "←")),
  tie: make("button", { type: "button", on: { click: () => cast("tie") } }, "As good  ", make("kbd", {}, "↓")),
  right: make("button", { type: "button", on: { click: () => cast("right") } }, "Right is better  ", make("kbd", {}, "→")),
};

function show() {
  const item = items[at];
  bar.style.width = `${(100 * votes.size) / items.length}%`;
  status.textContent = `question ${at + 1} of ${items.length}, ${votes.size} voted`
    + (votes.size === items.length ? ": all done, download the votes" : "");
  question.replaceChildren(make("div", { class: "text" }, item.question),
    ...(item.input === undefined ? [] : [make("div", { class: "input text" }, item.input)]));
  left.textContent = item.left;
  right.textContent = item.right;
  for (const [vote, button] of Object.entries(buttons)) {
    button.classList.toggle("chosen", votes.get(at) === vote);
    button.setAttribute("aria-pressed", votes.get(at) === vote);
  }
}

function cast(vote) {
  votes.set(at, vote);
  keep();
  go(at + 1);
}

function go(to) {
  at = Math.max(0, Math.min(items.length - 1, to));
  show();
}

function download() {
  const ballot = { kind: "sft-votes", comparison: digest,
    votes: [...votes].sort((a, b) => a[0] - b[0]).map(([item, vote]) => ({ item, vote })) };
  const link = make("a", { href: URL.createObjectURL(new Blob([JSON.stringify(ballot, null, 1) + "\n"],
    { type: "application/json" })), download: "votes.json" });
  document.body.append(link);
  link.click();
  link.remove();
  URL.revokeObjectURL(link.href);
}

document.body.classList.add("voting");
page.append(
  make("h1", {}, "Which answer is better?"),
  make("p", { class: "soft small" }, "Two models answered; the sides are shuffled for every question. When done, download "
    + "the votes and count them with: sft compare --score votes.json"),
  make("div", { class: "track" }, bar), status,
  make("article", { class: "card" }, question, make("div", { class: "sides" },
    make("div", { class: "side" }, make("h3", {}, "left"), left),
    make("div", { class: "side" }, make("h3", {}, "right"), right))),
  make("div", { class: "votes" },
    make("div", { class: "vote" }, buttons.left, buttons.tie, buttons.right),
    make("div", { class: "vote" },
      make("button", { type: "button", on: { click: () => go(at - 1) } }, "Back  ", make("kbd", {}, "k")),
      make("button", { type: "button", on: { click: () => go(at + 1) } }, "Skip  ", make("kbd", {}, "j")),
      make("button", { type: "button", on: { click: download } }, "Download votes.json  ", make("kbd", {}, "s")))));
onKey({ ArrowLeft: () => cast("left"), ArrowDown: () => cast("tie"), ArrowRight: () => cast("right"),
  k: () => go(at - 1), j: () => go(at + 1), s: download });
show();
