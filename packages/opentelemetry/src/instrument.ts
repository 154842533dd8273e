// A client whose verbs are traced: the same object to whoever uses it, its verbs wrapped.
//
//   send, request, requestMany              inside a PRODUCER span
//   sendAll                                 one such span for each
//   subscribe, respond                      the handler, inside a CONSUMER span for each message
//   transaction, begin                      the sends of the transaction

import { type ReadMessage, Telemetry, type TelemetryOptions, type WrittenOptions } from './telemetry.ts';

type Verb = (...given: unknown[]) => unknown;
/** The verb, traced. */
type Wrap = (verb: Verb, telemetry: Telemetry) => Verb;
type Wraps = ReadonlyMap<PropertyKey, Wrap>;

/** One of `sendAll`. */
interface Sendable {
  readonly destination: unknown;
  readonly body?: unknown;
  readonly options?: unknown;
}

/**
 * The client, or the connection, with its verbs traced; use the answer in its place. A `Client`, a `Connection`, or anything
 * with verbs of these names and parameters. What the verbs answer and reject with stays what it was.
 */
export function instrument<T extends object>(client: T, options: TelemetryOptions | Telemetry = {}): T {
  return traced(client, options instanceof Telemetry ? options : new Telemetry(options), VERBS);
}

// Private fields belong to the object itself, so everything is asked of it and not of the proxy.
function traced<T extends object>(target: T, telemetry: Telemetry, wraps: Wraps): T {
  const known = new Map<PropertyKey, { readonly of: unknown; readonly verb: Verb }>();
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (!isVerb(value) || name === 'constructor') return value;
      const before = known.get(name);
      if (before?.of === value) return before.verb;
      const bound: Verb = (...given) => Reflect.apply(value, target, given);
      const verb = wraps.get(name)?.(bound, telemetry) ?? bound;
      known.set(name, { of: value, verb });
      return verb;
    },
    set: (_, name, value) => Reflect.set(target, name, value, target),
  });
}

function sending(operation: string): Wrap {
  return (verb, telemetry) =>
    (to, body, options, ...rest) =>
      telemetry.send(
        nameOf(to),
        body,
        isObject(options) ? options : {},
        (written) => verb(to, body, written, ...rest),
        operation,
      );
}

// Each has its span, which ends with its own result; the verb is asked once, for all.
const sendingAll: Wrap =
  (verb, telemetry) =>
  async (messages, ...rest) => {
    if (!isIterable(messages)) return await verb(messages, ...rest);
    const ends = new Map<number, (result: unknown) => void>(); // by place
    const spans: Promise<unknown>[] = [];
    const written = Array.from(messages, (message, place) => {
      if (!isObject(message) || !('destination' in message)) return message;
      const { destination, body, options }: Sendable = message;
      const result = new Promise<unknown>((resolve) => ends.set(place, resolve)).then(settledValue);
      let filled: WrittenOptions = {};
      const span = telemetry.send(nameOf(destination), body, isObject(options) ? options : {}, (withContext) => {
        filled = withContext;
        return result;
      });
      spans.push(span);
      return { ...message, options: filled };
    });
    try {
      const results = await verb(written, ...rest);
      for (const [place, end] of ends) end(Array.isArray(results) ? results[place] : undefined);
      return results;
    } catch (reason) {
      for (const end of ends.values()) end({ status: 'rejected', reason });
      throw reason;
    } finally {
      await Promise.allSettled(spans);
    }
  };

const handling: Wrap =
  (verb, telemetry) =>
  (to, handler, ...rest) => {
    if (!isVerb(handler)) return verb(to, handler, ...rest);
    const inside: Verb = (message, ...more) =>
      isMessage(message) ? telemetry.process(message, () => handler(message, ...more)) : handler(message, ...more);
    return verb(to, inside, ...rest);
  };

const SENDS: Wraps = new Map([['send', sending('send')]]);

const begun: Wrap =
  (verb, telemetry) =>
  (...given) => {
    const transaction = verb(...given);
    return isObject(transaction) ? traced(transaction, telemetry, SENDS) : transaction;
  };

const transacting: Wrap =
  (verb, telemetry) =>
  (work, ...rest) => {
    if (!isVerb(work)) return verb(work, ...rest);
    const inside: Verb = (transaction) =>
      work(isObject(transaction) ? traced(transaction, telemetry, SENDS) : transaction);
    return verb(inside, ...rest);
  };

const VERBS: Wraps = new Map<PropertyKey, Wrap>([
  ['send', sending('send')],
  ['request', sending('request')],
  ['requestMany', sending('request')],
  ['sendAll', sendingAll],
  ['subscribe', handling],
  ['respond', handling],
  ['begin', begun],
  ['transaction', transacting],
]);

/** Of a destination that is a text, or of a portable one. */
function nameOf(to: unknown): string {
  if (typeof to === 'string') return to;
  return isObject(to) && 'name' in to ? String(to.name) : String(to);
}

function isVerb(value: unknown): value is Verb {
  return typeof value === 'function';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return isObject(value) && Symbol.iterator in value;
}

/** Of a settled promise; a rejection is thrown. */
function settledValue(result: unknown): unknown {
  if (isObject(result) && 'status' in result && result.status === 'rejected' && 'reason' in result) throw result.reason;
  return result;
}

function isMessage(value: unknown): value is ReadMessage {
  return isObject(value) && 'destination' in value && 'id' in value && 'headers' in value && 'frame' in value;
}
