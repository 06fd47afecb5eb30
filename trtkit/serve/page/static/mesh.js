// A textured mesh that is turned by mouse, touch or keys. Drawn when something changed, not all the time.

import { readGlb } from "./glb.js";

const VERTEX = `#version 300 es
in vec3 position; in vec3 normal; in vec2 uv;
uniform vec3 middle; uniform float yaw, pitch, far, aspect;
out vec3 shading; out vec2 place;
vec3 turned(vec3 p) {
  p = vec3(cos(yaw) * p.x + sin(yaw) * p.z, p.y, cos(yaw) * p.z - sin(yaw) * p.x);
  return vec3(p.x, cos(pitch) * p.y - sin(pitch) * p.z, sin(pitch) * p.y + cos(pitch) * p.z);
}
void main() {
  vec3 p = turned(position - middle);
  shading = turned(normal);
  place = uv;
  // The eye is at \`far\` and looks along -z, 30 degrees high and wide or more; the mesh is within 1 of the middle.
  float f = 3.732 * min(aspect, 1.0);
  float depth = far - p.z;
  gl_Position = vec4(f * p.x / aspect, f * p.y, depth * (depth - far) / 1.2, depth);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 shading; in vec2 place;
uniform sampler2D colours; uniform float textured;
out vec4 colour;
void main() {
  vec3 n = normalize(shading) * (gl_FrontFacing ? 1.0 : -1.0);
  float light = 0.25 + 0.75 * max(0.0, dot(n, normalize(vec3(0.4, 0.5, 1.0))));
  // The texture holds the photograph's own light; the bare shape needs some to be seen.
  colour = vec4(mix(vec3(0.82, 0.80, 0.77) * light, texture(colours, place).rgb, textured), 1.0);
}`;

/**
 * An element that shows the GLB file `bytes`, called `name`. Throws where the browser has no WebGL; `lost` is called
 * when it takes the drawing back, as it does from the oldest of many.
 */
export async function meshView(bytes, name, lost) {
  const { positions, normals, uvs, triangles, texture } = readGlb(bytes);
  const picture = texture && (await createImageBitmap(texture));
  const frame = document.createElement("div");
  frame.className = "mesh";
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "3D view");
  canvas.setAttribute("aria-label", `${name} in 3D: arrow keys turn it, plus and minus zoom, Home faces it`);
  const bare = Object.assign(document.createElement("button"), { type: "button", textContent: "Shape only" });
  bare.setAttribute("aria-pressed", "false");
  const hint = Object.assign(document.createElement("p"), { className: "mesh-hint", textContent: "Drag to turn" });
  frame.append(canvas, hint, bare);

  const gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
  if (!gl) throw new Error("this browser has no WebGL");
  canvas.addEventListener("webglcontextlost", lost);
  const program = linked(gl);
  gl.useProgram(program);
  const { middle, radius } = extent(positions);
  upload(gl, program, { position: positions.map((value) => value / radius), normal: normals }, 3);
  upload(gl, program, { uv: uvs }, 2);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  if (picture) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, picture);
  if (picture) gl.generateMipmap(gl.TEXTURE_2D);
  gl.enable(gl.DEPTH_TEST);
  const set = (uniform, ...values) => gl[`uniform${values.length}f`](gl.getUniformLocation(program, uniform), ...values);
  set("middle", ...middle.map((value) => value / radius));

  const view = { yaw: 0, pitch: 0, far: 3.3, textured: picture ? 1 : 0 };
  let asked = false;
  const draw = () => {
    asked = false;
    const scale = Math.min(2, devicePixelRatio);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const uniform of ["yaw", "pitch", "far", "textured"]) set(uniform, view[uniform]);
    set("aspect", canvas.width / canvas.height);
    gl.drawElements(gl.TRIANGLES, triangles.length, gl.UNSIGNED_INT, 0);
  };
  const change = (changes) => {
    Object.assign(view, changes);
    view.pitch = Math.max(-1.3, Math.min(1.3, view.pitch));
    view.far = Math.max(2, Math.min(12, view.far));
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };
  bare.addEventListener("click", () => {
    change({ textured: view.textured && picture ? 0 : picture ? 1 : 0 });
    bare.setAttribute("aria-pressed", String(!view.textured));
  });
  listen(canvas, view, change, () => hint.remove());
  new ResizeObserver(() => change({})).observe(canvas);
  return frame;
}

function listen(canvas, view, change, touched) {
  const fingers = new Map();
  const span = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    touched();
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const was = span();
      fingers.set(event.pointerId, event);
      change({ far: (view.far * was) / Math.max(1, span()) });
      return;
    }
    fingers.set(event.pointerId, event);
    change({ yaw: view.yaw + (event.x - before.x) / 120, pitch: view.pitch + (event.y - before.y) / 120 });
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== canvas) return; // else scrolling the page would stop here
      event.preventDefault();
      change({ far: view.far * Math.exp(event.deltaY / 800) });
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (turns) change({ yaw: view.yaw + turns[0] * 0.12, pitch: view.pitch + turns[1] * 0.12 });
    else if (event.key === "+" || event.key === "=") change({ far: view.far * 0.9 });
    else if (event.key === "-") change({ far: view.far / 0.9 });
    else if (event.key === "Home") change({ yaw: 0, pitch: 0, far: 3.3 });
    else return;
    event.preventDefault();
    touched();
  });
}

function extent(positions) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i++) {
    low[i % 3] = Math.min(low[i % 3], positions[i]);
    high[i % 3] = Math.max(high[i % 3], positions[i]);
  }
  return { middle: low.map((value, i) => (value + high[i]) / 2), radius: Math.hypot(...high.map((value, i) => value - low[i])) / 2 };
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("this browser's WebGL cannot draw the mesh");
  return program;
}

function upload(gl, program, arrays, width) {
  for (const [name, values] of Object.entries(arrays)) {
    const at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, width, gl.FLOAT, false, 0, 0);
  }
}
