// lectern.terminal.v1 on the page's side: the frames of a terminal's WebSocket (mirrors Sources/Classroom/Terminals/Protocol.swift).
//
// A frame is binary; its first byte is the type, integers are big-endian (docs/protocols.md).

export const subprotocol = "lectern.terminal.v1";

/** Frames to the server. */
export const ClientFrame = Object.freeze({ input: 0, resize: 1, ack: 2 });
/** Frames to the page. */
export const ServerFrame = Object.freeze({ output: 0, event: 1, snapshot: 2 });

/** The longest input in one frame, in bytes; longer input is cut into several frames. */
export const inputFrameLimitBytes = 16 * 1024;
/** What the server sends at most before it waits for an acknowledgement, in bytes. */
export const unacknowledgedLimitBytes = 1024 * 1024;

/**
 * @typedef {{type: "output" | "snapshot", offset: number, bytes: Uint8Array}} BytesFrame
 * @typedef {{type: "event", event: {type: string, [key: string]: any}}} EventFrame
 * @typedef {BytesFrame | EventFrame} DecodedServerFrame
 * @typedef {{type: "input", bytes: Uint8Array} | {type: "resize", columns: number, rows: number} | {type: "ack", offset: number}} DecodedClientFrame
 */

/** A frame that does not follow the protocol. */
export class ProtocolError extends Error {}

/** @param {Uint8Array} bytes */
export function encodeInput(bytes) {
  const frame = new Uint8Array(1 + bytes.length);
  frame[0] = ClientFrame.input;
  frame.set(bytes, 1);
  return frame;
}

/** @param {number} columns @param {number} rows */
export function encodeResize(columns, rows) {
  const frame = new Uint8Array(5);
  const view = new DataView(frame.buffer);
  frame[0] = ClientFrame.resize;
  view.setUint16(1, columns);
  view.setUint16(3, rows);
  return frame;
}

/** @param {number} offset how many bytes of output have been consumed since the terminal began */
export function encodeAck(offset) {
  const frame = new Uint8Array(9);
  frame[0] = ClientFrame.ack;
  new DataView(frame.buffer).setBigUint64(1, BigInt(offset));
  return frame;
}

/** @param {number} offset @param {Uint8Array} bytes @param {number} [type] */
export function encodeOutput(offset, bytes, type = ServerFrame.output) {
  const frame = new Uint8Array(9 + bytes.length);
  frame[0] = type;
  new DataView(frame.buffer).setBigUint64(1, BigInt(offset));
  frame.set(bytes, 9);
  return frame;
}

/** @param {object} event */
export function encodeEvent(event) {
  const json = new TextEncoder().encode(JSON.stringify(event));
  const frame = new Uint8Array(1 + json.length);
  frame[0] = ServerFrame.event;
  frame.set(json, 1);
  return frame;
}

/** @param {Uint8Array} frame */
function view(frame) {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
}

/**
 * @param {ArrayBuffer | Uint8Array} data
 * @returns {DecodedServerFrame}
 */
export function decodeServerFrame(data) {
  const frame = data instanceof Uint8Array ? data : new Uint8Array(data);
  if (frame.length === 0) throw new ProtocolError("an empty frame");
  switch (frame[0]) {
    case ServerFrame.output:
    case ServerFrame.snapshot: {
      if (frame.length < 9) throw new ProtocolError("an output frame shorter than its offset");
      const offset = view(frame).getBigUint64(1);
      if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError("an offset beyond 2^53");
      return { type: frame[0] === ServerFrame.output ? "output" : "snapshot", offset: Number(offset), bytes: frame.subarray(9) };
    }
    case ServerFrame.event: {
      /** @type {any} */
      let event;
      try { event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(frame.subarray(1))); } catch { throw new ProtocolError("an event that is not JSON"); }
      if (typeof event !== "object" || event === null || typeof event.type !== "string") throw new ProtocolError("an event without a type");
      return { type: "event", event };
    }
    default:
      throw new ProtocolError(`unknown frame type ${frame[0]}`);
  }
}

/**
 * @param {ArrayBuffer | Uint8Array} data
 * @returns {DecodedClientFrame}
 */
export function decodeClientFrame(data) {
  const frame = data instanceof Uint8Array ? data : new Uint8Array(data);
  if (frame.length === 0) throw new ProtocolError("an empty frame");
  switch (frame[0]) {
    case ClientFrame.input:
      return { type: "input", bytes: frame.subarray(1) };
    case ClientFrame.resize:
      if (frame.length !== 5) throw new ProtocolError("a resize frame that is not 5 bytes");
      return { type: "resize", columns: view(frame).getUint16(1), rows: view(frame).getUint16(3) };
    case ClientFrame.ack:
      if (frame.length !== 9) throw new ProtocolError("an ack frame that is not 9 bytes");
      return { type: "ack", offset: Number(view(frame).getBigUint64(1)) };
    default:
      throw new ProtocolError(`unknown frame type ${frame[0]}`);
  }
}
