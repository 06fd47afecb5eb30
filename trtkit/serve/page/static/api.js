// The server's endpoints, the same that everybody has. A refusal is thrown as an Error with the server's sentence.

const PROGRESS = "application/vnd.trtkit.progress";

export class Refusal extends Error {
  constructor(sentence, status, retryAfter = null) {
    super(sentence);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** GET /v1: models with their options, and the limits. */
export async function describe() {
  return (await asked("v1")).json();
}

/** Opens a session with `key`: the browser holds it as a cookie that no script can read. */
export async function login(key) {
  await asked("login", { method: "POST", headers: { Authorization: `Bearer ${key}` } });
}

export async function logout() {
  await asked("logout", { method: "POST" });
}

async function asked(path, settings = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...settings });
  } catch {
    throw new Refusal("the server cannot be reached; is it still running?", 0);
  }
  if (!answer.ok) throw new Refusal(sentenceOf(await answer.text(), answer.status), answer.status);
  return answer;
}

/**
 * POST /v1/MODEL with `blob`. `told` hears {upload: 0..1}, {stage}, {stage, ms}. Resolves to the result as a Blob.
 *
 * XMLHttpRequest, because fetch tells nothing about an upload's progress; the answer is read as text of one character
 * a byte, because that is the one form in which it hands out what has come so far.
 */
export function send(model, options, blob, accept, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `v1/${encodeURIComponent(model)}?${new URLSearchParams(options)}`);
    request.overrideMimeType("text/plain; charset=x-user-defined");
    request.setRequestHeader("Accept", `${accept}, ${PROGRESS}`);
    request.setRequestHeader("Content-Type", blob.type || "application/octet-stream");
    request.upload.onprogress = (event) => told({ upload: event.loaded / Math.max(1, event.total) });
    request.upload.onload = () => told({ upload: 1 });

    let read = 0; // characters of whole lines so far
    let last = null;
    const readLines = () => {
      const text = request.responseText;
      for (let end; !last && (end = text.indexOf("\n", read)) >= 0; read = end + 1) {
        const line = JSON.parse(text.slice(read, end));
        if (line.stage) told(line);
        else last = line;
      }
    };
    request.onprogress = () => request.status === 200 && readLines();
    request.onload = () => {
      if (request.status !== 200) {
        const after = Number(request.getResponseHeader("Retry-After")) || null;
        reject(new Refusal(sentenceOf(request.responseText, request.status), request.status, after));
        return;
      }
      readLines();
      if (last?.error) reject(new Refusal(last.error, last.status, last.retry_after ?? null));
      else if (!last || request.responseText.length - read !== last.bytes) {
        reject(new Refusal("the answer was cut short; try again", 0));
      } else resolve(new Blob([bytesOf(request.responseText, read)], { type: last.type }));
    };
    request.onerror = () => reject(new Refusal("the server cannot be reached; is it still running?", 0));
    request.onabort = () => reject(new DOMException("removed", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(blob);
  });
}

function bytesOf(text, from) {
  const bytes = new Uint8Array(text.length - from);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(from + i); // the upper bits fall away
  return bytes;
}

function sentenceOf(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return `the server answered with status ${status}`;
  }
}
