// The tokens that may stand at a place, as bars: the model's own probability, and the probability
// with which the server draws it by the settings. Sliders need no request: all logits are at hand.

import { post } from "./api.js";
import { find, make, newestOnly, replaceItems } from "./dom.js";
import { model } from "./facts.js";
import { Distribution, decodeLogits } from "./sampling.js";
import { sampling } from "./settings.js";
import { idsOf, percent, quoted, visible } from "./tokens.js";

const FEW = 12;
const MANY = 48;

let place = null; // { before, actual, title }
let distribution = null;
let names = new Map();
let limit = FEW;
let whenPicked = () => {};

export function startCandidates(picked) {
  whenPicked = picked;
  find("more").addEventListener("click", () => {
    limit = limit === FEW ? MANY : FEW;
    drawCandidates();
  });
}

// Asks for the distribution after some tokens. `actual` is the token that stands there, if any.
export const showCandidates = newestOnly(async (signal, wanted) => {
  const prompt = idsOf(wanted.before);
  const body = { prompt, top: Math.min(MANY, model.n_vocab ?? MANY), all_logits: true };
  const found = await post("v1/next_tokens", body, signal);
  place = wanted;
  distribution = new Distribution(decodeLogits(found.logits), found.log_sum_exp);
  names = new Map(found.candidates.map(({ id, text }) => [id, text]));
  if (wanted.actual) names.set(wanted.actual.id, wanted.actual.name);
  drawCandidates();
});

// Says why there are none.
export function showNoCandidates(title, reason) {
  showCandidates.cancel();
  place = distribution = null;
  find("next-title").textContent = title;
  find("next-count").textContent = reason;
  find("candidates").replaceChildren();
  find("more").hidden = true;
}

export function drawCandidates() {
  if (distribution === null) return;
  const drawn = distribution.drawn(sampling());
  const rows = ranks().map((rank) => rowOf(rank, drawn[rank] ?? 0));
  const widest = Math.max(...rows.flatMap(({ now, own }) => [now, own]));
  find("next-title").textContent = place.title;
  find("next-count").textContent = summary(drawn.length);
  find("candidates").dataset.after = place.before.length; // tokens
  replaceItems(find("candidates"), rows.map((each) => candidate(each, widest)));
  find("more").hidden = false;
  find("more").textContent = limit === FEW ? "Show more" : "Show fewer";
}

// The most likely, and the actual token where it is not among them.
function ranks() {
  const found = [...Array(Math.min(limit, names.size, distribution.order.length)).keys()];
  const actual = place.actual ? distribution.rankOf(place.actual.id) : 0;
  return actual >= found.length ? [...found, actual] : found;
}

function rowOf(rank, now) {
  const id = distribution.order[rank];
  return { rank, id, name: names.get(id), now, own: distribution.own(id) };
}

function summary(n) {
  const all = distribution.order.length.toLocaleString("en");
  return `${n.toLocaleString("en")} of ${all} tokens can be drawn`;
}

function candidate({ rank, id, name, now, own }, widest) {
  const label = make("span", { className: "name" }, ...visible(name));
  const share = make("span", { className: "share" }, percent(now));
  const button = make("button", { type: "button" }, label, bars(now, own, widest), share);
  button.title = `${quoted(name)} · rank ${rank + 1} · id ${id} · model ${percent(own)}`;
  const never = now === 0 ? "never drawn" : percent(now);
  button.setAttribute("aria-label", `${quoted(name)}: ${never}; the model’s own ${percent(own)}`);
  button.setAttribute("aria-current", String(place.actual?.id === id));
  button.classList.toggle("never", now === 0);
  Object.assign(button.dataset, { id, drawn: now, own });
  button.addEventListener("click", () => whenPicked(place, id, name, Math.log(own)));
  return make("li", {}, button);
}

// Also of attention weights, which have one bar.
export function bars(now, own, widest) {
  const box = make("span", { className: "bars" });
  for (const [className, share] of [["own", own], ["now", now]]) {
    if (share === null) continue;
    const bar = make("i", { className });
    bar.style.width = `${(100 * share) / widest}%`;
    box.append(bar);
  }
  return box;
}
