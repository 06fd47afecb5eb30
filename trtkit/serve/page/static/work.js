// A picture's way through the page: shrunk, sent, shown, saved.

import { send } from "./api.js";
import { showFiles } from "./files.js";
import { makeCard } from "./card.js";
import { titled } from "./options.js";
import { bytes } from "./sizes.js";
import { unzip } from "./unzip.js";
import { studio } from "./worker.js";

const SUFFIXES = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg", "application/zip": "zip" };
const PATIENCE = 20; // times that a full queue is asked again

/** `settings()` gives {name, model, options, limits, background, type} at the time; `changed` hears of every change. */
export function makeItem(file, settings, changed) {
  const item = { file, state: "waiting", sentBytes: 0, used: null, run, save, recompose, remove: () => {} };
  let abort = new AbortController();
  let sent = null; // what shrink said; null where the browser cannot read the file
  let answer = null;
  item.card = makeCard(file.name || "picture", {
    remove: () => {
      abort.abort();
      item.card.element.remove();
      item.remove();
    },
    retry: () => item.again(),
    download: () => download(item),
  });
  item.card.begin("Waiting…");

  async function run() {
    abort.abort();
    abort = new AbortController();
    const { signal } = abort;
    const { name, model, options, limits } = settings();
    item.used = { name, model, options, key: JSON.stringify([name, options]) };
    [item.state, answer] = ["working", null];
    item.card.begin("Reading…");
    changed();
    try {
      sent = await studio("shrink", { file, useful: model.useful, options, limits }).catch(() => null);
      if (signal.aborted) return;
      if (sent) item.card.before(sent.preview);
      answer = await sending(name, model, options, signal);
      if (signal.aborted) return;
      await show();
      item.state = "done";
      item.card.done(told());
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      item.state = "failed";
      item.card.fail(error.message);
      item.failed?.(error);
    } finally {
      changed();
    }
  }

  /** Whether the server is asked for the matte alone, and the rest happens here. */
  const composes = () => Boolean(sent && item.used.model.useful?.matte);
  const matteOnly = () => item.used.options[item.used.model.useful?.matte] === "true";

  async function sending(name, model, options, signal) {
    const blob = sent?.blob ?? file;
    item.sentBytes = blob.size;
    const query = Object.fromEntries(
      Object.entries(options).filter(([option, value]) => {
        const stated = model.options.find((one) => one.name === option);
        return value !== String(stated.default);
      }),
    );
    if (composes()) query[model.useful.matte] = "true";
    for (let tries = 1; ; tries++) {
      try {
        return await send(name, query, blob, model.answers[0], heard, signal);
      } catch (error) {
        if (error.status !== 429 || tries === PATIENCE) throw error;
        item.card.note("The server's queue is full; trying again in a moment…");
        await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 1) * 1000));
        if (signal.aborted) throw new DOMException("removed", "AbortError");
      }
    }
  }

  function heard({ upload, stage, ms }) {
    if (upload !== undefined) {
      item.card.progress(upload);
      item.card.note(upload < 1 ? "Sending…" : "Sent; the server is at it…");
      item.card.step("sent", upload < 1 ? undefined : bytes(item.sentBytes));
    } else if (ms === undefined) began(stage);
    else item.card.step(stage, ms < 1 ? "< 1 ms" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
  }

  /** A model that names its stages says how far it is, too. */
  function began(stage) {
    item.card.step(stage);
    const stages = Object.keys(item.used.model.stages);
    const place = stages.indexOf(stage);
    if (place < 0) return;
    item.card.progress((place + 0.5) / stages.length);
    item.card.note(`${titled(item.used.model.stages[stage])}: ${stage}…`);
  }

  async function show() {
    if (answer.type === "application/zip") return item.card.show(await showFiles(await unzip(answer), file.name));
    const { preview } = await made();
    item.card.after(sent?.preview, preview);
  }

  /** Another background, where the result has one. */
  async function recompose() {
    if (item.state !== "done" || !item.used.model.useful?.matte) return;
    const said = await show().then(told, (error) => `The background could not be put behind it: ${error.message}`);
    if (item.state === "done") item.card.note(said); // else it has begun anew meanwhile
  }

  /** The result as the studio makes it: {preview}, or {blob} of `type` at the picture's own size. */
  function made(type) {
    const background = item.used.model.useful?.matte && !matteOnly() ? settings().background : null;
    if (type === "image/jpeg" && item.used.model.useful?.matte && !background && !matteOnly()) type = "image/png";
    if (composes()) return studio("compose", { file, matte: answer, background, matteOnly: matteOnly(), type });
    const [width, height] = sent?.why === "limit" ? [sent.sentWidth, sent.sentHeight] : [sent?.width, sent?.height];
    return studio("convert", { result: answer, background, type, width, height });
  }

  /** {name, blob} of the result. */
  async function save() {
    const blob = answer.type === "application/zip" ? answer : (await made(settings().type)).blob;
    const stem = (file.name || "picture").replace(/\.[^.]*$/, "");
    return { name: `${stem}.${item.used.model.result}.${SUFFIXES[blob.type]}`, blob };
  }

  function told() {
    if (!sent) return `${bytes(item.sentBytes)} sent; your browser cannot show this format`;
    const size = `${sent.width} × ${sent.height}`;
    if (!sent.blob) return `${size} · ${bytes(file.size)} sent`;
    const down = Math.round((1 - sent.blob.size / file.size) * 100);
    const saved = `${size} · ${bytes(sent.blob.size)} sent instead of ${bytes(file.size)}${down > 0 ? ` (−${down}\u00a0%)` : ""}`;
    return sent.why === "limit" ? `${saved}, shrunk to ${sent.sentWidth} × ${sent.sentHeight}: the server's limit` : saved;
  }

  return item;
}

async function download(item) {
  item.card.busy("Preparing…");
  try {
    const { name, blob } = await item.save();
    offer(name, blob);
    item.card.busy("");
  } catch (error) {
    item.card.busy("");
    item.card.note(`The file could not be made: ${error.message}`);
  }
}

/** Hands `blob` to the person as the file `name`. */
export function offer(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
