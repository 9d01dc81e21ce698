// The server's JSON API: requests with the CSRF header, errors as sentences, and the page's event stream.

/** An answer that says no; `reason` is stable, `message` is for the person. */
export class APIError extends Error {
  /** @param {number} status @param {string} reason @param {string} title @param {string} detail @param {any} [body] */
  constructor(status, reason, title, detail, body) {
    super(detail || title);
    this.status = status;
    this.reason = reason;
    this.title = title;
    this.detail = detail;
    this.body = body;
  }
}

/** Server time minus this browser's, in milliseconds, so that a wrong clock does not shorten a lab. */
let skewMilliseconds = 0;
/** Now, by the server's clock. */
export const serverNow = () => Date.now() + skewMilliseconds;

/** @param {string} name */
function cookie(name) {
  return document.cookie.split("; ").find(pair => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

/**
 * @param {string} method @param {string} path @param {any} [body]
 * @param {{keepalive?: boolean}} [options]
 * @returns {Promise<any>}
 */
export async function api(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Lectern-CSRF"] = decodeURIComponent(cookie("lectern_csrf"));
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  const started = Date.now();
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, credentials: "same-origin", keepalive: options.keepalive, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new APIError(0, "Unreachable", "The server cannot be reached", "The server cannot be reached. Check the connection and try again; your lab goes on in the meantime.");
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (date && Date.now() - started < 2000) {
    // The header has whole seconds: correct only what is clearly off.
    const skew = date + 500 - Date.now();
    skewMilliseconds = Math.abs(skew) > 2000 ? skew : 0;
  }
  const text = await response.text();
  /** @type {any} */
  let json = null;
  try { json = text ? JSON.parse(text) : null; } catch { /* answered below */ }
  if (!response.ok) {
    const reason = String(json?.type ?? "").split(":").pop() || "Error";
    throw new APIError(response.status, reason, json?.title ?? `The server answered ${response.status}`, json?.detail ?? json?.title ?? "The server could not do this. Try again in a moment.", json);
  }
  return json;
}

const retryDelaysMilliseconds = [200, 500, 1000, 2000, 4000];

/** The one stream of live events of a page, which reconnects by itself. */
export class EventStream {
  /** @type {WebSocket | null} */ #socket = null;
  #tries = 0;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #lab;
  #onEvent; #onState;

  /**
   * @param {string | null} lab whose events are wanted
   * @param {(event: {type: string, [key: string]: any}) => void} onEvent
   * @param {(live: boolean) => void} onState
   */
  constructor(lab, onEvent, onState) {
    this.#lab = lab;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#connect();
    addEventListener("online", this.#now);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#now);
    this.#socket?.close();
  }

  #now = () => {
    if (this.#socket || this.#closed) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  #connect() {
    const query = this.#lab ? `?lab=${encodeURIComponent(this.#lab)}` : "";
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/events${query}`, "lectern.events.v1");
    this.#socket = socket;
    socket.onopen = () => {
      this.#tries = 0;
      this.#onState(true);
    };
    socket.onmessage = message => {
      if (typeof message.data !== "string") return;
      /** @type {any} */
      let event = null;
      try { event = JSON.parse(message.data); } catch { return; }
      if (event?.type && event.type !== "ping" && !this.#closed) this.#onEvent(event);
    };
    socket.onclose = () => {
      this.#socket = null;
      if (this.#closed) return;
      this.#onState(false);
      const delay = retryDelaysMilliseconds[Math.min(this.#tries++, retryDelaysMilliseconds.length - 1)];
      this.#timer = setTimeout(() => this.#connect(), delay * (0.75 + Math.random() / 2));
    };
  }
}
