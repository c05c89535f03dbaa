// The text for elsewhere: as plain text, as JSON with everything the page knows, as a link.

import { branches, current } from "./branches.js";
import { announce, find, make } from "./dom.js";
import { model } from "./facts.js";
import { linkWith } from "./settings.js";
import { probability, textOf } from "./tokens.js";

export function startExports() {
  find("export-text").addEventListener("click", () => save("text.txt", "text/plain", plainText()));
  find("export-json").addEventListener("click", () => {
    save("text.json", "application/json", `${JSON.stringify(everything(), null, 1)}\n`);
  });
  find("copy-link").addEventListener("click", copyLink);
}

export const plainText = () => (current ? textOf(current.tokens) : find("prompt").value);

function everything() {
  const { id, n_layer, n_head, n_embd, max_model_len } = model;
  return {
    model: { id, n_layer, n_head, n_embd, max_model_len },
    current: current?.number ?? null,
    branches: branches.map(asData),
  };
}

function asData({ number, parent, at, tokens, runs, finish }) {
  return {
    branch: number,
    parent: parent?.number ?? null,
    fork: at,
    text: textOf(tokens),
    finish_reason: finish,
    runs,
    tokens: tokens.map((each) => ({
      id: each.id,
      text: each.name,
      origin: each.origin,
      logprob: each.logprob,
      probability: probability(each),
    })),
  };
}

function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function copyLink() {
  const link = linkWith(find("prompt").value);
  try {
    await navigator.clipboard.writeText(link);
    announce("The link is copied");
    find("copy-link").textContent = "Link copied";
    setTimeout(() => (find("copy-link").textContent = "Copy a link"), 2000);
  } catch {
    prompt("The link, with the settings and the prompt", link); // no clipboard without HTTPS
  }
}
