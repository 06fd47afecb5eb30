// A result of several files: its mesh in 3D, else its picture, else its files' names.

import { canvasOf } from "./compare.js";
import { meshView } from "./mesh.js";

/** An element that shows `files` (name → bytes), made of the picture `name`. */
export async function showFiles(files, name) {
  const ending = (suffix) => [...files.keys()].filter((file) => file.endsWith(suffix));
  const meshes = ending(".glb");
  if (meshes.length) {
    try {
      return await faces(files, meshes, name);
    } catch (error) {
      console.info(`no 3D: ${error.message}`); // the preview's picture stands in for it
    }
  }
  const [picture] = [...ending(".preview.png"), ...ending(".png")];
  if (picture) {
    const bitmap = await createImageBitmap(new Blob([files.get(picture)], { type: "image/png" }));
    const canvas = canvasOf(bitmap, `${name}: ${picture}`);
    canvas.style.setProperty("--ratio", bitmap.width / bitmap.height);
    return canvas;
  }
  const list = Object.assign(document.createElement("ul"), { className: "names" });
  list.append(...[...files.keys()].map((file) => Object.assign(document.createElement("li"), { textContent: file })));
  return list;
}

async function faces(files, meshes, name) {
  const frame = Object.assign(document.createElement("div"), { className: "several" });
  const put = async (mesh) => frame.replaceChildren(await meshView(files.get(mesh), name), ...choice);
  const choice = [];
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
