// Finds the line with which a node joins a cluster in what a command printed. No DOM.

const pattern = /kubeadm join ([\w.:[\]-]{3,80}) --token ([a-z0-9]{6}\.[a-z0-9]{16}) --discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})(?=\s|$)([^\n]*)/g;

/**
 * The last command for a worker; put together anew from its parts, so that nothing else can be in it.
 * @param {string} text lines as they were printed, those that the screen wrapped put together
 * @returns {string | null}
 */
export function findJoin(text) {
  const whole = text.replace(/[ \t]*\\[ \t]*\r?\n[ \t]*/g, " ").replace(/[ \t]+/g, " ");
  let found = null;
  for (const [, address, token, hash, rest] of whole.matchAll(pattern)) {
    if (!rest.includes("--control-plane")) found = `kubeadm join ${address} --token ${token} --discovery-token-ca-cert-hash ${hash}`;
  }
  return found;
}

/**
 * The text of a screen's lines from one on, wrapped ones put together.
 * @param {{length: number, getLine: (row: number) => {isWrapped: boolean, translateToString: (trim: boolean) => string} | undefined}} buffer
 * @param {number} from
 */
export function unwrapped(buffer, from) {
  const lines = [];
  for (let row = Math.max(0, from); row < buffer.length; row++) {
    const line = buffer.getLine(row);
    if (!line) continue;
    // A line that goes on is full; only the blanks at its own end are not text.
    const goesOn = buffer.getLine(row + 1)?.isWrapped ?? false;
    const text = line.translateToString(!goesOn);
    if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
    else lines.push(text);
  }
  return lines.join("\n");
}
