// The worker that touches pixels, so that the page stays awake: shrinks what is sent, composes what is saved.

import { cutOut, enlargeMatte } from "./matting.js";
import { sizeToSend, within } from "./sizes.js";

const PREVIEW = 1600; // long side of what the screen shows
const ESTIMATE = 512; // long side at which the colours of a cut-out's edges are estimated

const TASKS = { shrink, compose, convert };

let queue = Promise.resolve(); // one after another: each holds a whole picture
self.onmessage = ({ data: { id, task, ...given } }) => {
  queue = queue.then(async () => {
    try {
      const [result, moved] = await TASKS[task](given);
      self.postMessage({ id, result }, moved);
    } catch (error) {
      self.postMessage({ id, error: error.message });
    }
  });
};

/** What to send of `file`: {blob, width, height, sentWidth, sentHeight, why, preview}; blob null: the file itself. */
async function shrink({ file, useful, options, limits }) {
  const picture = await createImageBitmap(file);
  const { width, height } = picture;
  const [sentWidth, sentHeight, why] = sizeToSend(width, height, useful, options, limits.megapixels);
  const preview = await createImageBitmap(drawn(picture, ...within(width, height, PREVIEW)).canvas);
  const small = drawn(picture, sentWidth, sentHeight);
  const exactly = Boolean(useful?.matte);
  // The matte alone is wanted back: with a transparency of the picture's own in it, nobody could tell which it was.
  const bared = exactly && file.type !== "image/jpeg" && madeOpaque(small, sentWidth, sentHeight);
  let blob = null;
  if (why || bared || file.size > limits.upload_bytes) {
    blob = await small.canvas.convertToBlob(sentForm(small, sentWidth, sentHeight, exactly));
    const worse = blob.size >= file.size && file.size <= limits.upload_bytes;
    if (worse && why !== "limit" && !bared) blob = null;
  }
  picture.close();
  return [{ blob, width, height, sentWidth, sentHeight, why, preview }, [preview]];
}

/** Whether something of it was transparent. */
function madeOpaque(context, width, height) {
  const pixels = context.getImageData(0, 0, width, height);
  let found = false;
  for (let i = 3; i < pixels.data.length; i += 4) {
    found ||= pixels.data[i] < 255;
    pixels.data[i] = 255;
  }
  if (found) context.putImageData(pixels, 0, 0);
  return found;
}

/**
 * How a shrunk picture is written. A matte is small and its network sees every pixel, so that is lossless (a browser
 * that writes no WebP makes it a PNG): JPEG's coarser colours moved the embedded network's matte by 2.2 grey levels in
 * the mean, this by 0.6. Other pictures are JPEG where nothing is transparent.
 */
function sentForm(context, width, height, exactly) {
  if (exactly) return { type: "image/webp", quality: 1 };
  const { data } = context.getImageData(0, 0, width, height);
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return { type: "image/png" };
  return { type: "image/jpeg", quality: 0.95 };
}

/**
 * `file` cut out by `matte`, over `background` (null, {colour} or {picture}), or the matte itself (`matteOnly`).
 * For the screen without `type`: {preview}; else {blob}, an image of that type at the picture's own size.
 */
async function compose({ file, matte, background, matteOnly, type }) {
  const picture = await createImageBitmap(file);
  const [width, height] = type ? [picture.width, picture.height] : within(picture.width, picture.height, PREVIEW);
  const canvas = drawn(picture, width, height);
  const pixels = canvas.getImageData(0, 0, width, height);
  const [small, w, h] = await grey(matte, width, height);
  const guide = drawn(picture, w, h).getImageData(0, 0, w, h).data;
  const large = w === width ? small : enlargeMatte(small, w, h, guide, pixels.data, width, height);
  if (matteOnly) {
    for (let i = 0; i < large.length; i++) {
      pixels.data.fill(Math.min(large[i], pixels.data[i * 4 + 3]), i * 4, i * 4 + 3);
    }
    for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255;
  } else {
    const [ew, eh] = within(width, height, ESTIMATE);
    const image = drawn(picture, ew, eh).getImageData(0, 0, ew, eh).data;
    const [coarse] = await grey(matte, ew, eh, true);
    cutOut(pixels.data, large, width, height, image, coarse, ew, eh);
  }
  picture.close();
  canvas.putImageData(pixels, 0, 0);
  if (background) await putBehind(canvas, background, width, height);
  return finished(canvas, type);
}

/**
 * The answer `result`, over `background`: {preview}, or with `type` {blob} of that type at width × height, by default
 * its own.
 */
async function convert({ result, background, type, width, height }) {
  const picture = await createImageBitmap(result);
  const whole = [width ?? picture.width, height ?? picture.height];
  const same = whole[0] === picture.width && whole[1] === picture.height;
  if (type === result.type && same && !background) return [{ blob: result }, []];
  const size = type ? whole : within(picture.width, picture.height, PREVIEW);
  const canvas = drawn(picture, ...size);
  picture.close();
  if (background) await putBehind(canvas, background, ...size);
  return finished(canvas, type);
}

async function finished(canvas, type) {
  if (type === "image/jpeg") await putBehind(canvas, { colour: "#fff" }, canvas.canvas.width, canvas.canvas.height);
  if (type) return [{ blob: await canvas.canvas.convertToBlob({ type, quality: 0.92 }) }, []];
  const preview = canvas.canvas.transferToImageBitmap();
  return [{ preview }, [preview]];
}

/** A canvas' context with `picture` drawn at width × height. */
function drawn(picture, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context;
}

/** [bytes, w, h] of a grey image at its own size, or at width × height where it is larger, or where `exactly` so. */
async function grey(blob, width, height, exactly = false) {
  const picture = await createImageBitmap(blob);
  const size = exactly || picture.width > width ? [width, height] : [picture.width, picture.height];
  const { data } = drawn(picture, ...size).getImageData(0, 0, ...size);
  picture.close();
  return [Uint8Array.from({ length: size[0] * size[1] }, (_, i) => data[i * 4]), ...size];
}

async function putBehind(context, background, width, height) {
  context.globalCompositeOperation = "destination-over";
  if (background.colour) {
    context.fillStyle = background.colour;
    context.fillRect(0, 0, width, height);
    return;
  }
  const picture = await createImageBitmap(background.picture);
  const scale = Math.max(width / picture.width, height / picture.height); // it covers, cut evenly on both sides
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
  picture.close();
}
