// What the page tells of the model.

import { get } from "./api.js";
import { count, find, make } from "./dom.js";

export let model = {};

export async function loadModel() {
  const { data } = await get("v1/models");
  model = data[0];
  find("model-name").textContent = model.id;
  document.title = `${model.id} · pygpt2edge`;
  showFacts();
}

function showFacts() {
  const { weights, cache, workspace } = model.memory;
  const facts = {
    Model: model.id,
    Shape: `${count(model.n_layer, "layer")}, ${count(model.n_head, "head")}, width ${model.n_embd}`,
    Context: count(model.max_model_len, "token"),
    Memory: `weights ${size(weights)}, cache of a full text ${size(cache)}, workspace ${size(workspace)}`,
    Cache: model.kv_type,
    Kernels: `${model.isa}, ${count(model.n_threads, "thread")}`,
  };
  const entries = Object.entries(facts);
  find("facts").replaceChildren(
    ...entries.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))),
  );
}

const size = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
