// The context of a trace, in the headers of a SEND and of the MESSAGE it becomes. STOMP hands
// user headers on (F-03), so `traceparent` travels as W3C writes it, whatever propagator is set.

import { type Context, propagation, ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api';

/** What can be asked of the headers of a message. */
export interface ReadHeaders extends Iterable<readonly [name: string, value: string]> {
  get(name: string): string | undefined;
}

const GETTER: TextMapGetter<ReadHeaders> = {
  get: (headers, name) => headers.get(name),
  keys: (headers) => [...headers].map(([name]) => name),
};

/** The context as headers; none without a propagator. */
export function carried(context: Context): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context, carrier);
  return carrier;
}

/** The context that came with a message, and nothing else. */
export function extracted(headers: ReadHeaders): Context {
  return propagation.extract(ROOT_CONTEXT, headers, GETTER);
}
