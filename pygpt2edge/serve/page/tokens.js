// Tokens: { id, name, logprob, origin }.
//
// A name is the token's text, or "bytes:\xe2\x80" where that is no whole character. logprob is null
// where it is not known. origin is "start" (what an empty prompt begins with), "prompt", "written",
// "picked" (by the reader) or "end".

import { make } from "./dom.js";

// The least probabilities of the shades 0 to 3; shade 4 has the rest.
export const SHADES = [0.5, 0.2, 0.05, 0.01];

export const token = (id, name, logprob, origin) => ({ id, name, logprob, origin });
export const idsOf = (tokens) => tokens.map((each) => each.id);
export const probability = (each) => (each.logprob === null ? null : Math.exp(each.logprob));

export function shadeOf(share) {
  const found = SHADES.findIndex((least) => share >= least);
  return found < 0 ? SHADES.length : found;
}

// Decodes tokens one after the other. A character of several tokens comes with the last of them.
export class Pieces {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  next(each) {
    if (each.origin === "start" || each.origin === "end") return "";
    return this.#decoder.decode(bytesOf(each.name), { stream: true });
  }

  end() {
    return this.#decoder.decode();
  }
}

export function textOf(tokens) {
  const pieces = new Pieces();
  return tokens.map((each) => pieces.next(each)).join("") + pieces.end();
}

function bytesOf(name) {
  if (/^token:\d+$/.test(name)) return new Uint8Array(); // no text: beyond the vocabulary
  if (!name.startsWith("bytes:")) return new TextEncoder().encode(name);
  const codes = name.slice("bytes:".length).split("\\x").slice(1);
  return Uint8Array.from(codes, (code) => parseInt(code, 16));
}

// A token's name with visible spaces and line ends.
export function visible(name) {
  const shown = name.replace(/\n/g, "↵").replace(/\t/g, "→");
  const spaces = shown.length - shown.trimStart().length;
  if (spaces === 0) return [shown];
  return [make("span", { className: "space" }, "·".repeat(spaces)), shown.slice(spaces)];
}

export const quoted = (name) => `“${name.replace(/\n/g, "new line")}”`;

export function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.0001) return "<0.01%";
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)}%`;
}

// What a tooltip and a screen reader say of a token in a text.
export function described(each, index) {
  const share = probability(each);
  const known = share === null ? "no probability" : percent(share);
  return `${quoted(each.name)} · ${known} · token ${index + 1} · id ${each.id}`;
}
