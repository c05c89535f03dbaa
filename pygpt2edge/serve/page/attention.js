// The view of attention: a text, a layer and a head of it, as arcs, as a list and as a grid.

import { post } from "./api.js";
import { drawArcs } from "./arcs.js";
import { bars } from "./candidates.js";
import { debounced, find, make, makeTabStop, newestOnly, rove } from "./dom.js";
import { model } from "./facts.js";
import { drawGrid } from "./grid.js";
import { change, settings } from "./settings.js";
import { percent, quoted, visible } from "./tokens.js";

// Of Asimov's second law, by which Alammar, "The Illustrated GPT-2", 2019, explains attention: what
// does "it" look at?
const EXAMPLE = "A robot must obey the orders given it";
const LISTED = 8;

const arcTokens = find("arc-tokens");
let attention = null; // what /v1/attention answered
let looking = 0; // the token whose weights are shown
let asked = null; // the text of it
let cellOf = () => null;

// `writtenText` gives the text of the other view.
export function startAttention(writtenText, failed) {
  const field = find("attention-text");
  field.value = EXAMPLE;
  const loadAttention = () => showAttention().catch(failed);
  field.addEventListener("input", debounced(250, loadAttention));
  find("example").addEventListener("click", () => setText(EXAMPLE, loadAttention));
  find("use-text").addEventListener("click", () => setText(writtenText(), loadAttention));
  for (const name of ["layer", "head"]) {
    find(name).addEventListener("change", ({ target }) => {
      change(name, target.value === "mean" ? "mean" : Number(target.value));
      loadAttention();
    });
  }
  find("skip_first").addEventListener("change", ({ target }) => {
    change("skip_first", target.checked);
    drawAttention();
  });
  rove(arcTokens, chooseLooking, chooseLooking);
  watchGrid();
  addEventListener("resize", debounced(100, drawAttention));
}

// Asks for the weights where they are not at hand: all heads of a layer come at once.
export const showAttention = newestOnly(async (signal) => {
  if (model.id === undefined) return; // it comes later
  showChoices();
  const prompt = find("attention-text").value;
  if (prompt === "") return clearAttention();
  if (asked !== prompt || attention.layer !== settings.layer) {
    attention = await post("v1/attention", { prompt, layer: settings.layer }, signal);
    if (asked !== prompt) showLookTokens();
    asked = prompt;
  }
  drawAttention();
});

function setText(text, load) {
  find("attention-text").value = text;
  load();
}

function clearAttention() {
  attention = asked = null;
  for (const id of ["arc-tokens", "arcs", "looks"]) find(id).replaceChildren();
  find("grid").height = 0;
}

function showChoices() {
  settings.layer = Math.min(settings.layer, model.n_layer - 1);
  if (settings.head !== "mean") settings.head = Math.min(settings.head, model.n_head - 1);
  fillSelect("layer", [...Array(model.n_layer).keys()]);
  fillSelect("head", ["mean", ...Array(model.n_head).keys()]);
  find("skip_first").checked = settings.skip_first;
}

function fillSelect(name, values) {
  const select = find(name);
  if (select.options.length !== values.length) {
    const text = (value) => (value === "mean" ? "mean of all" : String(value));
    select.replaceChildren(...values.map((value) => make("option", { value }, text(value))));
  }
  select.value = String(settings[name]);
}

function showLookTokens() {
  const elements = attention.token_strs.map((name) =>
    make("span", { role: "option", tabIndex: -1, "aria-label": quoted(name) }, ...visible(name).map(plainPart)),
  );
  arcTokens.replaceChildren(...elements);
  looking = elements.length - 1;
  makeTabStop(arcTokens, looking);
}

// Marked spaces would make the elements of a token targets of their own.
const plainPart = (part) => (typeof part === "string" ? part : " ");

// The weights of the chosen head, or the mean of all.
function shownRows() {
  if (settings.head !== "mean") return attention.weights[settings.head];
  const n = attention.heads.length;
  return attention.weights[0].map((row, i) =>
    row.map((_, j) => attention.weights.reduce((sum, head) => sum + head[i][j], 0) / n),
  );
}

const firstShown = () => (settings.skip_first ? 1 : 0);

export function drawAttention() {
  if (attention === null || find("view-attention").hidden) return;
  const weights = shownRows();
  [...arcTokens.children].forEach((each, i) => each.setAttribute("aria-selected", String(i === looking)));
  find("arcs").dataset.layer = attention.layer;
  drawArcs(find("arcs"), arcTokens, weights, looking, firstShown());
  cellOf = drawGrid(find("grid"), weights, attention.token_strs, looking, firstShown());
  listLooks(weights[looking]);
  scrollToLooking();
}

// Long texts are wider than the window.
function scrollToLooking() {
  const { offsetLeft, offsetWidth } = arcTokens.children[looking];
  const scroll = find("arcs-scroll");
  const right = offsetLeft + offsetWidth - scroll.clientWidth + 8;
  scroll.scrollLeft = Math.min(Math.max(scroll.scrollLeft, right), offsetLeft);
}

function chooseLooking(at) {
  if (looking === at) return;
  looking = at;
  drawAttention();
}

function listLooks(weights) {
  const order = [...weights.keys()].filter((j) => j >= firstShown());
  order.sort((a, b) => weights[b] - weights[a]);
  find("looks-title").textContent = `${quoted(attention.token_strs[looking])} attends to`;
  const widest = weights[order[0]];
  find("looks").replaceChildren(...order.slice(0, LISTED).map((j) => looked(j, weights[j], widest)));
}

function looked(j, weight, widest) {
  const name = make("span", { className: "name" }, ...visible(attention.token_strs[j]));
  const share = make("span", { className: "share" }, percent(weight));
  return make("li", {}, make("div", {}, name, bars(weight, null, widest), share));
}

function watchGrid() {
  const grid = find("grid");
  grid.addEventListener("pointermove", (event) => {
    const cell = attention && cellOf(event);
    if (cell) find("grid-value").textContent = valueOf(...cell);
  });
  grid.addEventListener("click", (event) => {
    const cell = attention && cellOf(event);
    if (cell) chooseLooking(cell[0]);
  });
}

function valueOf(i, j) {
  const [from, to] = [attention.token_strs[i], attention.token_strs[j]].map(quoted);
  return `${from} attends to ${to}: ${percent(shownRows()[i][j])}`;
}
