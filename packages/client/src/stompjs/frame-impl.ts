// A frame as stompjs has it, made of ours and turned into ours.

import {
  CLIENT_COMMANDS,
  type Command,
  Encoder,
  type Frame,
  frame,
  Headers,
  quote,
  SERVER_COMMANDS,
  UsageError,
  type Version,
} from '@stompbox/protocol';
import type { IFrame, IRawFrameType, StompHeaders } from './types.ts';

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });
const COMMANDS: readonly Command[] = [...CLIENT_COMMANDS, ...SERVER_COMMANDS];
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\c': ':', '\\\\': '\\', '\\r': '\r' };

export interface FrameParams {
  command: string;
  headers?: StompHeaders | undefined;
  body?: string | undefined;
  binaryBody?: Uint8Array | undefined;
  escapeHeaderValues?: boolean | undefined;
  skipContentLengthHeader?: boolean | undefined;
}

export class FrameImpl implements IFrame {
  command: string;
  headers: StompHeaders;
  isBinaryBody: boolean;
  escapeHeaderValues: boolean;
  skipContentLengthHeader: boolean;
  #text: string | undefined;
  #octets: Uint8Array | undefined;

  constructor(params: FrameParams) {
    this.command = params.command;
    this.headers = { ...params.headers };
    this.isBinaryBody = params.binaryBody !== undefined;
    this.escapeHeaderValues = params.escapeHeaderValues ?? false;
    this.skipContentLengthHeader = params.skipContentLengthHeader ?? false;
    this.#octets = params.binaryBody;
    this.#text = params.binaryBody === undefined ? (params.body ?? '') : undefined;
  }

  get body(): string {
    this.#text ??= DECODER.decode(this.#octets);
    return this.#text;
  }

  get binaryBody(): Uint8Array {
    this.#octets ??= ENCODER.encode(this.#text);
    return this.#octets;
  }

  /** What `Parser` gave; the first of a repeated header counts. */
  static fromRawFrame(raw: IRawFrameType, escapeHeaderValues: boolean): FrameImpl {
    const unescapes = escapeHeaderValues && raw.command !== 'CONNECT' && raw.command !== 'CONNECTED';
    const text = unescapes ? withoutEscapes : (same: string) => same;
    return new FrameImpl({
      command: raw.command ?? '',
      headers: objectOf(raw.headers.map(([name, value]) => [text(name), text(value)])),
      binaryBody: raw.binaryBody ?? new Uint8Array(0),
      escapeHeaderValues,
    });
  }

  /** Command and headers. */
  toString(): string {
    return headText(this.#frame(), this.#version, this.#announces);
  }

  /** For the socket: text, or an ArrayBuffer where the body is octets. Throws UsageError where STOMP cannot say it. */
  serialize(): string | ArrayBuffer {
    const encoder = new Encoder({ version: this.#version });
    const whole = this.#frame();
    encoder.head(whole, this.#announces ? whole.body.length : undefined);
    encoder.bytes(whole.body);
    encoder.byte(0);
    const bytes = encoder.take();
    return this.isBinaryBody ? new Uint8Array(bytes).buffer : DECODER.decode(bytes);
  }

  static marshall(params: FrameParams): string | ArrayBuffer {
    return new FrameImpl(params).serialize();
  }

  get #version(): Version {
    return this.escapeHeaderValues ? '1.2' : '1.0';
  }

  get #announces(): boolean {
    return this.isBinaryBody || (this.binaryBody.length > 0 && !this.skipContentLengthHeader);
  }

  #frame(): Frame {
    const command = COMMANDS.find((known) => known === this.command);
    if (command === undefined) throw new UsageError('unexpected-frame', `STOMP has no command ${quote(this.command)}`);
    return frame(command, headersOf(this.headers), this.binaryBody);
  }
}

/** A frame that came. */
export function received({ command, headers, body }: Frame): FrameImpl {
  return new FrameImpl({ command, headers: objectOf(headers), binaryBody: body });
}

/** Headers as they go out: texts, without the ones that are undefined, and without a length, which the encoder knows better. */
export function headersOf(...all: (Readonly<Record<string, unknown>> | undefined)[]): Headers {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(Object.assign({}, ...all))) {
    if (value !== undefined && value !== null && name !== 'content-length') pairs.push([name, String(value)]);
  }
  return Headers.from(pairs);
}

/** Command and headers as they stand on the wire; what the version cannot carry is replaced, since it is for people. */
export function headText(shown: Frame, version: Version | undefined, announces: boolean): string {
  const encoder = new Encoder({ version, unrepresentable: 'replace' });
  encoder.head(shown, announces ? shown.body.length : undefined);
  return DECODER.decode(encoder.take());
}

// Own properties, whatever they are called (M-82).
function objectOf(pairs: Iterable<readonly [string, string]>): StompHeaders {
  const first = new Map<string, string>();
  for (const [name, value] of pairs) if (!first.has(name)) first.set(name, value);
  return Object.fromEntries(first);
}

// One pass, left to right (C-42).
function withoutEscapes(text: string): string {
  return text.includes('\\') ? text.replace(/\\[nc\\r]/g, (pair) => ESCAPES[pair] ?? pair) : text;
}
