// A span around a promise or a call: what it is called, what it says, and how it ends.
// Names and attributes follow the semantic conventions for messaging.

import {
  type Attributes,
  type Context,
  context,
  type Link,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

export interface Described {
  /** `send`, `process`, `request`: `messaging.operation.name`, and the beginning of the span's name. */
  readonly operation: string;
  readonly kind: SpanKind;
  readonly destination: string;
  readonly attributes?: Attributes;
  readonly links?: Link[];
}

// Destinations that exist for one connection: their names are many and say nothing.
const TEMPORARY = /^(?:\/temp-(?:queue|topic)\/|\/remote-temp-|\/reply-queue\/)/;

export class Spans {
  readonly #tracer: Tracer;
  readonly #attributes: Attributes;

  constructor(tracer: Tracer, attributes: Attributes) {
    this.#tracer = tracer;
    this.#attributes = attributes;
  }

  /**
   * Runs `work` inside a new span, a child of `parent`. The span ends when what `work` answered has settled, with the error
   * recorded where it rejects or throws; the answer, and the error, are passed on as they are.
   */
  around<Result>(described: Described, parent: Context, work: (inside: Context) => Result): Result {
    const span = this.#start(described, parent);
    const inside = trace.setSpan(parent, span);
    let result: Result;
    try {
      result = context.with(inside, work, undefined, inside);
    } catch (error) {
      failed(span, error);
      span.end();
      throw error;
    }
    if (isPromiseLike(result)) {
      result.then(
        () => span.end(),
        (error: unknown) => {
          failed(span, error);
          span.end();
        },
      );
    } else {
      span.end();
    }
    return result;
  }

  #start({ operation, kind, destination, attributes, links }: Described, parent: Context): Span {
    const temporary = TEMPORARY.test(destination);
    return this.#tracer.startSpan(
      `${operation} ${temporary ? '(temporary)' : destination}`,
      {
        kind,
        ...(links === undefined ? {} : { links }),
        attributes: {
          'messaging.system': 'stomp',
          'messaging.operation.name': operation,
          'messaging.operation.type': kind === SpanKind.CONSUMER ? 'process' : 'send',
          'messaging.destination.name': destination,
          ...(temporary ? { 'messaging.destination.temporary': true } : {}),
          ...this.#attributes,
          ...attributes,
        },
      },
      parent,
    );
  }
}

function failed(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  span.recordException(error instanceof Error ? error : message);
  span.setAttribute('error.type', textOf(error, 'code') ?? textOf(error, 'name') ?? '_OTHER');
  // unsent, unknown or rejected: whether to send again
  const outcome = textOf(error, 'outcome');
  if (outcome !== undefined) span.setAttribute('stompbox.outcome', outcome);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

function textOf(error: unknown, property: string): string | undefined {
  if (typeof error !== 'object' || error === null || !(property in error)) return undefined;
  const value: unknown = Reflect.get(error, property);
  return typeof value === 'string' ? value : undefined;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
