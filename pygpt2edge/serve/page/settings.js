// The settings, their controls, and the part of the page's address after "#". That part is never
// sent to a server. It has what differs from the defaults.

import { find, make } from "./dom.js";

const NUMBERS = {
  temperature: { label: "Temperature", initial: 0.8, min: 0, max: 2, step: 0.05, limit: 100 },
  top_k: { label: "Top-k (0: all)", initial: 40, min: 0, max: 200, step: 1, limit: 2 ** 31 - 1 },
  top_p: { label: "Top-p", initial: 1, min: 0, max: 1, step: 0.01, limit: 1 },
  min_p: { label: "Min-p", initial: 0, min: 0, max: 0.5, step: 0.01, limit: 1 },
  max_tokens: { label: "Tokens to write", initial: 64, min: 1, step: 1, limit: 4096 },
  seed: { label: "Seed (empty: any)", initial: null, min: 0, step: 1, limit: 2 ** 53 - 1 },
};
const SLIDERS = ["temperature", "top_k", "top_p", "min_p"];
const FIELDS = ["max_tokens", "seed"];
const OTHERS = {
  write_on: true,
  view: "text",
  theme: "system",
  layer: 0,
  head: "mean",
  skip_first: false,
};
const DEFAULTS = {
  ...Object.fromEntries(Object.entries(NUMBERS).map(([name, { initial }]) => [name, initial])),
  ...OTHERS,
};

export const settings = { ...DEFAULTS };

let whenChanged = () => {};

// The options of a text, for the server and for `Distribution.drawn`.
export const sampling = () => Object.fromEntries(SLIDERS.map((name) => [name, settings[name]]));

export function change(name, value) {
  settings[name] = value;
  if (name in NUMBERS) show(name);
  writeAddress();
  whenChanged(name);
}

// Makes the controls. Calls `changed` with the name of each setting that changes.
export function startSettings(changed) {
  readAddress();
  find("sliders").append(...SLIDERS.map(slider));
  find("numbers").append(...FIELDS.map(field));
  find("write_on").addEventListener("change", (event) => change("write_on", event.target.checked));
  find("reset").addEventListener("click", reset);
  addEventListener("hashchange", () => {
    readAddress();
    showAll();
    for (const name of Object.keys(settings)) whenChanged(name);
  });
  whenChanged = changed;
  showAll();
}

// An address with the settings and a prompt.
export function linkWith(prompt) {
  const address = new URL(location.href);
  const parameters = changedParameters();
  parameters.set("prompt", prompt);
  address.hash = parameters;
  return address.href;
}

// The prompt of the address, which then has it no more.
export function takePrompt() {
  const prompt = new URLSearchParams(location.hash.slice(1)).get("prompt");
  writeAddress();
  return prompt ?? "";
}

function slider(name) {
  const { label, min, max, step } = NUMBERS[name];
  const range = make("input", { type: "range", id: `${name}-range`, min, max, step });
  range.setAttribute("aria-label", label);
  range.addEventListener("input", () => change(name, Number(range.value)));
  const exact = numberInput(name);
  return make("div", { className: "slider" }, make("label", { htmlFor: name }, label), exact, range);
}

function field(name) {
  return make("label", {}, NUMBERS[name].label, numberInput(name));
}

function numberInput(name) {
  const { min, limit, step } = NUMBERS[name];
  const input = make("input", { type: "number", id: name, min, max: limit, step });
  input.addEventListener("input", () => {
    const value = validNumber(name, input.value);
    input.setAttribute("aria-invalid", String(value === undefined));
    if (value !== undefined) change(name, value);
  });
  input.addEventListener("blur", () => show(name));
  return input;
}

// undefined: it is none, or out of range.
function validNumber(name, text) {
  const { initial, min, limit, step } = NUMBERS[name];
  if (text === "") return initial === null ? null : undefined;
  const value = Number(text);
  const sound = value >= min && value <= limit && (step < 1 || Number.isInteger(value));
  return sound ? value : undefined;
}

function reset() {
  for (const name of [...SLIDERS, ...FIELDS, "write_on"]) {
    if (settings[name] !== DEFAULTS[name]) change(name, DEFAULTS[name]);
  }
  showAll();
}

function showAll() {
  for (const name of Object.keys(NUMBERS)) show(name);
  find("write_on").checked = settings.write_on;
}

// Controls that are in use keep what is typed.
function show(name) {
  const range = find(`${name}-range`);
  if (range) range.value = settings[name];
  const input = find(name);
  if (input === document.activeElement && validNumber(name, input.value) === settings[name]) return;
  input.value = settings[name] ?? "";
  input.setAttribute("aria-invalid", "false");
}

function changedParameters() {
  const changed = Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name]);
  return new URLSearchParams(changed.map(([name, value]) => [name, String(value)]));
}

function writeAddress() {
  const parameters = changedParameters().toString();
  const path = location.pathname + location.search;
  history.replaceState(null, "", parameters ? `${path}#${parameters}` : path);
}

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  Object.assign(settings, DEFAULTS);
  for (const [name, text] of parameters) {
    const value = name in NUMBERS ? validNumber(name, text) : validOther(name, text);
    if (value !== undefined) settings[name] = value;
  }
}

function validOther(name, text) {
  const choices = { view: ["text", "attention"], theme: ["system", "light", "dark"] }[name];
  if (choices) return choices.includes(text) ? text : undefined;
  if (typeof OTHERS[name] === "boolean") return { true: true, false: false }[text];
  if (name === "head" && text === "mean") return text;
  return (name === "layer" || name === "head") && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
