// One picture's card: what it shows, not what happens to it.

import { canvasOf, compare } from "./compare.js";

/** A card called `name`; `on` holds the handlers remove, retry and download. */
export function makeCard(name, on) {
  const element = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => element.querySelector(selector);
  const [view, progress, error, meta, steps] = [".view", ".progress", ".error", ".meta", ".steps"].map(part);
  part(".name").textContent = name;
  part(".name").title = name;
  progress.setAttribute("aria-label", `Progress of ${name}`);
  for (const [action, handler] of Object.entries(on)) {
    const button = part(`.${action}`);
    button.addEventListener("click", handler);
    button.setAttribute("aria-label", `${action === "retry" ? "Try again" : button.textContent.trim()}: ${name}`);
  }
  part(".remove").setAttribute("aria-label", `Remove ${name}`);
  let shown = null; // the comparison, once there is one
  let rows = new Map();

  const card = {
    element,
    /** Back to the beginning: `text` says what is going on. */
    begin(text) {
      element.dataset.state = "working";
      error.hidden = part(".retry").hidden = true;
      part(".download").disabled = true;
      progress.hidden = false;
      progress.removeAttribute("value");
      meta.textContent = text;
      rows = new Map();
      steps.replaceChildren();
    },
    before(bitmap) {
      shown = null;
      element.style.setProperty("--ratio", bitmap.width / bitmap.height);
      view.replaceChildren(canvasOf(bitmap, `${name}, before`));
    },
    after(before, bitmap) {
      if (shown) return shown.show(bitmap);
      shown = before ? compare(before, bitmap, name) : null;
      element.style.setProperty("--ratio", bitmap.width / bitmap.height);
      view.replaceChildren(shown ? shown.element : canvasOf(bitmap, `${name}, after`));
    },
    /** Anything else to look at. */
    show(content) {
      shown = null;
      view.replaceChildren(content);
    },
    note(text) {
      meta.textContent = text;
    },
    progress(share) {
      if (share < 1) progress.value = share;
      else progress.removeAttribute("value"); // from here on the server works, and nobody knows for how long
    },
    /** A stage that has begun, or that is over after `ms`. */
    step(stage, text) {
      if (!rows.has(stage)) {
        const row = document.createElement("li");
        row.append(stage.replaceAll("_", " "), document.createElement("span"));
        rows.set(stage, row);
        steps.append(row);
      }
      const row = rows.get(stage);
      row.dataset.state = text === undefined ? "now" : "done";
      row.lastElementChild.textContent = text ?? "";
    },
    fail(sentence) {
      element.dataset.state = "failed";
      progress.hidden = true;
      error.hidden = part(".retry").hidden = false;
      error.textContent = sentence;
      meta.textContent = "";
      steps.querySelectorAll("[data-state=now]").forEach((row) => (row.dataset.state = "failed"));
    },
    done(text) {
      element.dataset.state = "done";
      progress.hidden = true;
      part(".download").disabled = false;
      meta.textContent = text;
    },
    busy(text) {
      part(".download").disabled = Boolean(text);
      part(".download").textContent = text || "Download";
    },
  };
  return card;
}
