// The server's routes. Paths are relative: the page may stand below a path of a proxy.

const KEY_NAME = "pygpt2edge.key";

// What a route refuses, in its own words.
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// Keeps the key for this tab. False where no header can have it.
export function keepKey(key) {
  const sound = /^[\x20-\x7e]+$/.test(key);
  if (sound) sessionStorage.setItem(KEY_NAME, key.trim());
  return sound;
}

export async function get(path, signal) {
  return (await send(path, undefined, signal)).json();
}

export async function post(path, body, signal) {
  return (await send(path, body, signal)).json();
}

// The events of a route that streams.
export async function* stream(path, body, signal) {
  const response = await send(path, { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refusal("the server broke the text off", 0);
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue; // an empty line, or a comment
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Refusal(event.error.message, 0);
      yield event;
    }
  }
}

async function send(path, body, signal) {
  const response = await fetch(path, request(body, signal)).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refusal("the server does not answer", 0);
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

function request(body, signal) {
  const headers = new Headers();
  const key = sessionStorage.getItem(KEY_NAME);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  const common = { headers, signal, cache: "no-store", credentials: "same-origin" };
  if (body === undefined) return common;
  headers.set("Content-Type", "application/json");
  return { ...common, method: "POST", body: JSON.stringify(body) };
}

async function refusal(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `the server answered with status ${response.status}`;
  const wait = response.headers.get("Retry-After");
  return new Refusal(wait ? `${message}; try again in ${wait} s` : message, response.status);
}
