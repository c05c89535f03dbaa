// Elements, time, and what screen readers are told.

export const find = (id) => document.getElementById(id);

// An element with properties or attributes, and children.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// Screen readers read it out. Once for a text, not for each token.
export function announce(text) {
  find("status").textContent = text;
}

// An action that waits until it has not been asked for during some milliseconds.
export function debounced(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

// Of several calls only the newest goes on: the signal of the one before is aborted, as it is by
// `cancel`.
export function newestOnly(action) {
  let controller = new AbortController();
  const call = async (...values) => {
    call.cancel();
    controller = new AbortController();
    const { signal } = controller;
    try {
      await action(signal, ...values);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
  call.cancel = () => controller.abort();
  return call;
}

// Replaces the items of a list of buttons. Where one had the focus, the one in its place has it.
export function replaceItems(list, items) {
  const at = [...list.children].findIndex((each) => each.contains(document.activeElement));
  list.replaceChildren(...items);
  if (at >= 0) items[Math.min(at, items.length - 1)]?.querySelector("button").focus();
}

// One of the elements within a list box can be reached by Tab, the others by arrow keys. Calls
// `moved` with the index of an element that gets the focus, and `chosen` where it is chosen.
export function rove(box, moved, chosen) {
  const options = () => [...box.children];
  box.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.indexOf(document.activeElement);
    const steps = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1 };
    const to = { ...steps, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined && all.length > 0) {
      event.preventDefault();
      all[Math.max(0, Math.min(to, all.length - 1))].focus();
    } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
      event.preventDefault();
      chosen(at);
    }
  });
  box.addEventListener("focusin", (event) => {
    const at = options().indexOf(event.target);
    if (at < 0) return;
    makeTabStop(box, at);
    moved(at);
  });
  box.addEventListener("click", (event) => {
    const at = options().indexOf(event.target);
    if (at >= 0) chosen(at);
  });
}

export function makeTabStop(box, at) {
  box.tabIndex = at === null ? 0 : -1;
  for (const stop of box.querySelectorAll('[tabindex="0"]')) stop.tabIndex = -1;
  if (at !== null) box.children[at].tabIndex = 0;
}
