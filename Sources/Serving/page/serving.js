"use strict";
// Text of models and people goes into the page as text only.

const element = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const form = element("form");
const question = element("question");
// One column a chosen model, with the conversation that it has seen.
const columns = new Map();

const say = (text, isBad = false) => {
  element("status").textContent = text;
  element("status").className = isBad ? "bad" : "soft";
};

const headers = () => {
  const key = element("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
};

// The server's own words where there are some.
const failure = async (response) => {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered ${response.status}.`;
  }
};

class Column {
  constructor(model) {
    this.model = model;
    this.messages = [];
    this.turns = make("div", { className: "turns" });
    this.stopButton = make("button", { type: "button", textContent: "Stop", disabled: true });
    this.stopButton.setAttribute("aria-label", `Stop ${model}`);
    this.stopButton.addEventListener("click", () => this.stop());
    this.article = make("article", {}, make("header", {}, make("h2", { textContent: model }), this.stopButton), this.turns);
    this.article.setAttribute("aria-label", model);
  }

  get isRunning() { return this.controller !== undefined; }

  stop() { this.controller?.abort(); }

  clear() {
    this.stop();
    this.messages = [];
    this.turns.replaceChildren();
  }

  add(text, style) {
    const turn = make("div", { className: `turn ${style}`, textContent: text });
    this.turns.append(turn);
    return turn;
  }

  async ask(text, settings) {
    if (this.isRunning) return;
    const asked = { role: "user", content: text };
    const controller = new AbortController();
    this.controller = controller;
    this.stopButton.disabled = false;
    const user = this.add(text, "user");
    const turn = this.add("", "running");
    turn.setAttribute("aria-busy", "true");
    const note = make("div", { className: "note", textContent: "waiting…" });
    this.turns.append(note);
    const answer = { text: "", tokens: 0, reason: "" };
    const messages = [...this.messages, asked];
    const start = performance.now();
    let first;
    const tell = (ending) => {
      const seconds = first === undefined ? 0 : (performance.now() - first) / 1000;
      const count = answer.tokens || answer.pieces || 0;
      const rate = seconds > 0.05 && count > 1 ? `, ${((count - 1) / seconds).toFixed(1)} ${answer.tokens ? "tokens" : "pieces"}/s` : "";
      const wait = first === undefined ? "" : `, first after ${((first - start) / 1000).toFixed(2)} s`;
      note.textContent = `${count} ${answer.tokens ? "tokens" : "pieces"}${rate}${wait}${ending}`;
    };
    try {
      const system = settings.system ? [{ role: "system", content: settings.system }] : [];
      const body = { ...settings.members, model: this.model, stream: true, stream_options: { include_usage: true },
        messages: [...system, ...messages] };
      const response = await fetch("/v1/chat/completions", { method: "POST", signal: controller.signal,
        headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) });
      if (!response.ok) throw new Error(await failure(response));
      for await (const event of events(response.body)) {
        if (event.error) throw new Error(event.error.message);
        if (event.usage) answer.tokens = event.usage.completion_tokens;
        for (const choice of event.choices ?? []) {
          if (choice.finish_reason) answer.reason = choice.finish_reason;
          if (!choice.delta?.content) continue;
          first ??= performance.now();
          answer.pieces = (answer.pieces ?? 0) + 1;
          answer.text += choice.delta.content;
          turn.append(choice.delta.content);
          tell("");
        }
      }
      tell(answer.reason === "length" ? ", cut off at the limit" : "");
      this.messages = [...messages, { role: "assistant", content: answer.text }];
    } catch (error) {
      if (controller.signal.aborted) {
        tell(", stopped");
        // What was said so far is part of the conversation; a question without any answer is not.
        if (answer.text) this.messages = [...messages, { role: "assistant", content: answer.text }];
        else user.remove();
      } else {
        tell("");
        this.add(error.message, "error").setAttribute("role", "alert");
      }
    } finally {
      turn.classList.remove("running");
      turn.removeAttribute("aria-busy");
      if (!answer.text) turn.remove();
      this.controller = undefined;
      this.stopButton.disabled = true;
      update();
    }
  }
}

// The events of a stream, each as the object that it holds.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer broke off.");
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ")) continue;
      const data = part.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

const update = () => {
  const isRunning = [...columns.values()].some((column) => column.isRunning);
  element("ask").disabled = isRunning;
  element("stop").disabled = !isRunning;
};

const show = () => {
  const chosen = [...form.querySelectorAll("input[name=model]:checked")].map((box) => box.value);
  for (const [model, column] of columns) {
    if (chosen.includes(model)) continue;
    column.stop();
    columns.delete(model);
  }
  for (const model of chosen) if (!columns.has(model)) columns.set(model, new Column(model));
  element("columns").replaceChildren(...chosen.map((model) => columns.get(model).article));
  update();
};

const number = (id, name, members) => {
  const text = element(id).value.trim();
  if (text !== "") members[name] = Number(text);
};

const ask = () => {
  const text = question.value;
  if (!text.trim() || element("ask").disabled) return;
  if (columns.size === 0) {
    say("Choose a model first.", true);
    return;
  }
  if (!form.reportValidity()) return;
  const members = {};
  number("temperature", "temperature", members);
  number("limit", "max_tokens", members);
  number("seed", "seed", members);
  // All columns draw alike, so that what differs is the models'.
  if (members.seed === undefined) members.seed = Math.floor(Math.random() * 2 ** 31);
  const settings = { system: element("system").value.trim() ? element("system").value : "", members };
  for (const column of columns.values()) column.ask(text, settings);
  question.value = "";
  update();
};

const stop = () => columns.forEach((column) => column.stop());

const load = async () => {
  try {
    const response = await fetch("/v1/models", { headers: headers() });
    if (!response.ok) throw new Error(await failure(response));
    const models = (await response.json()).data;
    const before = new Set(columns.keys());
    element("choices").replaceChildren(...models.map((model, index) => {
      const isChosen = before.size ? before.has(model.id) : index < 2;
      const box = make("input", { type: "checkbox", name: "model", value: model.id, checked: isChosen });
      box.addEventListener("change", show);
      return make("label", {}, box, model.parent ? `${model.id} (adapter of ${model.parent})` : model.id);
    }));
    say(models.length === 1 ? "1 model" : `${models.length} models`);
    show();
  } catch (error) {
    say(error.message, true);
    element("settings").open = true;
  }
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) ask();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
element("stop").addEventListener("click", stop);
element("clear").addEventListener("click", () => {
  columns.forEach((column) => column.clear());
  question.focus();
});
element("key").addEventListener("change", load);
load();
question.focus();
