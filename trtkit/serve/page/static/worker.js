// Calls of the studio, which is a worker: one promise each.

const worker = new Worker(new URL("studio.js", import.meta.url), { type: "module" });
const waiting = new Map();
let calls = 0;

worker.onmessage = ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(result);
  else reject(new Error(error));
};

/** What the studio's `task` (see studio.js) makes of `given`. Rejects for a picture the browser cannot read. */
export function studio(task, given) {
  return new Promise((resolve, reject) => {
    waiting.set(++calls, { resolve, reject });
    worker.postMessage({ id: calls, task, ...given });
  });
}
