// Times, sizes and states in plain words.

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} second${whole === 1 ? "" : "s"}`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} minute${minutes === 1 ? "" : "s"}`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  const head = `${hours} hour${hours === 1 ? "" : "s"}`;
  return rest ? `${head} ${rest} min` : head;
}

/**
 * Short, for places with little room: "48 min", "1 h 12 min", "45 s".
 * @param {number} seconds
 */
export function shortDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(minutes / 1440)} days`;
}

/**
 * How long a command took.
 * @param {number} milliseconds
 */
export function tookWords(milliseconds) {
  if (milliseconds < 950) return `${Math.max(0.1, milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < 9950) return `${(milliseconds / 1000).toFixed(1)} s`;
  return shortDuration(milliseconds / 1000);
}

/** @param {number} bytes */
export function bytesWords(bytes) {
  if (!Number.isFinite(bytes)) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) {
    bytes /= 1024;
    at += 1;
  }
  return `${bytes < 10 && at > 0 ? bytes.toFixed(1).replace(/\.0$/, "") : Math.round(bytes)} ${units[at]}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/**
 * A moment in the reader's own time.
 * @param {string} text RFC 3339
 */
export const moment = text => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/**
 * What a node's state means.
 * @type {Record<string, string>}
 */
export const nodeWords = { creating: "starting", ready: "ready", failed: "failed", gone: "gone" };
