// Frames: the commands of STOMP, which headers each one knows, and how to make one.

import { decodeUtf8, EMPTY, encodeUtf8, isWellFormed } from './bytes.ts';
import { UsageError } from './errors.ts';
import { type HeaderPairs, Headers } from './headers.ts';

interface Connect {
  'accept-version'?: string;
  host?: string;
  login?: string;
  passcode?: string;
  'heart-beat'?: string;
}

interface Receiptable {
  receipt?: string;
}

interface Settlement extends Receiptable {
  /** 1.2: the `ack` header of the MESSAGE. */
  id?: string;
  /** 1.0 and 1.1 */
  'message-id'?: string;
  /** 1.1 */
  subscription?: string;
  transaction?: string;
}

interface Demarcation extends Receiptable {
  transaction: string;
}

interface Described {
  'content-type'?: string;
  'content-length'?: string;
}

/** The headers each command knows (conformance 3.1 and 4). Any other name may be added. */
export interface HeadersOf {
  CONNECT: Connect;
  STOMP: Connect;
  SEND: { destination: string; transaction?: string } & Receiptable & Described;
  SUBSCRIBE: { destination: string; id?: string; ack?: AckMode; selector?: string } & Receiptable;
  UNSUBSCRIBE: { id?: string; destination?: string } & Receiptable;
  ACK: Settlement;
  NACK: Settlement;
  BEGIN: Demarcation;
  COMMIT: Demarcation;
  ABORT: Demarcation;
  DISCONNECT: Receiptable;
  CONNECTED: { version?: string; session?: string; server?: string; 'heart-beat'?: string };
  MESSAGE: {
    destination: string;
    'message-id': string;
    subscription?: string;
    ack?: string;
    redelivered?: string;
  } & Described;
  RECEIPT: { 'receipt-id': string };
  ERROR: { message?: string; 'receipt-id'?: string; version?: string } & Described;
}

export type Command = keyof HeadersOf;
export type ClientCommand = Exclude<Command, ServerCommand>;
export type ServerCommand = 'CONNECTED' | 'MESSAGE' | 'RECEIPT' | 'ERROR';
export type AckMode = 'auto' | 'client' | 'client-individual';

export const CLIENT_COMMANDS: readonly ClientCommand[] = [
  'CONNECT',
  'STOMP',
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
];
export const SERVER_COMMANDS: readonly ServerCommand[] = ['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR'];
export const ACK_MODES: readonly AckMode[] = ['auto', 'client', 'client-individual'];

/** Only these may have a body (C-61). */
export function mayHaveBody(command: Command): boolean {
  return command === 'SEND' || command === 'MESSAGE' || command === 'ERROR';
}

/** These are never escaped, in any version (C-36). */
export function isHandshake(command: Command): boolean {
  return command === 'CONNECT' || command === 'CONNECTED' || command === 'STOMP';
}

/** A header name of this command, or any other text; editors complete the known ones. */
export type HeaderName<C extends Command> = (C extends Command ? keyof HeadersOf[C] & string : never) | (string & {});

/** What `frame()` takes as headers: the known ones checked by the compiler, any other name besides; or pairs in order. */
export type HeadersInit<C extends Command> =
  | (HeadersOf[C] & Readonly<Record<string, string | number | boolean>>)
  | HeaderPairs
  | Headers;

/** One STOMP frame. Made by `frame()` or by the decoder; never changed afterwards. */
export class Frame<C extends Command = Command> {
  readonly command: C;
  readonly headers: Headers;
  /** Octets, exactly as they travel; empty where there is none. May be a view into a received chunk. */
  readonly body: Uint8Array;

  constructor(command: C, headers: Headers, body: Uint8Array = EMPTY) {
    this.command = command;
    this.headers = headers;
    this.body = body;
  }

  get type(): 'frame' {
    return 'frame';
  }

  /** The first value of a header, or undefined. */
  get(name: HeaderName<C>): string | undefined {
    return this.headers.get(name);
  }

  /** The body as UTF-8 text. Throws a TypeError where it is not (C-65). */
  text(): string {
    return decodeUtf8(this.body);
  }

  is<D extends Command>(command: D): this is Frame<D> {
    return (this.command as Command) === command;
  }
}

/**
 * Makes a frame. A text body becomes UTF-8. `content-length` is written by the encoder; one given here only chooses
 * the place where it stands.
 * Throws UsageError: `bad-header` (empty name, a value that is no text), `bad-body` (a body where none may be, lone surrogates).
 */
export function frame<C extends Command>(
  command: C,
  headers: HeadersInit<C>,
  body: Uint8Array | string = EMPTY,
): Frame<C> {
  if (body.length > 0 && !mayHaveBody(command))
    throw new UsageError('bad-body', `a ${command} frame has no body (C-61)`);
  if (typeof body === 'string') {
    if (!isWellFormed(body)) throw new UsageError('bad-body', 'the body holds a lone UTF-16 surrogate (C-67)');
    return new Frame(command, Headers.from(headers), encodeUtf8(body));
  }
  return new Frame(command, Headers.from(headers), body);
}
