// Texts from the server, token by token.

import { post, stream } from "./api.js";
import { count, find } from "./dom.js";
import { sampling, settings } from "./settings.js";
import { idsOf, token } from "./tokens.js";

let controller = null;
let finished = Promise.resolve();

export const isWriting = () => controller !== null;

// Ends the text that is being written, where there is one. Resolves when it has ended.
export function stopWriting() {
  controller?.abort();
  return finished;
}

// Adds tokens to a branch, and calls `added` for each.
export async function write(branch, added) {
  await stopWriting();
  controller = new AbortController();
  finished = run(branch, added, controller.signal).finally(() => {
    controller = null;
  });
  return finished;
}

async function run(branch, added, signal) {
  const options = { ...sampling(), max_tokens: settings.max_tokens, seed: seedFor(branch) };
  const record = { from: branch.tokens.length, ...options, finish_reason: null };
  branch.runs.push(record);
  const body = { ...options, prompt: idsOf(branch.tokens), logprobs: 0 };
  const pace = new Pace();
  try {
    for await (const { choices } of stream("v1/completions", body, signal)) {
      for (const choice of choices) {
        const written = tokensOf(choice);
        for (const each of written) branch.tokens.push(each);
        pace.add(written.length);
        for (const each of written) added(each);
        record.finish_reason ??= choice.finish_reason;
      }
    }
  } catch (error) {
    record.finish_reason = signal.aborted ? "stopped" : "error";
    if (!signal.aborted) throw error;
  } finally {
    branch.finish = record.finish_reason;
    pace.show();
  }
}

// The runs of a text take one seed after the other.
function seedFor(branch) {
  if (settings.seed === null) return crypto.getRandomValues(new Uint32Array(1))[0];
  let runs = 0;
  for (let each = branch; each !== null; each = each.parent) runs += each.runs.length;
  return settings.seed + runs;
}

// A token in the event that tells why the text ended is the end-of-text token.
function tokensOf({ logprobs, finish_reason: reason }) {
  if (logprobs === null) return [];
  const origin = reason === null ? "written" : "end";
  return logprobs.tokens.map((name, i) =>
    token(logprobs.token_ids[i], name, logprobs.token_logprobs[i], origin),
  );
}

// Finds the probabilities of a prompt's tokens. True where they were not known before.
export async function scorePrompt(branch) {
  const prompt = branch.tokens.filter((each) => each.origin === "prompt");
  if (prompt.length < 2 || prompt[1].logprob !== null) return false;
  const body = { prompt: idsOf(prompt), echo: true, logprobs: 0, max_tokens: 0 };
  const { choices } = await post("v1/completions", body);
  prompt.forEach((each, i) => {
    each.logprob = choices[0].logprobs.token_logprobs[i];
  });
  return true;
}

// Tokens a second, from the request on, and the time to the first. Fast models' tokens come several at
// a time: the time between the first and the last would say little.
class Pace {
  #start = performance.now();
  #first = null;
  #last = null;
  #shown = 0;
  #n = 0;

  add(n) {
    if (n === 0) return;
    this.#last = performance.now();
    this.#first ??= this.#last;
    this.#n += n;
    if (this.#last - this.#shown > 250) this.show();
  }

  show() {
    if (this.#n === 0) return;
    this.#shown = this.#last;
    const seconds = (this.#last - this.#start) / 1000;
    const rate = (this.#n / seconds).toFixed(1);
    const wait = Math.round(this.#first - this.#start);
    find("speed").textContent = `${count(this.#n, "token")} · ${rate} tokens/s · first after ${wait} ms`;
  }
}
