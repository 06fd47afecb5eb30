// The page: what a person does, and what follows from it.

import { describe, login, logout } from "./api.js";
import { makeBackgrounds } from "./backgrounds.js";
import { fill, read, titled } from "./options.js";
import { bytes } from "./sizes.js";
import { makeItem, offer } from "./work.js";
import { downloadZip } from "./vendor/client-zip.js";

const AT_ONCE = 3; // requests under way; a browser opens six connections to a host at most
const FORMATS = "JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF";

const $ = (id) => document.getElementById(id);
let served = null; // what GET /v1 said
let items = [];
const backgrounds = makeBackgrounds($("swatches"), $("background-file"), $("background-error"), backgroundChanged);

// Signing in and out

async function start() {
  try {
    served = await describe();
  } catch (error) {
    if (error.status === 401) return askForKey();
    return trouble(`This page cannot begin: ${error.message}`);
  }
  [$("login").hidden, $("work").hidden, $("leave").hidden] = [true, false, !served.keys];
  showModels();
  $("settings").open = matchMedia("(min-width: 60rem)").matches;
}

function askForKey() {
  [$("login").hidden, $("work").hidden, $("leave").hidden] = [false, true, true];
  $("key").focus();
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await login($("key").value.trim());
    $("key").value = "";
    $("login-error").hidden = true;
    await start();
  } catch (error) {
    [$("login-error").textContent, $("login-error").hidden] = [error.message, false];
    $("key").select();
  }
});

$("leave").addEventListener("click", async () => {
  await logout().catch(() => {});
  location.reload();
});

function trouble(sentence) {
  [$("trouble").textContent, $("trouble").hidden] = [sentence, false];
}

// Settings

function showModels() {
  const names = Object.keys(served.models);
  $("models").querySelectorAll("label").forEach((label) => label.remove());
  for (const name of names) {
    const label = document.createElement("label");
    label.className = "model";
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "model", value: name });
    radio.checked = name === names[0];
    const title = Object.assign(document.createElement("span"), { textContent: titled(served.models[name].title) });
    const code = Object.assign(document.createElement("code"), { textContent: name });
    label.append(radio, title, code);
    $("models").append(label);
  }
  modelChanged();
}

const chosenName = () => $("models").querySelector("input:checked").value;

function modelChanged() {
  const model = served.models[chosenName()];
  const composes = Boolean(model.useful?.matte);
  // Behind a matte the page puts the background itself, so the server's option for it would be the same thing twice.
  const without = composes ? model.options.filter(({ kind }) => kind === "colour").map(({ name }) => name) : [];
  fill($("options"), model, without);
  $("backgrounds").hidden = !composes;
  const notes = model.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note }));
  $("notes").replaceChildren(...notes);
  $("save-as-field").hidden = !model.answers[0].startsWith("image/");
  settingsChanged();
}

function settings() {
  const name = chosenName();
  const model = served.models[name];
  const options = read($("options"), model);
  return { name, model, options, limits: served.limits, background: backgrounds.chosen, type: $("save-as").value };
}

function settingsChanged() {
  const { name, model, options } = settings();
  const opaque = $("backgrounds").hidden || backgrounds.chosen || options[model.useful.matte] === "true";
  const jpeg = $("save-as").querySelector("[value='image/jpeg']");
  jpeg.disabled = !opaque;
  if (jpeg.disabled && jpeg.selected) $("save-as").value = "image/png";
  $("settings-now").textContent = titled(model.title);
  const key = JSON.stringify([name, options]);
  $("again").hidden = !items.some((item) => item.used && item.used.key !== key);
}

function backgroundChanged() {
  settingsChanged();
  items.forEach((item) => item.recompose());
}

$("form").addEventListener("submit", (event) => event.preventDefault());
$("form").addEventListener("change", (event) => (event.target.name === "model" ? modelChanged() : settingsChanged()));

// Pictures in

function add(files) {
  const given = [...files];
  if (!given.length || !served) return;
  for (const file of given) {
    const item = makeItem(file, settings, changed);
    item.remove = () => {
      items = items.filter((other) => other !== item);
      line = line.filter((other) => other !== item);
      changed();
      $("choose").focus();
    };
    item.again = () => begin([item]);
    item.failed = (error) => error.status === 401 && askForKey();
    items.push(item);
    $("cards").append(item.card.element);
  }
  begin(items.filter((item) => item.state === "waiting"));
}

let line = []; // items that wait for one of the places
let busy = 0;

function begin(some) {
  if (!$("form").reportValidity()) $("settings").open = true;
  for (const item of some) item.state = "waiting";
  line.push(...some.filter((item) => !line.includes(item)));
  changed();
  while (busy < AT_ONCE && line.length) work();
}

/** One of the places, until nobody waits for it. */
async function work() {
  busy++;
  while (line.length) await line.shift().run();
  busy--;
}

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  add($("files").files);
  $("files").value = "";
});
document.addEventListener("paste", (event) => add(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.toggle("dragging", event.dataTransfer.types.includes("Files"));
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add(event.dataTransfer.files);
});

// Results out

function changed() {
  const count = (state) => items.filter((item) => item.state === state).length;
  const [done, failed] = [count("done"), count("failed")];
  document.body.classList.toggle("has-pictures", items.length > 0);
  $("bar").hidden = !items.length;
  const finished = items.filter((item) => item.state === "done");
  const sent = finished.reduce((sum, item) => sum + item.sentBytes, 0);
  const whole = finished.reduce((sum, item) => sum + item.file.size, 0);
  const parts = [`${done} of ${items.length} done`];
  if (failed) parts.push(`${failed} failed`);
  if (sent && sent < whole) parts.push(`${bytes(sent)} sent instead of ${bytes(whole)}`);
  $("summary").textContent = parts.join(" · ");
  $("all").disabled = !done;
  settingsChanged();
}

$("again").addEventListener("click", () => begin(items.filter((item) => item.state !== "working")));
$("clear").addEventListener("click", () => [...items].forEach((item) => item.card.element.querySelector(".remove").click()));
$("all").addEventListener("click", async () => {
  const done = items.filter((item) => item.state === "done");
  const button = $("all");
  button.disabled = true;
  async function* files() {
    const taken = new Set();
    for (const [number, item] of done.entries()) {
      button.textContent = `Preparing ${number + 1} of ${done.length}…`;
      const { name, blob } = await item.save();
      let unique = name;
      for (let n = 2; taken.has(unique); n++) unique = name.replace(/(\.[^.]*\.[^.]*)$/, `-${n}$1`);
      taken.add(unique);
      yield { name: unique, input: blob, lastModified: new Date() };
    }
  }
  try {
    offer("trtkit.zip", await downloadZip(files()).blob());
  } catch (error) {
    trouble(`The ZIP could not be made: ${error.message}`);
  }
  button.textContent = "Download all";
  changed();
});

$("drop-hint").textContent = `or paste them: ${FORMATS}. They go to this server alone, and it keeps nothing.`;
start();
