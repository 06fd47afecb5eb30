// The form of a model's options, made from what the server says about them.

/** Fields for `model` put into `place`; those in `without` are left out. */
export function fill(place, model, without) {
  place.replaceChildren(...model.options.filter((option) => !without.includes(option.name)).map(field));
}

/** Name → text of each option that is not at its default, and all of them with `all`. */
export function read(place, model, all = false) {
  const values = {};
  for (const option of model.options) {
    const control = place.querySelector(`[name="${option.name}"]`);
    const value = !control ? option.default : valueOf(option, control);
    if (value != null && (all || String(value) !== String(option.default))) values[option.name] = String(value);
  }
  return values;
}

function valueOf(option, control) {
  if (option.kind === "yes-no") return control.checked;
  if (option.kind === "colour") return control.dataset.chosen ? control.value : null;
  return control.value;
}

function field(option) {
  const row = document.createElement("div");
  row.className = option.kind === "yes-no" ? "field switch" : "field";
  const label = document.createElement("label");
  const control = CONTROLS[option.kind](option);
  Object.assign(control, { id: `option-${option.name}`, name: option.name });
  label.htmlFor = control.id;
  label.textContent = titled(option.name);
  const help = document.createElement("p");
  Object.assign(help, { id: `${control.id}-help`, className: "hint", textContent: option.help });
  control.setAttribute("aria-describedby", help.id);
  row.append(label, control, help);
  return row;
}

const CONTROLS = {
  "yes-no": (option) => input({ type: "checkbox", checked: option.default === true }),
  whole: (option) =>
    input({ type: "number", min: option.least, max: option.most, step: option.multiple_of, value: option.default, required: true }),
  choice: (option) => {
    const select = document.createElement("select");
    select.append(...option.choices.map((choice) => new Option(choice, choice, choice === option.default, choice === option.default)));
    return select;
  },
  colour: () => {
    const control = input({ type: "color", value: "#ffffff" });
    control.addEventListener("input", () => (control.dataset.chosen = "yes"));
    return control;
  },
};

function input(properties) {
  return Object.assign(document.createElement("input"), properties);
}

export function titled(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
