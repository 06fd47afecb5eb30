// What stands behind a cut-out: nothing, a colour, or a picture of one's own.

const COLOURS = [
  ["White", "#ffffff"],
  ["Grey", "#e5e7eb"],
  ["Black", "#111111"],
  ["Blue", "#2563eb"],
  ["Green", "#16a34a"],
];

/**
 * Swatches in `place`; `fileInput` asks for a picture, and `error` says why one cannot be had; `changed` is called
 * after each choice.
 */
export function makeBackgrounds(place, fileInput, error, changed) {
  let chosen = null;
  let choices = 0; // a picture takes a while to be read, and another choice may come first
  const choose = (background) => {
    choices++;
    chosen = background;
    error.hidden = true;
    changed();
  };

  const swatch = (label, className, picked) => {
    const row = document.createElement("label");
    row.className = `swatch ${className}`;
    row.title = label;
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "behind", value: label });
    radio.setAttribute("aria-label", label);
    radio.addEventListener("change", picked);
    row.append(radio);
    place.append(row);
    return { row, radio };
  };

  swatch("Transparent", "none", () => choose(null)).radio.checked = true;
  for (const [label, colour] of COLOURS) {
    swatch(label, "", () => choose({ colour })).row.style.setProperty("--colour", colour);
  }

  const own = swatch("Another colour", "own", () => choose({ colour: picker.value }));
  const picker = Object.assign(document.createElement("input"), { type: "color", value: "#f59e0b" });
  picker.setAttribute("aria-label", "Which other colour");
  picker.addEventListener("input", () => {
    own.radio.checked = true;
    choose({ colour: picker.value });
  });
  own.row.after(picker);

  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Picture…" });
  button.className = "quiet";
  button.addEventListener("click", () => fileInput.click());
  fileInput.addEventListener("change", async () => {
    const [picture] = fileInput.files;
    fileInput.value = "";
    if (!picture) return;
    const choice = ++choices;
    const readable = await canBeRead(picture);
    if (choice !== choices) return;
    if (!readable) {
      error.textContent = `This browser cannot read ${picture.name}; a JPEG, PNG or WebP would do.`;
      error.hidden = false;
      return;
    }
    place.querySelectorAll("input[type=radio]").forEach((radio) => (radio.checked = false));
    button.textContent = picture.name;
    button.setAttribute("aria-pressed", "true");
    choose({ picture });
  });
  place.addEventListener("change", () => {
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Picture…";
  });
  place.append(button);
  return { get chosen() { return chosen; } };
}

/** What cannot be read now could not be put behind any result either: TIFF in most browsers, for one. */
async function canBeRead(picture) {
  try {
    (await createImageBitmap(picture)).close();
    return true;
  } catch {
    return false;
  }
}
