// How large a picture has to be sent: what the model looks at, by its own description, and what the server takes.

/** The rule {side, pixels} that holds under `options`, or null where every pixel counts. */
function ruleOf(useful, options) {
  if (!useful || Object.entries(useful.unless).some(([name, value]) => options[name] === value)) return null;
  const pixels = typeof useful.pixels === "number" ? useful.pixels : Number(options[useful.pixels]);
  return { side: useful.side, pixels };
}

/** [width, height, why] to send a picture of width × height at; why is null, "useful" or "limit". */
export function sizeToSend(width, height, useful, options, megapixels) {
  let scale = 1;
  let why = null;
  const rule = ruleOf(useful, options);
  if (rule) {
    const side = rule.side === "long" ? Math.max(width, height) : Math.min(width, height);
    if (side > rule.pixels) [scale, why] = [rule.pixels / side, "useful"];
  }
  const most = Math.sqrt((megapixels * 1e6) / (width * height));
  if (scale > most) [scale, why] = [most, "limit"];
  // Rounded down only where a limit must hold.
  const round = why === "limit" ? Math.floor : Math.round;
  return [Math.max(1, round(width * scale)), Math.max(1, round(height * scale)), why];
}

/** [width, height] no longer than `longest` along either side. */
export function within(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

export function bytes(count) {
  // With spaces that no line is broken at.
  if (count < 1000) return `${count}\u00a0B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)}\u00a0kB` : `${(count / 1e6).toFixed(1)}\u00a0MB`;
}
