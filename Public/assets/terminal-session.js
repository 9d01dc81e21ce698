// One terminal's connection: resumes by offset, acknowledges what was shown, and sends each input byte exactly once.
//
// Output. `#next` is the offset of the first byte not yet given to the screen. A frame that begins before it is a
// repeat and is cut; a snapshot clears the screen and sets it. What the screen has consumed is acknowledged, at the
// latest every `ackEveryBytes`, so that the server never has more than 1 MiB on the way.
//
// Input. Every byte typed has a number, counted from the session's first. `#unconfirmed` holds those the agent has not
// yet said it applied. After a reconnect the `attached` event says how many it did; the rest is sent again. Nothing is
// sent before that event, so a byte can be neither lost nor applied twice. At most `inputWindow` bytes (told by the same
// event) are on the way; a long paste follows as the program reads.

import { decodeServerFrame, encodeAck, encodeInput, encodeResize, inputFrameLimitBytes, subprotocol } from "./protocol.js";

/** After this many consumed bytes an acknowledgement is due at once. */
const ackEveryBytes = 64 * 1024;
/** A smaller amount is acknowledged after this long. */
const ackDelayMilliseconds = 40;
/** Input on the way, until `attached` tells the window. */
const inputWindowBytes = 64 * 1024;
/** Input kept for resending; beyond it typing is refused, with a notice. */
export const inputBufferLimitBytes = 1024 * 1024;
const retryDelaysMilliseconds = [100, 300, 700, 1500, 3000, 5000];
/** The close code of a terminal whose lab has ended or whose node was replaced. */
export const goneCode = 4410;
/** WebSocket close codes after which trying again is of no use: policy (1008) and our own (4000 and up). */
const isFinal = (/** @type {number} */ code) => code === 1008 || (code >= 4000 && code < 5000);

/**
 * @typedef {object} Screen
 * @property {(bytes: Uint8Array, consumed: () => void) => void} write
 * @property {() => void} reset
 *
 * @typedef {"connecting" | "live" | "reconnecting" | "closed"} LinkState
 *
 * @typedef {object} SessionOptions
 * @property {string} path of the terminal, without the query
 * @property {Screen} screen
 * @property {number} columns
 * @property {number} rows
 * @property {(state: LinkState, reason: string) => void} onState
 * @property {(event: {type: string, [key: string]: any}) => void} onEvent
 * @property {typeof WebSocket} [webSocket] another implementation, for tests
 * @property {string} [origin]
 */

/** 16 random bytes as hex: who this viewer is, so that the agent can count its input across connections. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
}

export class TerminalSession {
  /** @type {SessionOptions} */ #options;
  /** @type {WebSocket | null} */ #socket = null;
  #viewer = randomId();
  /** @type {LinkState} */ #state = "connecting";
  #attached = false;
  #columns; #rows;
  /**
   * Offset of the next byte for the screen; null before the first.
   * @type {number | null}
   */
  #next = null;
  #consumed = 0;
  #acknowledged = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #ackTimer;
  /** Raised by a reset, so that a late "consumed" of the old screen is not counted. */ #generation = 0;
  /** Number of the first byte in `#unconfirmed`. */ #confirmed = 0;
  /** @type {Uint8Array[]} */ #unconfirmed = [];
  /** How many pieces of `#unconfirmed` were sent on this connection. */ #sentPieces = 0;
  /** Their bytes, which count against the window. */ #sentBytes = 0;
  #window = inputWindowBytes;
  #unconfirmedBytes = 0;
  /**
   * Where the output ended when this connection attached.
   * @type {number | null}
   */
  #replayEnd = null;
  #tries = 0;
  #closeCode = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;

  /** @param {SessionOptions} options */
  constructor(options) {
    this.#options = options;
    this.#columns = options.columns;
    this.#rows = options.rows;
    this.#connect();
    globalThis.addEventListener?.("online", this.#retryNow);
  }

  get state() { return this.#state; }
  get attached() { return this.#attached; }
  /** Why the connection was closed last. */
  get closeCode() { return this.#closeCode; }
  get nextOffset() { return this.#next; }
  /** Whether the screen has shown all output there was when this connection attached. */
  get replayed() { return this.#replayEnd === null || this.#consumed >= this.#replayEnd; }
  get unconfirmedBytes() { return this.#unconfirmedBytes; }

  /**
   * Sends input; while the connection is away it is kept and follows later.
   * @param {string | Uint8Array} input
   * @returns {boolean} false when it was refused
   */
  send(input) {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    if (this.#state === "closed" || bytes.length === 0) return false;
    if (this.#unconfirmedBytes + bytes.length > inputBufferLimitBytes) {
      this.#options.onEvent({ type: "notice", message: "The terminal does not take more input at the moment. Wait until the connection is back." });
      return false;
    }
    for (let at = 0; at < bytes.length; at += inputFrameLimitBytes) {
      const part = bytes.slice(at, at + inputFrameLimitBytes);
      this.#unconfirmed.push(part);
      this.#unconfirmedBytes += part.length;
    }
    this.#sendInput();
    return true;
  }

  /** @param {number} columns @param {number} rows */
  resize(columns, rows) {
    if (columns === this.#columns && rows === this.#rows) return;
    this.#columns = columns;
    this.#rows = rows;
    this.claimSize();
  }

  /** Says this viewer's size again: the terminal has the size of whoever did something last. */
  claimSize() {
    if (this.#attached) this.#transmit(encodeResize(this.#columns, this.#rows));
  }

  /** Ends the session for good. The shell goes on. */
  close() {
    globalThis.removeEventListener?.("online", this.#retryNow);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#ackTimer);
    this.#setState("closed", "");
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #connect() {
    const origin = this.#options.origin ?? location.origin.replace(/^http/, "ws");
    const query = new URLSearchParams({ columns: String(this.#columns), rows: String(this.#rows), viewer: this.#viewer });
    if (this.#next !== null) query.set("resume", String(this.#next));
    const socket = new (this.#options.webSocket ?? WebSocket)(`${origin}${this.#options.path}?${query}`, subprotocol);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const size = [this.#columns, this.#rows];
    socket.onmessage = event => {
      if (this.#socket !== socket || typeof event.data === "string") return;
      try { this.#receive(decodeServerFrame(event.data), size); } catch (error) {
        console.error("terminal:", error);
        socket.close(4400, "bad frame");
      }
    };
    socket.onclose = event => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#attached = false;
      clearTimeout(this.#ackTimer);
      this.#ackTimer = undefined;
      this.#closeCode = event.code;
      if (isFinal(event.code)) {
        this.#setState("closed", event.reason);
        return;
      }
      this.#setState("reconnecting", event.reason);
      const delay = retryDelaysMilliseconds[Math.min(this.#tries++, retryDelaysMilliseconds.length - 1)];
      this.#retryTimer = setTimeout(() => this.#connect(), delay * (0.75 + Math.random() / 2));
    };
  }

  #retryNow = () => {
    if (this.#socket || this.#state === "closed") return;
    clearTimeout(this.#retryTimer);
    this.#connect();
  };

  /** @param {import("./protocol.js").DecodedServerFrame} frame @param {number[]} size as told in the query */
  #receive(frame, size) {
    if (frame.type === "event") {
      const { event } = frame;
      if (event.type === "attached") this.#attach(event, size);
      else if (event.type === "input-applied") {
        this.#confirm(event.applied ?? event.inputApplied ?? 0);
        this.#sendInput();
      }
      this.#options.onEvent(event);
      return;
    }
    let { offset, bytes } = frame;
    if (frame.type === "snapshot") {
      // A snapshot stands for everything before its offset; it has no bytes of the stream itself.
      this.#generation += 1;
      this.#next = this.#consumed = this.#acknowledged = offset;
      this.#options.screen.reset();
      this.#options.screen.write(bytes, () => {});
      return;
    }
    if (this.#next === null) this.#next = this.#consumed = this.#acknowledged = offset;
    if (offset < this.#next) bytes = bytes.subarray(Math.min(bytes.length, this.#next - offset));
    if (bytes.length === 0) return;
    this.#next = Math.max(offset, this.#next) + bytes.length;
    const end = this.#next;
    const generation = this.#generation;
    this.#options.screen.write(bytes, () => {
      if (generation === this.#generation) this.#consume(end);
    });
  }

  /** @param {{inputApplied?: number, offset?: number, [key: string]: any}} event @param {number[]} size */
  #attach(event, size) {
    const applied = event.inputApplied ?? 0;
    if (applied < this.#confirmed) this.#confirmed = applied; // another agent: it has seen nothing of ours
    this.#confirm(applied);
    this.#window = event.inputWindow ?? inputWindowBytes;
    this.#sentPieces = this.#sentBytes = 0;
    this.#replayEnd = event.end ?? null;
    this.#attached = true;
    this.#tries = 0;
    if (size[0] !== this.#columns || size[1] !== this.#rows) this.#transmit(encodeResize(this.#columns, this.#rows));
    this.#sendInput();
    this.#setState("live", "");
  }

  /** Sends what waits, as far as the window allows. */
  #sendInput() {
    while (this.#attached && this.#sentPieces < this.#unconfirmed.length) {
      const part = this.#unconfirmed[this.#sentPieces];
      if (this.#sentBytes > 0 && this.#sentBytes + part.length > this.#window) return;
      if (!this.#transmit(encodeInput(part))) return;
      this.#sentPieces += 1;
      this.#sentBytes += part.length;
    }
  }

  /** @param {number} count of bytes applied since the session began */
  #confirm(count) {
    let surplus = count - this.#confirmed;
    while (surplus > 0 && this.#unconfirmed.length > 0) {
      const first = this.#unconfirmed[0];
      const taken = Math.min(surplus, first.length);
      if (taken === first.length) {
        this.#unconfirmed.shift();
        if (this.#sentPieces > 0) this.#sentPieces -= 1;
      } else this.#unconfirmed[0] = first.subarray(taken);
      this.#sentBytes = Math.max(0, this.#sentBytes - taken);
      this.#confirmed += taken;
      this.#unconfirmedBytes -= taken;
      surplus -= taken;
    }
  }

  /** @param {number} offset */
  #consume(offset) {
    this.#consumed = offset;
    if (!this.#attached) return;
    if (this.#consumed - this.#acknowledged >= ackEveryBytes) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ackDelayMilliseconds);
  }

  #acknowledge() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (!this.#attached || this.#consumed === this.#acknowledged) return;
    this.#acknowledged = this.#consumed;
    this.#transmit(encodeAck(this.#consumed));
  }

  /**
   * False on a connection that is closing: what matters is sent again on the next.
   * @param {Uint8Array} frame
   */
  #transmit(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(frame);
    return true;
  }

  /** @param {LinkState} state @param {string} reason */
  #setState(state, reason) {
    if (state === this.#state && state !== "reconnecting") return;
    this.#state = state;
    this.#options.onState(state, reason);
  }
}
