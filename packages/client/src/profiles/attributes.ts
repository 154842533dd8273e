// What a MESSAGE says about itself, under any broker's names.

/** What can be read of it; the rest is undefined. */
export interface MessageAttributes {
  /** Absent means false. */
  readonly redelivered: boolean;
  /** Which delivery of it this is, 2 when it came back once. Not all brokers count, and none counts the first. */
  readonly deliveryCount: number | undefined;
  readonly persistent: boolean | undefined;
  readonly priority: number | undefined;
  /** When it was sent, in milliseconds since 1970. */
  readonly timestamp: number | undefined;
  /** When it stops being worth delivering, in milliseconds since 1970. */
  readonly expires: number | undefined;
  readonly correlationId: string | undefined;
  readonly replyTo: string | undefined;
  readonly type: string | undefined;
  readonly group: string | undefined;
  /** Where it was sent, if it has been moved since. */
  readonly originalDestination: string | undefined;
}

const SECONDS_END = 1e11; // as seconds in the year 5138, as milliseconds in 1973

/** Never throws: what cannot be read is as if it were not there (P-07). */
export function messageAttributes(headers: { get(name: string): string | undefined }): MessageAttributes {
  const number = (name: string): number | undefined => {
    const text = headers.get(name)?.trim();
    return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : undefined;
  };
  const flag = (name: string): boolean | undefined => {
    const text = headers.get(name)?.trim().toLowerCase();
    return text === 'true' ? true : text === 'false' ? false : undefined;
  };
  const returns = number('x-delivery-count'); // RabbitMQ's quorum queues count what came before
  const timestamp = number('timestamp') ?? 0;
  return {
    redelivered: flag('redelivered') ?? false,
    deliveryCount: number('delivery-count') ?? (returns === undefined ? undefined : returns + 1),
    persistent: flag('persistent'),
    priority: number('priority'),
    timestamp: (timestamp < SECONDS_END ? timestamp * 1000 : timestamp) || undefined, // RabbitMQ: seconds, as AMQP has it
    expires: number('expires') || undefined, // 0 is never
    correlationId: headers.get('correlation-id'),
    replyTo: headers.get('reply-to'),
    type: headers.get('type'),
    group: headers.get('JMSXGroupID'),
    originalDestination: headers.get('original-destination'),
  };
}
