// A result of several files: its mesh in 3D, else its picture, else its files' names.

import { canvasOf } from "./compare.js";
import { meshView } from "./mesh.js";

/** An element that shows `files` (name → bytes), made of the picture `name`. */
export async function showFiles(files, name) {
  const ending = (suffix) => [...files.keys()].filter((file) => file.endsWith(suffix));
  const meshes = ending(".glb");
  const [picture] = [...ending(".preview.png"), ...ending(".png")];
  const flat = () => (picture ? drawing(files.get(picture), `${name}: ${picture}`) : list(files));
  if (!meshes.length) return flat();
  try {
    return await faces(files, meshes, name, flat);
  } catch (error) {
    console.info(`no 3D: ${error.message}`);
    return flat();
  }
}

async function drawing(bytes, label) {
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = canvasOf(bitmap, label);
  canvas.style.setProperty("--ratio", bitmap.width / bitmap.height);
  return canvas;
}

function list(files) {
  const names = Object.assign(document.createElement("ul"), { className: "names" });
  names.append(...[...files.keys()].map((file) => Object.assign(document.createElement("li"), { textContent: file })));
  return names;
}

/** The meshes, one at a time; `flat` makes what stands in for them when the browser wants its 3D back. */
async function faces(files, meshes, name, flat) {
  const frame = Object.assign(document.createElement("div"), { className: "several" });
  const lost = async () => frame.replaceChildren(await flat());
  const choice = [];
  const put = async (mesh) => frame.replaceChildren(await meshView(files.get(mesh), name, lost), ...choice);
  if (meshes.length > 1) {
    const select = Object.assign(document.createElement("select"), { className: "faces" });
    select.setAttribute("aria-label", `Which face of ${name}`);
    select.append(...meshes.map((mesh, index) => new Option(`Face ${index + 1}`, mesh)));
    select.addEventListener("change", () => put(select.value));
    choice.push(select);
  }
  await put(meshes[0]);
  return frame;
}
