// The texts of this visit: a forest. A branch has all its tokens, those before the fork too.

import { count, find, make, replaceItems } from "./dom.js";
import { textOf } from "./tokens.js";

export const branches = [];
export let current = null;

// `at` is how many tokens it shares with its parent; null and 0 for a new text.
export function addBranch(parent, at, tokens) {
  const branch = { number: branches.length + 1, parent, at, tokens, runs: [], finish: null };
  branches.push(branch);
  current = branch;
  return branch;
}

export function goTo(branch) {
  current = branch;
}

// A list of them, each below the one it left.
export function listBranches(chosen) {
  find("branches-box").hidden = branches.length < 2;
  const items = [];
  const walk = (parent, depth) => {
    for (const branch of branches.filter((each) => each.parent === parent)) {
      items.push(branchItem(branch, depth, chosen));
      walk(branch, depth + 1);
    }
  };
  walk(null, 0);
  replaceItems(find("branches"), items);
}

function branchItem(branch, depth, chosen) {
  const text = textOf(branch.tokens.slice(branch.at)).trim().replace(/\s+/g, " ");
  const size = make("small", {}, ` ${count(branch.tokens.length, "token")}`);
  const fork = depth > 0 ? "↳ …" : "";
  const button = make("button", { type: "button" }, `${fork}${text.slice(0, 60) || "(empty)"}`, size);
  button.setAttribute("aria-current", String(branch === current));
  button.addEventListener("click", () => chosen(branch));
  const found = make("li", {}, button);
  found.style.paddingLeft = `${Math.min(depth, 8)}rem`;
  return found;
}
