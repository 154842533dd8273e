// A destination, a body and options -> a SEND frame.

import { type EncoderOptions, type Frame, frame } from '@stompbox/protocol';
import { type Body, contentOf, isSource, typeOf } from './body.ts';
import type { WaitOptions } from './inbox.ts';

export type HeaderValue = string | number | boolean;
/** A function is asked for the value when the frame is written. */
export type SendHeaders = Readonly<Record<string, HeaderValue | (() => HeaderValue)>>;

export interface SendOptions extends WaitOptions {
  /** User headers; they reach the consumer (F-03). Those that the other options stand for are theirs. */
  readonly headers?: SendHeaders | undefined;
  /** `text/plain` for text, `application/octet-stream` for octets and streams, else `application/json`, unless given (C-63). */
  readonly contentType?: string | undefined;
  /** How many bytes a stream will have. Without it the stream may hold no NUL (C-54). */
  readonly contentLength?: number | undefined;
  /**
   * Ask for a RECEIPT and wait for it; true unless given. False is fire and forget: the promise resolves when the connection
   * takes more, which is the producer's back-pressure. In a transaction it is always false: COMMIT confirms.
   */
  readonly confirm?: boolean | undefined;
  /**
   * Whether to say how long the body is: always, or only where it holds NUL or is no UTF-8, which is how ActiveMQ and Artemis
   * tell text from octets (C-56). As `leniency.contentLength` says unless given; always when it does not either.
   */
  readonly announceLength?: EncoderOptions['contentLength'];
  /** The id of an open transaction of this connection. `connection.begin()` gives more comfort. */
  readonly transaction?: string | undefined;
  /** How long to wait for the RECEIPT, from when the frame is written. `receiptTimeoutMs` unless given; 0 is for ever. */
  readonly timeoutMs?: number | undefined;
}

const NO_HEADERS: Readonly<Record<string, string>> = {};

/** The frame; a streamed body is not in it. `encoded` is the body, where it is a text that was encoded before. Throws UsageError. */
export function sendFrame(
  destination: string,
  body: Body,
  options: SendOptions,
  receipt: string | undefined,
  encoded?: Uint8Array | undefined,
): Frame<'SEND'> {
  const pairs: [name: string, value: HeaderValue][] = [['destination', destination]];
  const { headers = NO_HEADERS } = options;
  const empty = body === undefined || body === '' || (body instanceof Uint8Array && body.length === 0);
  const type = options.contentType ?? (empty || 'content-type' in headers ? undefined : typeOf(body));
  if (type !== undefined) pairs.push(['content-type', type]);
  if (options.transaction !== undefined) pairs.push(['transaction', options.transaction]);
  if (receipt !== undefined) pairs.push(['receipt', receipt]);
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined && name !== 'destination') pairs.push([name, asked(value)]);
  }
  return frame('SEND', pairs, encoded ?? (isSource(body) ? '' : contentOf(body)));
}

/** Headers with every value asked for. */
export function computed(headers: SendHeaders): Readonly<Record<string, HeaderValue>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, asked(value)]));
}

function asked(value: HeaderValue | (() => HeaderValue)): HeaderValue {
  return typeof value === 'function' ? value() : value;
}
