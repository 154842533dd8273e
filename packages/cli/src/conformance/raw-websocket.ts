// A WebSocket by hand, over a plain or TLS line of bytes: what `ws` would refuse to send, or hide from us.
//
//   GET /path HTTP/1.1 …  ─►        0x81 0x85 mask payload  ─►
//   ◄─ HTTP/1.1 101 …               ◄─ 0x81 0x05 payload

import { randomBytes } from 'node:crypto';
import { type Channel, parseEndpoint } from '@stompbox/transport';
import { dial } from '@stompbox/transport/dial';
import type { Met } from './meet.ts';
import { NotAsked } from './verdict.ts';

export type Opcode = 0 | 1 | 2 | 8 | 9 | 10 | 3;

export interface WebSocketFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** How a frame is spoilt. */
export interface FrameOptions {
  readonly fin?: boolean;
  readonly masked?: boolean;
  /** Bits of the first octet that should be zero. */
  readonly reserved?: number;
}

/** What the server answered to the upgrade. */
export interface Upgrade {
  readonly status: number;
  readonly subprotocol: string | undefined;
}

const ANSWER_BYTES = 64 * 1024;
const OK = 101;

export class RawWebSocket {
  readonly #channel: Channel;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(channel: Channel) {
    this.#channel = channel;
    channel.open({
      data: (bytes) => {
        this.#bytes = Buffer.concat([this.#bytes, bytes]);
        this.#wake?.();
      },
      drain: () => {},
      ended: () => this.#over(),
      closed: () => this.#over(),
    });
  }

  /** Asks for the upgrade and reads the answer, whatever it is. `headers` come on top of those a WebSocket needs. */
  static async open(
    site: Pick<Met, 'url' | 'line'>,
    headers: readonly string[] = ['Sec-WebSocket-Protocol: v12.stomp'],
  ): Promise<{ socket: RawWebSocket; upgrade: Upgrade }> {
    const endpoint = parseEndpoint(site.url);
    if (endpoint.transport !== 'websocket') throw new NotAsked('the URL is no WebSocket');
    const { host, port, path, query, secure } = endpoint;
    const socket = new RawWebSocket(await dial({ transport: secure ? 'tls' : 'tcp', host, port }, site.line));
    const lines = [
      `GET ${path}${query === undefined ? '' : `?${query}`} HTTP/1.1`,
      `Host: ${host.includes(':') ? `[${host}]` : host}:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      ...headers,
    ];
    socket.#channel.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`));
    return { socket, upgrade: await socket.#answer(site.line.patienceMs) };
  }

  async #answer(withinMs: number): Promise<Upgrade> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end >= 0 || this.#bytes.length > ANSWER_BYTES) {
        const head = this.#bytes.subarray(0, end).toString('latin1');
        this.#bytes = this.#bytes.subarray(end + 4);
        const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
        return { status, subprotocol: /^sec-websocket-protocol:[ \t]*(.*?)[ \t]*$/im.exec(head)?.[1] };
      }
      if (!(await this.#more(deadline))) return { status: 0, subprotocol: undefined };
    }
  }

  /** One frame, masked unless told otherwise, and the last of its message unless `fin` is false. */
  say(opcode: Opcode, payload: string | Uint8Array, how: FrameOptions = {}): void {
    const { fin = true, masked = true, reserved = 0 } = how;
    const body = Buffer.from(payload);
    const first = (fin ? 0x80 : 0) | reserved | opcode;
    const flag = masked ? 0x80 : 0;
    const head =
      body.length < 126
        ? Buffer.from([first, flag | body.length])
        : Buffer.from([first, flag | 127, 0, 0, 0, 0, ...lengthOf(body)]);
    if (!masked) {
      this.#channel.write(Buffer.concat([head, body]));
      return;
    }
    const mask = randomBytes(4);
    for (let at = 0; at < body.length; at++) body[at] = (body[at] ?? 0) ^ (mask[at % 4] ?? 0);
    this.#channel.write(Buffer.concat([head, mask, body]));
  }

  /** Octets that are no WebSocket frame. */
  write(bytes: Uint8Array): void {
    this.#channel.write(bytes);
  }

  /** The next frame from the server; undefined: none in time, or the connection is over (see `ended`). */
  async next(withinMs: number): Promise<WebSocketFrame | undefined> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const frame = this.#frame();
      if (frame !== undefined) return frame;
      if (!(await this.#more(deadline))) return undefined;
    }
  }

  get ended(): boolean {
    return this.#ended;
  }

  drop(): void {
    this.#channel.destroy();
  }

  #frame(): WebSocketFrame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const short = bytes.readUInt8(1) & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < start) return undefined;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < start + length) return undefined;
    this.#bytes = bytes.subarray(start + length);
    return { opcode: bytes.readUInt8(0) & 0x0f, payload: bytes.subarray(start, start + length) };
  }

  /** False: no more bytes will come by then. */
  async #more(deadline: number): Promise<boolean> {
    const left = deadline - performance.now();
    if (this.#ended || left <= 0) return false;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, left);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    return true;
  }

  #over(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

/** As the last four of eight octets, highest first. */
function lengthOf(body: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return length;
}

export function opened(upgrade: Upgrade): boolean {
  return upgrade.status === OK;
}
