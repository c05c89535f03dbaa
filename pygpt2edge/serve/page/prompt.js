// The prompt while it is typed: its tokens, and next words as a phone's keyboard offers them.

import { post } from "./api.js";
import { count, debounced, find, make, newestOnly } from "./dom.js";
import { model } from "./facts.js";
import { token, visible } from "./tokens.js";

const PAUSE = 150; // milliseconds without a key until the model is asked
const WORDS = 3;

const promptField = find("prompt");

// What stands before the next suggested word: a space after one that was taken. It is not put into
// the prompt until it is needed: GPT-2 expects spaces at the beginning of tokens, not at the end.
let joint = "";

// Calls `paused` with the tokens when the typing pauses, and `failed` with errors.
export function startPrompt(paused, failed) {
  const look = newestOnly(async (signal) => {
    const [tokens] = await Promise.all([promptTokens(signal), suggest(signal)]);
    showTokens(tokens);
    paused(tokens);
  });
  const lookSoon = debounced(PAUSE, () => look().catch(failed));
  promptField.addEventListener("input", () => {
    look.cancel(); // its answer would be about another text
    joint = "";
    lookSoon();
  });
  return () => look().catch(failed);
}

// The tokens that a text from this prompt begins with.
export async function promptTokens(signal) {
  const text = promptField.value;
  if (text === "") {
    const { tokens } = await post("v1/next_tokens", { prompt: "", top: 1 }, signal);
    return tokens.map((id) => token(id, "<|endoftext|>", null, "start"));
  }
  const { tokens, token_strs: names } = await post("tokenize", { prompt: text }, signal);
  return tokens.map((id, i) => token(id, names[i], null, "prompt"));
}

export function setPrompt(text) {
  promptField.value = text;
  promptField.dispatchEvent(new Event("input"));
  promptField.focus();
}

async function suggest(signal) {
  const before = promptField.value.slice(0, promptField.selectionEnd) + joint;
  const { suggestions } = await post("v1/suggestions", { text: before, k: WORDS }, signal);
  find("suggestions").replaceChildren(...suggestions.map(suggestion));
}

function suggestion({ word, completion }) {
  const button = make("button", { type: "button" }, word);
  button.addEventListener("click", () => {
    const at = promptField.selectionEnd;
    promptField.setRangeText(joint + completion, at, at, "end");
    promptField.dispatchEvent(new Event("input"));
    promptField.focus();
    joint = " ";
  });
  return button;
}

function showTokens(all) {
  const tokens = all.filter((each) => each.origin === "prompt");
  const room = model.max_model_len ? ` of ${model.max_model_len.toLocaleString("en")}` : "";
  find("prompt-count").textContent = `${count(tokens.length, "token")}${room}`;
  find("token-list").replaceChildren(...tokens.map(tokenItem));
}

function tokenItem({ id, name }) {
  const number = make("span", { className: "ids" }, String(id));
  return make("li", {}, ...visible(name), number);
}
