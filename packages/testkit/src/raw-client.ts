// A STOMP client that knows nothing: bytes out as they are told, bytes in as they come,
// and a reading of them that shares no code with our own. What a hostile peer needs.
//
//   write ─► (TCP: as is | WebSocket: one masked message each) ─► socket
//   socket ─► (WebSocket: unframed) ─► frames until the end
//
// Every wait has a deadline, so that a test fails with a sentence and not by hanging.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A frame as it came. Header values are unescaped as 1.2 does; the first of a repeated one counts. */
export interface RawFrame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  /** Header lines as they came, in order. */
  readonly lines: readonly string[];
  /** As UTF-8. */
  readonly body: string;
  readonly bytes: Uint8Array;
}

export interface RawOptions {
  /** Extra lines of the WebSocket upgrade: `Origin: http://evil.example`. */
  readonly upgrade?: readonly string[];
  /** How long any wait may take. Milliseconds, 10,000 unless given. */
  readonly deadlineMs?: number;
  /** False: pings are not answered. */
  readonly pong?: boolean;
}

/** How it ended: everything that came, and the WebSocket close code where there was one. */
export interface RawEnd {
  readonly frames: readonly RawFrame[];
  readonly code: number | undefined;
  /** The connection broke instead of ending. */
  readonly broken: boolean;
  /** Bytes that were no whole frame. */
  readonly rest: string;
}

/** A frame a server of WebSocket sent: its opcode and payload. */
interface Message {
  readonly opcode: number;
  readonly payload: Buffer;
}

const OPEN_DEADLINE_MS = 10_000;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Opens `tcp://host:port` or `ws://host:port/path`. Rejects where the upgrade is refused, with the status line. */
export async function rawClient(url: string, options: RawOptions = {}): Promise<RawClient> {
  const { protocol, hostname, port, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true });
  const client = new RawClient(socket, options);
  await client.opened;
  if (protocol === 'ws:') await client.upgrade(`${hostname}:${port}`, pathname);
  return client;
}

export class RawClient {
  readonly socket: Socket;
  /** Resolves with the connection; rejects where there is none. */
  readonly opened: Promise<void>;
  /** The answer to a WebSocket upgrade: status line and headers. */
  answer = '';
  readonly frames: RawFrame[] = [];
  readonly #deadlineMs: number;
  readonly #upgrade: readonly string[];
  readonly #pong: boolean;
  #framed = false;
  #upgrading = false;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #stomp: Buffer = Buffer.alloc(0);
  #read = 0;
  #code: number | undefined;
  #broken = false;
  #over = false; // nothing more will come
  #wake: (() => void)[] = [];

  constructor(socket: Socket, options: RawOptions) {
    this.socket = socket;
    this.#deadlineMs = options.deadlineMs ?? OPEN_DEADLINE_MS;
    this.#upgrade = options.upgrade ?? [];
    this.#pong = options.pong ?? true;
    this.opened = new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('data', (bytes) => this.#data(bytes));
    socket.on('end', () => {
      this.#ended();
      socket.end();
    });
    socket.on('error', () => {
      this.#broken = true;
    });
    socket.on('close', () => this.#ended());
  }

  /** One header line a name; masks with a key of zeros, which is legal and readable in a dump. */
  async upgrade(host: string, path: string): Promise<void> {
    this.#upgrading = true;
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...this.#upgrade,
    ];
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await this.until(() => !this.#upgrading || this.#over, 'the upgrade to be answered');
    if (!this.answer.startsWith('HTTP/1.1 101 ')) throw new Error(this.answer.split('\r\n')[0]);
  }

  /** Everything, in one write (WebSocket: one binary message). Resolves when there is room for more, or nobody to read it. */
  async write(bytes: Uint8Array | string): Promise<void> {
    await this.writeRaw(this.#framed ? webSocketFrame(Buffer.from(bytes as Uint8Array)) : bytes);
  }

  /** Past WebSocket framing: what goes on the wire is exactly this. */
  async writeRaw(bytes: Uint8Array | string): Promise<void> {
    if (this.#over || this.socket.destroyed || this.socket.write(bytes)) return;
    await this.until(() => this.socket.writableLength === 0 || this.#over, 'the broker to read');
  }

  /** In pieces, each of which the broker reads before the next comes. Stops where the broker has ended the connection. */
  async writePieces(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#over) return;
      await this.write(piece);
      await turn();
    }
  }

  /** Sends `chunk` again and again until `bytes` have gone out, or the broker ended it. Answers how many went. */
  async flood(chunk: Uint8Array | string, bytes: number): Promise<number> {
    const one = Buffer.from(chunk as Uint8Array);
    let sent = 0;
    while (sent < bytes && !this.#over && this.frames.at(-1)?.command !== 'ERROR') {
      await this.write(one);
      sent += one.length;
      await turn();
    }
    return sent;
  }

  /** CONNECT in that version; answers CONNECTED. */
  async connect(version: string, headers = ''): Promise<RawFrame> {
    await this.write(`CONNECT\naccept-version:${version}\nhost:h\n${headers}\n\0`);
    const frame = await this.next();
    if (frame.command !== 'CONNECTED') throw new Error(`${frame.command}: ${frame.headers.get('message')}`);
    return frame;
  }

  /** The next frame nobody has asked for yet. Rejects at the end, and at the deadline. */
  async next(): Promise<RawFrame> {
    await this.until(() => this.frames.length > this.#read || this.#over, 'a frame');
    const frame = this.frames[this.#read++];
    if (frame === undefined) throw new Error('the connection ended where a frame should come');
    return frame;
  }

  /** The next `n` frames. */
  async take(n: number): Promise<RawFrame[]> {
    const taken: RawFrame[] = [];
    while (taken.length < n) taken.push(await this.next());
    return taken;
  }

  /** Waits for the end the broker makes. */
  async end(): Promise<RawEnd> {
    await this.until(() => this.#over, 'the end of the connection');
    return { frames: this.frames, code: this.#code, broken: this.#broken, rest: this.#stomp.toString() };
  }

  /** Drops the frames that came. */
  forget(): void {
    this.frames.length = 0;
    this.#read = 0;
  }

  get over(): boolean {
    return this.#over;
  }

  /** FIN. */
  finish(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Stops reading: the window closes. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Resolves as soon as `done`, looked at whenever something came. */
  async until(done: () => boolean, what: string): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#awake();
    }, this.#deadlineMs);
    const look = () => this.#awake();
    this.socket.on('drain', look);
    try {
      while (!done()) {
        if (late) {
          const came = this.frames.map(({ command }) => command).join(', ');
          throw new Error(`waited ${this.#deadlineMs} ms for ${what}; came: ${came === '' ? 'nothing' : came}`);
        }
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(timer);
      this.socket.off('drain', look);
    }
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const one of wake) one();
  }

  #ended(): void {
    this.#over = true;
    this.#awake();
  }

  #data(bytes: Buffer): void {
    this.#input.push(bytes);
    this.#inputBytes += bytes.length;
    if (this.#upgrading) this.#readAnswer();
    if (this.#framed) this.#readMessages();
    else if (!this.#upgrading) this.#hear(this.#all());
    this.#awake();
  }

  #all(): Buffer {
    const all = this.#input.length === 1 ? (this.#input[0] as Buffer) : Buffer.concat(this.#input, this.#inputBytes);
    this.#input = [];
    this.#inputBytes = 0;
    return all;
  }

  #keep(rest: Buffer): void {
    this.#input = rest.length > 0 ? [rest] : [];
    this.#inputBytes = rest.length;
  }

  #readAnswer(): void {
    const all = this.#all();
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#keep(all);
      return;
    }
    this.answer = all.toString('latin1', 0, end);
    this.#keep(all.subarray(end + 4));
    this.#upgrading = false;
    this.#framed = this.answer.startsWith('HTTP/1.1 101 ');
  }

  #readMessages(): void {
    let all = this.#all();
    for (let read = readMessage(all); read !== undefined; read = readMessage(all)) {
      all = all.subarray(read.size);
      this.#message(read.message);
    }
    this.#keep(all);
  }

  #message({ opcode, payload }: Message): void {
    if (opcode === CLOSE) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      if (!this.socket.destroyed) this.socket.end(webSocketFrame(payload.subarray(0, 2), { opcode: CLOSE }));
      this.#ended();
    } else if (opcode === PING) {
      if (this.#pong) this.socket.write(webSocketFrame(payload, { opcode: PONG }));
    } else if (opcode === TEXT || opcode === BINARY) this.#hear(payload);
  }

  #hear(bytes: Buffer): void {
    let all = this.#stomp.length === 0 ? bytes : Buffer.concat([this.#stomp, bytes]);
    for (let read = readFrame(all); read !== undefined; read = readFrame(all)) {
      all = all.subarray(read.size);
      this.frames.push(read.frame);
    }
    this.#stomp = all;
  }
}

/** One turn of the event loop and what it brings: sockets have been read and written. */
export async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A client's WebSocket frame, masked with a key of zeros unless told. `flags` are FIN and the reserved bits. */
export function webSocketFrame(
  payload: Uint8Array,
  options: {
    readonly opcode?: number;
    readonly flags?: number;
    readonly masked?: boolean;
    readonly length?: bigint;
  } = {},
): Buffer {
  const { opcode = BINARY, flags = 0x80, masked = true, length = BigInt(payload.length) } = options;
  const mask = masked ? 0x80 : 0;
  let head: Buffer;
  if (options.length === undefined && length < 126n) head = Buffer.from([flags | opcode, mask | Number(length)]);
  else if (options.length === undefined && length < 65_536n) {
    head = Buffer.from([flags | opcode, mask | 126, 0, 0]);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = flags | opcode;
    head[1] = mask | 127;
    head.writeBigUInt64BE(length, 2);
  }
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), payload]);
}

function readMessage(bytes: Buffer): { message: Message; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] as number) & 0x7f;
  const at = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < at) return undefined;
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < at + length) return undefined;
  const message = { opcode: (bytes[0] as number) & 0x0f, payload: bytes.subarray(at, at + length) };
  return { message, size: at + length };
}

const UNESCAPED: Readonly<Record<string, string>> = { '\\n': '\n', '\\r': '\r', '\\c': ':', '\\\\': '\\' };

// Skips heart-beats; undefined where the frame is not whole yet.
function readFrame(bytes: Buffer): { frame: RawFrame; size: number } | undefined {
  let start = 0;
  while (bytes[start] === 10) start++;
  const blank = bytes.indexOf('\n\n', start);
  if (blank < 0) return undefined;
  const [command = '', ...lines] = bytes.toString('utf8', start, blank).split('\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1)].map((text) =>
      text.replace(/\\[nrc\\]/g, (pair) => UNESCAPED[pair] ?? pair),
    ) as [string, string];
    if (!headers.has(name)) headers.set(name, value);
  }
  const bodyAt = blank + 2;
  const length = headers.get('content-length');
  const end = length === undefined ? bytes.indexOf(0, bodyAt) : bodyAt + Number(length);
  if (end < 0 || end >= bytes.length) return undefined;
  const body = bytes.subarray(bodyAt, end);
  return { frame: { command, headers, lines, body: body.toString(), bytes: body }, size: end + 1 };
}
