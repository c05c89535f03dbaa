// The text: its tokens, shaded by probability. Not by colour alone: the value is shown for a token
// that is pointed at or has the focus, and is part of its label.

import { find, make, makeTabStop, rove } from "./dom.js";
import { SHADES, Pieces, described, percent, probability, shadeOf } from "./tokens.js";

const textBox = find("text");
let shownTokens = [];
let pieces = new Pieces();
let selected = null;

export function startTextView(chosen) {
  rove(textBox, (at) => showTip(textBox.children[at]), chosen);
  textBox.addEventListener("mouseover", (event) => showTip(event.target));
  textBox.addEventListener("mouseleave", hideTip);
  textBox.addEventListener("focusout", hideTip);
  addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
  find("legend").append(...[...SHADES, 0].map(legendItem));
}

// Shows a whole text.
export function showText(tokens) {
  shownTokens = [];
  pieces = new Pieces();
  selected = null;
  textBox.replaceChildren();
  makeTabStop(textBox, null);
  for (const each of tokens) appendToken(each);
}

export function appendToken(each) {
  const element = make("span", { role: "option", tabIndex: -1 }, ...inked(each, pieces.next(each)));
  element.classList.add(each.origin);
  element.setAttribute("aria-selected", "false");
  shownTokens.push(each);
  textBox.append(element);
  shade(element, each, shownTokens.length - 1);
  if (shownTokens.length === 1) makeTabStop(textBox, 0);
}

// A token's leading spaces, and the rest, which is shaded.
function inked(each, piece) {
  const text = piece || (each.origin === "start" || each.origin === "end" ? each.name : "");
  const rest = text.replace(/^ +/, "") || text;
  const ink = make("span", { className: "ink" }, rest);
  ink.classList.toggle("part", text === "");
  ink.classList.toggle("newline", text.includes("\n"));
  return [text.slice(0, text.length - rest.length), ink];
}

// Shades the tokens again, whose probabilities have come.
export function shadeAll() {
  shownTokens.forEach((each, i) => shade(textBox.children[i], each, i));
}

// Marks a token; null marks none.
export function markToken(at) {
  if (selected !== null) textBox.children[selected]?.setAttribute("aria-selected", "false");
  selected = at;
  if (at !== null) textBox.children[at].setAttribute("aria-selected", "true");
}

function shade(element, each, index) {
  const share = probability(each);
  if (share !== null) element.querySelector(".ink").classList.add(`shade-${shadeOf(share)}`);
  element.setAttribute("aria-label", described(each, index));
}

function showTip(element) {
  const at = [...textBox.children].indexOf(element);
  if (at < 0) return; // between tokens
  const tip = find("tip");
  tip.textContent = described(shownTokens[at], at);
  tip.hidden = false;
  const place = element.getClientRects()[0] ?? element.getBoundingClientRect();
  const widest = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${scrollX + Math.max(8, Math.min(place.left, widest))}px`;
  tip.style.top = `${scrollY + place.top - tip.offsetHeight - 4}px`;
}

function hideTip() {
  find("tip").hidden = true;
}

function legendItem(least, i) {
  const text = least > 0 ? `≥ ${percent(least).replace(".0", "")}` : "less";
  return make("li", { className: `shade-${i}` }, text);
}
