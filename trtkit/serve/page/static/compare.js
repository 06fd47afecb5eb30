// Before and after in one frame, with a slider between them: a range input, so keys and screen readers have it, too.

/** An element that shows the bitmaps; `show(after)` exchanges the second. */
export function compare(before, after, name) {
  const frame = document.createElement("div");
  frame.className = "compare";
  const [left, right] = [canvasOf(before, "Before"), canvasOf(after, "After")];
  left.classList.add("before");
  const line = document.createElement("div");
  line.className = "compare-line";
  line.setAttribute("aria-hidden", "true");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 0.5, value: 50, className: "compare-slider" });
  slider.setAttribute("aria-label", `${name}: how much of the picture before is seen`);
  const moved = () => {
    frame.style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % before`);
  };
  slider.addEventListener("input", moved);
  moved();
  frame.append(right, left, slider, line);
  return { element: frame, show: (bitmap) => paint(right, bitmap) };
}

export function canvasOf(bitmap, label) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  paint(canvas, bitmap);
  return canvas;
}

function paint(canvas, bitmap) {
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}
