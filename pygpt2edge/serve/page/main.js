// What happens when: the parts of the page, joined.

import { Refusal, keepKey } from "./api.js";
import { drawAttention, showAttention, startAttention } from "./attention.js";
import { addBranch, current, goTo, listBranches } from "./branches.js";
import { drawCandidates, showCandidates, showNoCandidates, startCandidates } from "./candidates.js";
import { announce, count, find, rove } from "./dom.js";
import { plainText, startExports } from "./exports.js";
import { loadModel, model } from "./facts.js";
import { promptTokens, setPrompt, startPrompt } from "./prompt.js";
import { change, settings, startSettings, takePrompt } from "./settings.js";
import { appendToken, markToken, shadeAll, showText, startTextView } from "./text_view.js";
import { quoted, textOf, token } from "./tokens.js";
import { isWriting, scorePrompt, stopWriting, write } from "./writing.js";

let chosenAt = null; // the token of the text whose alternatives are shown; null: what comes next
let isTyping = false; // the prompt was changed after all else: its next tokens are wanted

// Errors.

function failed(error) {
  if (!(error instanceof Refusal)) console.error(error);
  const box = find("problem");
  box.textContent = error instanceof Refusal ? error.message : `The page failed: ${error.message}`;
  box.hidden = false;
  if (error.status === 401) askForKey();
}

// An action as a listener: its errors are shown, and those of the one before are not.
const act = (action) => (...values) => {
  find("problem").hidden = true;
  return Promise.resolve(action(...values)).catch(failed);
};

function askForKey() {
  find("key-form").hidden = false;
  find("key").focus();
}

// Writing.

async function writeFromPrompt() {
  await stopWriting();
  showBranch(addBranch(null, 0, await promptTokens()));
  await writeOn();
}

async function writeOn() {
  const branch = current;
  const before = branch.tokens.length;
  announce("Writing");
  const ended = write(branch, (each) => branch === current && appendToken(each));
  showState();
  try {
    await ended;
  } finally {
    showState();
    listBranches(act(changeBranch));
  }
  report(branch, before);
  if (await scorePrompt(branch)) shadeAll();
  if (branch === current && chosenAt === null) await showNext();
}

function report(branch, before) {
  const written = branch.tokens.slice(before);
  const verb = branch.finish === "stopped" ? "Stopped after" : "Wrote";
  announce(`${verb} ${count(written.length, "token")}: ${textOf(written)}`);
}

function showState() {
  const writing = isWriting();
  // A button that has the focus passes it on before it is disabled.
  const [from, to] = writing ? ["write", "stop"] : ["stop", "go-on"];
  const hadFocus = document.activeElement === find(from) || document.activeElement === find("go-on");
  find("write").disabled = writing;
  find("stop").disabled = !writing;
  find("go-on").disabled = writing || current === null;
  find("text").setAttribute("aria-busy", String(writing));
  if (hadFocus) find(to).focus();
}

// Branches.

function showBranch(branch) {
  goTo(branch);
  isTyping = false;
  chosenAt = null;
  showText(branch.tokens);
  listBranches(act(changeBranch));
  showState();
}

async function changeBranch(branch) {
  await stopWriting();
  showBranch(branch);
  await showNext();
}

async function pick({ before, branch }, id, name, logprob) {
  await stopWriting();
  const picked = token(id, name, logprob, "picked");
  const isEnd = branch !== null && before.length === branch.tokens.length;
  if (isEnd) branch.tokens.push(picked);
  const shown = isEnd ? branch : addBranch(branch, branch ? before.length : 0, [...before, picked]);
  showBranch(shown);
  if (settings.write_on) await writeOn();
  else await showNext();
}

// The panel of candidates.

function showNext() {
  const [title, before] = ["Next token", contextOf(current)];
  if (before.length > model.max_model_len) return showNoCandidates(title, "The context is full.");
  return showCandidates({ before, branch: current, title });
}

// The end-of-text token ends a text: what comes next would come in its place.
function contextOf(branch) {
  const ends = branch.tokens.at(-1)?.origin === "end";
  return ends ? branch.tokens.slice(0, -1) : [...branch.tokens];
}

async function chooseToken(at) {
  isTyping = false;
  const isSame = chosenAt === at;
  chosenAt = isSame ? null : at;
  markToken(chosenAt);
  if (isSame) return showNext();
  const actual = current.tokens[at];
  const title = `Instead of ${quoted(actual.name)}`;
  if (at === 0) return showNoCandidates(title, "Nothing is before the first token.");
  return showCandidates({ before: current.tokens.slice(0, at), branch: current, actual, title });
}

function promptPaused(tokens) {
  if (!isTyping || isWriting()) return;
  chosenAt = null;
  markToken(null);
  act(showCandidates)({ before: tokens, branch: null, title: "Next after the prompt" });
}

// Views, colours and keys.

function showView() {
  for (const name of ["text", "attention"]) {
    const isShown = settings.view === name;
    find(`view-${name}`).hidden = !isShown;
    find(`tab-${name}`).setAttribute("aria-selected", String(isShown));
    find(`tab-${name}`).tabIndex = isShown ? 0 : -1;
  }
  if (settings.view === "attention") act(showAttention)();
}

const darkSystem = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const isDark = settings.theme === "dark" || (settings.theme === "system" && darkSystem.matches);
  document.documentElement.classList.toggle("dark", isDark);
  find("theme").value = settings.theme;
  drawAttention();
}

function settingChanged(name) {
  if (name === "theme") showTheme();
  else if (name === "view") showView();
  else drawCandidates();
}

function startViews() {
  const names = ["text", "attention"];
  const tabs = document.querySelector('[role="tablist"]');
  rove(tabs, () => {}, (at) => change("view", names[at]));
  find("theme").addEventListener("change", ({ target }) => change("theme", target.value));
  darkSystem.addEventListener("change", showTheme);
}

function startKeys() {
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isWriting()) stopWriting();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || isWriting()) return;
    event.preventDefault();
    if (settings.view === "text") act(writeFromPrompt)();
  });
}

function startButtons() {
  find("write").addEventListener("click", act(writeFromPrompt));
  find("go-on").addEventListener("click", act(writeOn));
  find("stop").addEventListener("click", stopWriting);
  find("prompt").addEventListener("input", () => (isTyping = true));
  find("edit").addEventListener("click", () => setPrompt(plainText()));
}

// The start.

async function load(look) {
  await loadModel();
  showView();
  isTyping = true;
  await look();
}

function start() {
  startSettings(settingChanged);
  find("prompt").value = takePrompt();
  startTextView(act(chooseToken));
  startCandidates(act(pick));
  startAttention(plainText, failed);
  startExports();
  startViews();
  startKeys();
  startButtons();
  showTheme();
  showView();
  const look = startPrompt(promptPaused, failed);
  find("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!keepKey(find("key").value)) return failed(new Refusal("a key has ASCII characters only", 0));
    find("key-form").hidden = true;
    return act(load)(look);
  });
  act(load)(look);
}

start();
