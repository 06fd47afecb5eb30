// The form of a model's options, made from what the server says about them.

/** Fields for `model` put into `place`; those in `without` are left out. */
export function fill(place, model, without) {
  place.replaceChildren(...model.options.filter((option) => !without.includes(option.name)).map(field));
}

/** Name → text of each option that has a value. */
export function read(place, model) {
  const values = {};
  for (const option of model.options) {
    const control = place.querySelector(`[name="${option.name}"]`);
    const value = !control ? option.default : valueOf(option, control);
    if (value != null) values[option.name] = String(value);
  }
  return values;
}

function valueOf(option, control) {
  if (option.kind === "yes-no") return control.checked;
  if (option.kind === "colour") return control.disabled ? null : control.value;
  return control.value;
}

function field(option) {
  const row = document.createElement("div");
  row.className = option.kind === "yes-no" ? "field switch" : "field";
  const control = CONTROLS[option.kind](option);
  Object.assign(control, { id: `option-${option.name}`, name: option.name });
  const label = Object.assign(document.createElement("label"), { htmlFor: control.id, textContent: titled(option.name) });
  const help = Object.assign(document.createElement("p"), { className: "hint", textContent: option.help });
  help.id = `${control.id}-help`;
  control.setAttribute("aria-describedby", help.id);
  row.append(label, ...(option.kind === "colour" ? [switched(control, titled(option.name))] : [control]), help);
  return row;
}

/** A colour has no value that means none, so a box beside it says whether it is wanted. */
function switched(control, title) {
  const wanted = input({ type: "checkbox" });
  wanted.setAttribute("aria-label", `${title}: use a colour`);
  wanted.addEventListener("change", () => (control.disabled = !wanted.checked));
  control.disabled = true;
  const pair = Object.assign(document.createElement("div"), { className: "pair" });
  pair.append(wanted, control);
  return pair;
}

const CONTROLS = {
  "yes-no": (option) => input({ type: "checkbox", checked: option.default === true }),
  whole: ({ least: min, most: max, multiple_of: step, default: value }) =>
    input({ type: "number", min, max, step, value, required: true }),
  choice: (option) => {
    const select = document.createElement("select");
    select.append(...option.choices.map((choice) => new Option(choice, choice, false, choice === option.default)));
    return select;
  },
  colour: () => input({ type: "color", value: "#ffffff" }),
};

function input(properties) {
  return Object.assign(document.createElement("input"), properties);
}

export function titled(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
