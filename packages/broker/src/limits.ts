// Every bound of the broker, once: its default, what is a sensible value, and the
// sentence that documents it. What exceeds one gets an ERROR that names it.

import type { ProtocolErrorCode } from '@stompbox/protocol';

/** The unit is in the name; where there is none, it is a count. */
export const LIMITS = {
  maxConnections: { default: 10_000, min: 1, say: 'Connections at a time; the next ones get an ERROR and are closed.' },
  maxConnectionsPerAddress: { default: 10_000, min: 1, say: 'Connections from one IP address at a time.' },
  connectTimeoutMs: { default: 10_000, min: 1, say: 'A connection must have sent CONNECT by then.' },
  frameTimeoutMs: { default: 60_000, min: 1, say: 'A head must be finished by then; a body may pause this long.' },
  maxHeaderLineBytes: { default: 16_384, min: 64, say: 'One header line.' },
  maxHeaders: { default: 128, min: 8, say: 'Header lines of a frame, repeats counted.' },
  maxHeadBytes: { default: 65_536, min: 256, say: 'Command and header lines of a frame.' },
  maxBodyBytes: { default: 4_194_304, min: 1, say: 'The body of a frame.' },
  maxDestinationBytes: { default: 1_024, min: 16, say: 'The name of a destination.' },
  maxSubscriptions: { default: 1_000, min: 1, say: 'Subscriptions of one connection.' },
  maxTransactions: { default: 16, min: 1, say: 'Open transactions of one connection.' },
  maxTransactionFrames: { default: 10_000, min: 1, say: 'SEND, ACK and NACK frames in one transaction.' },
  maxTransactionBytes: { default: 16_777_216, min: 1, say: 'Bytes that the SENDs of one transaction hold.' },
  maxTempQueues: { default: 100, min: 0, say: 'Temporary queues of one connection.' },
  defaultPrefetch: {
    default: 1_000,
    min: 1,
    say: 'Unsettled deliveries a subscription may have unless it says `prefetch-count`.',
  },
  maxPrefetch: { default: 65_535, min: 1, say: 'The largest `prefetch-count`; larger ones are lowered to it.' },
  maxUnsettled: {
    default: 100_000,
    min: 1,
    say: 'Unsettled deliveries of one connection, all its subscriptions together; at it nothing more is delivered to it.',
  },
  unsettledTimeoutMs: {
    default: 1_800_000,
    min: 0,
    say: 'A delivery must be settled by then (looked at four times in that time); otherwise its connection ends, and it goes back. 0: never.',
  },
  maxOutputBytes: {
    default: 1_048_576,
    min: 1024,
    say: 'Bytes that wait for a client to read; above it nothing more is delivered to it.',
  },
  outputTimeoutMs: {
    default: 300_000,
    min: 0,
    say: 'A client for which bytes wait must read some of them by then (looked at four times in that time). 0: never.',
  },
  maxQueues: { default: 100_000, min: 1, say: 'Queues that hold a message or have a consumer.' },
  maxQueueMessages: { default: 1_000_000, min: 1, say: 'Messages in one queue, unsettled ones included.' },
  maxQueueBytes: { default: 268_435_456, min: 1024, say: 'Bytes in one queue, unsettled ones included.' },
  maxMemoryBytes: {
    default: 1_073_741_824,
    min: 1024,
    say: 'Bytes of messages in memory: queues and topic backlogs, and of queues on disk their windows and what is unsettled.',
  },
  producersWaitAboveBytes: {
    default: 8_388_608,
    min: 1024,
    say: 'A queue or topic backlog larger than this slows its producers down.',
  },
  slowConsumerGraceMs: {
    default: 5_000,
    min: 1,
    say: 'How long a topic waits for a subscriber that does not keep up, before it is given up.',
  },
  maxDeliveries: {
    default: 5,
    min: 1,
    say: 'Deliveries of a message that is nacked each time, before it is a dead letter.',
  },
  redeliveryDelayMs: {
    default: 0,
    min: 0,
    say: 'How long a nacked message waits for its next try; twice as long each time.',
  },
  maxRedeliveryDelayMs: { default: 60_000, min: 0, say: 'The longest of these waits.' },
  duplicateWindowMs: {
    default: 600_000,
    min: 0,
    say: 'How long the id that a producer gave its message is remembered: a second one is confirmed and dropped.',
  },
  maxDuplicateIds: { default: 100_000, min: 0, say: 'Such ids that are remembered; the oldest go first.' },
  maxDelayMs: { default: 31_536_000_000, min: 1, say: 'The longest delay of a message.' },
  maxSelectorBytes: { default: 4_096, min: 16, say: 'The text of a selector.' },
  windowBytes: {
    default: 1_048_576,
    min: 1024,
    say: 'Bytes of one durable queue that are held in memory; the rest is read from disk when its turn comes.',
  },
  maxStoreBytes: { default: 68_719_476_736, min: 1024, say: 'Bytes of all messages on disk.' },
  minHeartBeatMs: {
    default: 1_000,
    min: 10,
    say: 'The shortest heart-beat a client can get; shorter wishes are raised to it.',
  },
  lingerMs: { default: 1_000, min: 0, say: 'How long the other side may take to read our last words.' },
} as const;

export type LimitName = keyof typeof LIMITS;
export type BrokerLimits = { readonly [name in LimitName]: number };

/** The limits that the session keeps for us, by what it says when they are exceeded. */
export const LIMIT_BEHIND: { readonly [code in ProtocolErrorCode]?: LimitName } = {
  'header-line-too-long': 'maxHeaderLineBytes',
  'too-many-headers': 'maxHeaders',
  'headers-too-large': 'maxHeadBytes',
  'body-too-large': 'maxBodyBytes',
  'too-many-subscriptions': 'maxSubscriptions',
  'too-many-transactions': 'maxTransactions',
  'connect-timeout': 'connectTimeoutMs',
  'frame-timeout': 'frameTimeoutMs',
};

/** The limit that the sentence of an ERROR names at its end. */
export function limitNamedIn(message: string): LimitName | undefined {
  const [, name] = /\((\w+)\)$/.exec(message) ?? [];
  return name !== undefined && Object.hasOwn(LIMITS, name) ? (name as LimitName) : undefined;
}

/** The defaults, and what is given over them. Throws a RangeError that names the limit and what it takes. */
export function resolveLimits(given: Partial<BrokerLimits> = {}): BrokerLimits {
  const names = Object.keys(LIMITS) as LimitName[];
  for (const name of Object.keys(given)) {
    if (!(names as string[]).includes(name))
      throw new RangeError(`there is no limit ${name}; there are ${names.join(', ')}`);
  }
  const entries = names.map((name) => {
    const value = given[name] ?? LIMITS[name].default;
    if (!Number.isSafeInteger(value) || value < LIMITS[name].min) {
      throw new RangeError(`${name} is ${value}; it takes an integer from ${LIMITS[name].min} on`);
    }
    return [name, value] as const;
  });
  return Object.freeze(Object.fromEntries(entries) as Record<LimitName, number>);
}
