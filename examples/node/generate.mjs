// Writes text after a prompt, piece by piece: generate.mjs MODEL PROMPT SEED MAX_TOKENS
import { writeSync } from "node:fs";
import { Model } from "./gpt2edge.mjs";

const [path, prompt, seed, maxTokens] = process.argv.slice(2);
if (maxTokens === undefined) {
  console.error("usage: generate.mjs MODEL PROMPT SEED MAX_TOKENS");
  process.exit(2);
}
try {
  const model = new Model(path);
  const options = { seed: BigInt(seed), max_tokens: BigInt(maxTokens) };
  for (const piece of model.stream(prompt, options)) writeSync(1, piece);
  model.close();
} catch (error) {
  console.error(`generate.mjs: ${error.message}`);
  process.exit(1);
}
