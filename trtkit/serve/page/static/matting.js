// A small matte put onto a large picture: the mathematics of trtkit/models/imaging/{upsample,compose}.py, which say
// where it is from. Pictures are RGBA bytes, mattes one byte a pixel, rows from the top.

const RADIUS = 2; // windows of the colour model, in pixels of the matte
const EPSILON = 1e-4; // variance of colours in 0..1 that is taken for noise
const BLUR_RADII = [45, 6]; // of the estimates' two passes

/**
 * The matte `small` (w × h) at the size of `picture` (W × H): in each window alpha is fitted as a·colour + b, and that
 * model, enlarged, is applied to the picture's own pixels. `guide` is the picture at w × h. Solid stays solid.
 */
export function enlargeMatte(small, w, h, guide, picture, W, H) {
  const uncertain = uncertainty(small, w, h);
  const [ar, ag, ab, constant] = colourModel(small, guide, w, h);
  const out = new Uint8Array(W * H);
  const columns = cells(w, W);
  const rows = cells(h, H);
  for (let cy = 0; cy < rows.length; cy++) {
    const y0 = Math.max(0, cy - 1) * w;
    const y1 = Math.min(h - 1, cy) * w;
    for (let cx = 0; cx < columns.length; cx++) {
      const x0 = Math.max(0, cx - 1);
      const x1 = Math.min(w - 1, cx);
      const [p, q, r, s] = [y0 + x0, y0 + x1, y1 + x0, y1 + x1];
      const [left, right] = columns[cx];
      const [top, bottom] = rows[cy];
      if (!(uncertain[p] || uncertain[q] || uncertain[r] || uncertain[s])) {
        if (small[p]) for (let y = top; y < bottom; y++) out.fill(255, y * W + left, y * W + right);
        continue;
      }
      for (let y = top; y < bottom; y++) {
        const fy = share(y, h, H, cy);
        for (let x = left; x < right; x++) {
          const fx = share(x, w, W, cx);
          const wp = (1 - fx) * (1 - fy);
          const wq = fx * (1 - fy);
          const wr = (1 - fx) * fy;
          const ws = fx * fy;
          const at = (y * W + x) * 4;
          const blend = (f) => f[p] * wp + f[q] * wq + f[r] * wr + f[s] * ws;
          const base = blend(small);
          const fitted =
            blend(ar) * picture[at] + blend(ag) * picture[at + 1] + blend(ab) * picture[at + 2] + 255 * blend(constant);
          const guided = fitted < 0 ? 0 : fitted > 255 ? 255 : fitted;
          out[y * W + x] = Math.round(base + (guided - base) * blend(uncertain));
        }
      }
    }
  }
  return out;
}

/**
 * Cuts `picture` (W × H, changed in place) out by `matte`: its alpha becomes the lesser of the matte and its own. Where
 * the matte is between, the colour becomes the foreground's own, the old background's share taken out; where the
 * picture's own alpha is no more than the matte, it is that already; where alpha is 0, black. `image` and `coarse` are
 * the picture and the matte at w × h, small, for the estimates of both colours (blur-fusion).
 */
export function cutOut(picture, matte, W, H, image, coarse, w, h) {
  const { front, back } = estimates(image, coarse, w, h);
  const columns = cells(w, W);
  const rows = cells(h, H);
  for (let cy = 0; cy < rows.length; cy++) {
    const y0 = Math.max(0, cy - 1) * w;
    const y1 = Math.min(h - 1, cy) * w;
    for (let y = rows[cy][0]; y < rows[cy][1]; y++) {
      const fy = share(y, h, H, cy);
      for (let cx = 0; cx < columns.length; cx++) {
        const x0 = Math.max(0, cx - 1);
        const x1 = Math.min(w - 1, cx);
        for (let x = columns[cx][0]; x < columns[cx][1]; x++) {
          const at = (y * W + x) * 4;
          const a = matte[y * W + x];
          const own = picture[at + 3];
          picture[at + 3] = Math.min(a, own);
          if (a === 0 || own === 0) {
            picture[at] = picture[at + 1] = picture[at + 2] = 0;
            continue;
          }
          if (a === 255 || own <= a) continue;
          const fx = share(x, w, W, cx);
          const part = a / 255;
          const blend = (field) =>
            (field[y0 + x0] * (1 - fx) + field[y0 + x1] * fx) * (1 - fy) +
            (field[y1 + x0] * (1 - fx) + field[y1 + x1] * fx) * fy;
          for (let c = 0; c < 3; c++) {
            const [f, b] = [blend(front[c]), blend(back[c])];
            picture[at + c] = f + part * (picture[at + c] - (b + part * (f - b))); // the array clamps and rounds
          }
        }
      }
    }
  }
}

/** Ranges of large pixels that lie between the centres of small ones: [start, end) for each of n + 1 gaps. */
function cells(n, N) {
  const edges = [0];
  for (let i = 0; i < n; i++) edges.push(Math.min(N, Math.max(0, Math.ceil(((i + 0.5) * N) / n - 0.5))));
  edges.push(N);
  return edges.slice(0, -1).map((start, i) => [start, edges[i + 1]]);
}

/** How far large pixel `x` lies from the centre of small pixel gap - 1 towards the next, 0..1. */
function share(x, n, N, gap) {
  const place = ((x + 0.5) * n) / N - 0.5 - (gap - 1);
  return place < 0 ? 0 : place > 1 ? 1 : place;
}

/** 0 where a pixel and its eight neighbours are all 0 or all 255, else 1. */
function uncertainty(alpha, w, h) {
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const first = alpha[y * w + x];
      let differs = first !== 0 && first !== 255;
      for (let v = Math.max(0, y - 1); v <= Math.min(h - 1, y + 1) && !differs; v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(w - 1, x + 1); u++) differs ||= alpha[v * w + u] !== first;
      }
      out[y * w + x] = differs ? 1 : 0;
    }
  }
  return out;
}

/** The guided filter's averaged coefficients: three factors of RGB and the constant, w × h each. */
function colourModel(alpha, guide, w, h) {
  const n = w * h;
  const made = (value) => Float32Array.from({ length: n }, (_, i) => value(i));
  const mean = (value) => boxMean(made(value), w, h, RADIUS);
  const [R, G, B] = [0, 1, 2].map((c) => made((i) => guide[i * 4 + c] / 255));
  const T = made((i) => alpha[i] / 255);
  const [mr, mg, mb, mt] = [R, G, B, T].map((f) => boxMean(f, w, h, RADIUS));
  const [rr, gg, bb] = [R, G, B].map((f) => mean((i) => f[i] * f[i]));
  const [rg, gb, br] = [[R, G], [G, B], [B, R]].map(([f, g]) => mean((i) => f[i] * g[i]));
  const [rt, gt, bt] = [R, G, B].map((f) => mean((i) => f[i] * T[i]));
  const out = [0, 1, 2, 3].map(() => new Float32Array(n));
  for (let i = 0; i < n; i++) {
    const [r, g, b, t] = [mr[i], mg[i], mb[i], mt[i]];
    const [vrr, vgg, vbb] = [rr[i] - r * r + EPSILON, gg[i] - g * g + EPSILON, bb[i] - b * b + EPSILON];
    const [vrg, vgb, vbr] = [rg[i] - r * g, gb[i] - g * b, br[i] - b * r];
    const [cr, cg, cb] = [rt[i] - r * t, gt[i] - g * t, bt[i] - b * t];
    // The symmetric matrix's adjugate; its determinant is at least EPSILON³.
    const [arr, agg, abb] = [vgg * vbb - vgb * vgb, vrr * vbb - vbr * vbr, vrr * vgg - vrg * vrg];
    const [arg, agb, abr] = [vbr * vgb - vrg * vbb, vrg * vbr - vrr * vgb, vrg * vgb - vgg * vbr];
    const determinant = vrr * arr + vrg * arg + vbr * abr;
    out[0][i] = (arr * cr + arg * cg + abr * cb) / determinant;
    out[1][i] = (arg * cr + agg * cg + agb * cb) / determinant;
    out[2][i] = (abr * cr + agb * cg + abb * cb) / determinant;
    out[3][i] = t - (out[0][i] * r + out[1][i] * g + out[2][i] * b);
  }
  return out.map((field) => boxMean(field, w, h, RADIUS));
}

/** Smooth estimates of both colours: arrays of three fields in 0..255, w × h each. */
function estimates(image, alpha, w, h) {
  const n = w * h;
  const part = Float32Array.from({ length: n }, (_, i) => alpha[i] / 255);
  const rest = part.map((a) => 1 - a);
  const colour = [0, 1, 2].map((c) => Float32Array.from({ length: n }, (_, i) => image[i * 4 + c]));
  let front = colour;
  let back = colour;
  let smooth = colour;
  for (const radius of BLUR_RADII) {
    smooth = weightedBlur(front, part, w, h, radius);
    back = weightedBlur(back, rest, w, h, radius);
    front = colour.map((field, c) =>
      field.map((value, i) => {
        const own = smooth[c][i] + part[i] * (value - part[i] * smooth[c][i] - rest[i] * back[c][i]);
        return own < 0 ? 0 : own > 255 ? 255 : own;
      }),
    );
  }
  return { front: smooth, back };
}

function weightedBlur(fields, weight, w, h, radius) {
  const mass = boxMean(weight, w, h, radius);
  return fields.map((field) => {
    const total = boxMean(field.map((value, i) => value * weight[i]), w, h, radius);
    return total.map((value, i) => value / (mass[i] + 1e-5));
  });
}

/** Means over squares of 2·radius + 1, the field mirrored at its borders: a running sum along rows, then columns. */
function boxMean(field, w, h, radius) {
  const rows = new Float32Array(w * h);
  for (let y = 0; y < h; y++) runningMean(field, rows, y * w, 1, w, radius);
  const out = new Float32Array(w * h);
  for (let x = 0; x < w; x++) runningMean(rows, out, x, w, h, radius);
  return out;
}

function runningMean(from, to, start, step, n, radius) {
  const at = (i) => {
    let k = ((i % (2 * n)) + 2 * n) % (2 * n);
    if (k >= n) k = 2 * n - 1 - k;
    return from[start + k * step];
  };
  let sum = 0;
  for (let i = -radius; i <= radius; i++) sum += at(i);
  for (let i = 0; i < n; i++) {
    to[start + i * step] = sum / (2 * radius + 1);
    const [added, gone] = [i + radius + 1, i - radius];
    sum += (added < n ? from[start + added * step] : at(added)) - (gone >= 0 ? from[start + gone * step] : at(gone));
  }
}
