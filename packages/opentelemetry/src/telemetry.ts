// Sending and processing, each inside its span, the one in the trace of the other.
//
//   send ── PRODUCER span ── traceparent ─► SEND … MESSAGE ─► handler in a CONSUMER span
//                └─ ends with the RECEIPT                         └─ ends when the handler has returned

import { type Attributes, context, type Link, ROOT_CONTEXT, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import { carried, extracted, type ReadHeaders } from './context.ts';
import { Spans } from './spans.ts';

export interface TelemetryOptions {
  /** The one of the global provider named `@stompbox/opentelemetry` unless given. */
  readonly tracer?: Tracer | undefined;
  /**
   * What a CONSUMER span is to the span that sent its message: its `child`, in one trace, unless given; or `link`ed from a trace
   * of its own, which suits queues where messages wait long.
   */
  readonly relation?: 'child' | 'link' | undefined;
  /** On every span: `server.address`, `messaging.client.id`, whatever is known beforehand. */
  readonly attributes?: Attributes | undefined;
}

/** What is asked of a message: that of `@stompbox/client` has it. */
export interface ReadMessage {
  readonly destination: string;
  readonly id: string;
  readonly headers: ReadHeaders;
  readonly frame: { readonly body: Uint8Array };
  /** The body is not in the frame. */
  readonly isStreamed?: boolean | undefined;
}

/** Headers and whatever else; `send` of a client takes more. */
export interface WrittenOptions {
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

export class Telemetry {
  readonly #spans: Spans;
  readonly #linked: boolean;

  constructor({ tracer, relation = 'child', attributes = {} }: TelemetryOptions = {}) {
    this.#spans = new Spans(tracer ?? trace.getTracer('@stompbox/opentelemetry'), attributes);
    this.#linked = relation === 'link';
  }

  /**
   * Runs `write` in a PRODUCER span; it gets the options with the context in their headers. What the caller wrote into the
   * headers himself stays.
   */
  send<Result>(
    destination: string,
    body: unknown,
    options: WrittenOptions,
    write: (options: WrittenOptions) => Result,
    operation = 'send',
  ): Result {
    const size = sizeOf(body);
    const attributes = {
      ...(size === undefined ? {} : { 'messaging.message.body.size': size }),
      ...conversation(options.headers?.['correlation-id']),
    };
    const described = { operation, kind: SpanKind.PRODUCER, destination, attributes };
    return this.#spans.around(described, context.active(), (inside) =>
      write({ ...options, headers: { ...carried(inside), ...options.headers } }),
    );
  }

  /** The active context as headers, for what no traced verb sends: `message.reply(body, { headers: telemetry.headers() })`. */
  headers(): Record<string, string> {
    return carried(context.active());
  }

  /** Runs `work` in a CONSUMER span that belongs to whoever sent the message. */
  process<Result>(message: ReadMessage, work: () => Result): Result {
    // Not the active context: whatever was going on when somebody subscribed has nothing to do with this message.
    const came = extracted(message.headers);
    const sender = trace.getSpanContext(came);
    const links: Link[] = this.#linked && sender !== undefined ? [{ context: sender }] : [];
    const attributes = {
      'messaging.message.id': message.id,
      ...(message.isStreamed ? {} : { 'messaging.message.body.size': message.frame.body.length }),
      ...conversation(message.headers.get('correlation-id')),
    };
    const { destination } = message;
    const described = { operation: 'process', kind: SpanKind.CONSUMER, destination, attributes, links };
    return this.#spans.around(described, this.#linked ? ROOT_CONTEXT : came, work);
  }
}

function conversation(id: unknown): Attributes {
  return typeof id === 'string' ? { 'messaging.message.conversation_id': id } : {};
}

/** In bytes, where it is known without making them. */
function sizeOf(body: unknown): number | undefined {
  if (body === undefined) return 0;
  if (typeof body === 'string') return new TextEncoder().encode(body).length;
  return body instanceof Uint8Array ? body.length : undefined;
}
