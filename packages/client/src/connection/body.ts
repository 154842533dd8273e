// What may be sent as a body -> octets, or a source of octets.

import { UsageError } from '../errors.ts';

/** Anything JSON can write. `object` and not a mapped type, so that values typed by an interface need no cast. */
export type JsonValue = number | boolean | null | object;

/**
 * Text is sent as `text/plain`, octets as `application/octet-stream`, everything else as `application/json` (C-63).
 * A stream or an async iterable is sent piece by piece as `application/octet-stream`; undefined is no body.
 */
export type Body =
  | string
  | Uint8Array
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>
  | JsonValue
  | undefined;

export type Source = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>;

/** A body that comes piece by piece. */
export function isSource(body: Body): body is Source {
  return (
    typeof body === 'object' &&
    body !== null &&
    (Symbol.asyncIterator in body || ('getReader' in body && typeof body.getReader === 'function'))
  );
}

/** What `frame()` takes. Throws UsageError `bad-body` or `bad-json`. */
export function contentOf(body: Body): string | Uint8Array {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body === undefined) return '';
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
    throw new UsageError('bad-body', `octets are sent as a Uint8Array, not as ${body.constructor.name}`);
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(body);
  } catch (cause) {
    throw new UsageError('bad-json', 'the body cannot be written as JSON', { cause });
  }
  if (text === undefined) throw new UsageError('bad-json', `a ${typeof body} cannot be written as JSON`);
  return text;
}

/** The content-type of a body that names none (C-63). */
export function typeOf(body: Body): string {
  if (typeof body === 'string') return 'text/plain';
  if (body instanceof Uint8Array || isSource(body)) return 'application/octet-stream';
  return 'application/json';
}

/** The pieces of a source as octets; text becomes UTF-8. Leaving early calls the source off. */
export async function* pieces(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  for await (const piece of Symbol.asyncIterator in source ? source : readable(source)) {
    if (typeof piece === 'string') yield encoder.encode(piece);
    else if (piece instanceof Uint8Array) yield piece;
    else throw new UsageError('bad-body', `a streamed body is made of Uint8Array and text, not of ${typeof piece}`);
  }
}

// For runtimes whose ReadableStream is no async iterable.
async function* readable(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      finished = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!finished) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}
