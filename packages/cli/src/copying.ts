// A MESSAGE -> the SEND that makes it again, here or elsewhere: octets as they are, the producer's headers, and what the
// broker was asked for, in the words of the broker it goes to.

import type { ClientSendOptions, Message, PortableSend, Profile } from '@stompbox/client';
import { messageAttributes } from '@stompbox/client';

/** What is needed of a message; a stored one has it as well. */
export interface Original {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly bytes: Uint8Array;
}

/** What the broker or the protocol wrote. */
const OF_DELIVERY =
  /^(destination|message-id|subscription|ack|content-length|content-type|receipt|transaction|redelivered|timestamp|(x-)?delivery-count|JMSXDeliveryCount|AMQ_SCHEDULED_.*|browser)$/i;

/** Names a message that the broker has had already: a copy of it would be dropped. */
const OF_DUPLICATES = /^(duplicate-id|_AMQ_DUPL_ID)$/;

/** What tells that it was a dead letter, and where it came from. */
const OF_DEATH =
  /^(original-destination|dead-letter-.*|dlqDeliveryFailureCause|x-death|x-(first|last)-death-.*|_AMQ_ORIG_.*)$/i;

/** Headers that a portable option stands for, by every name they have. */
const PORTABLE: Readonly<Record<string, keyof PortableSend>> = {
  persistent: 'persistent',
  priority: 'priority',
  expires: 'expiresInMs',
  expiration: 'expiresInMs',
  'correlation-id': 'correlationId',
  'reply-to': 'replyTo',
  type: 'type',
  JMSXGroupID: 'group',
};

export function originalOf(message: Message): Original {
  return { headers: [...message.headers], bytes: message.bytes };
}

export interface CopyOptions {
  readonly profile: Profile;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Forget that it was a dead letter; with it goes its expiry. */
  readonly revive?: boolean;
}

/**
 * The options of the SEND. An expiry that has passed is not written: it would be a dead letter at once. One that is known only as
 * a time from sending begins anew.
 */
export function copyOf({ headers }: Original, { profile, now, revive = false }: CopyOptions): ClientSendOptions {
  const first = new Map([...headers].reverse());
  const says = messageAttributes(first);
  const { persistent, priority, expires, correlationId, replyTo, type, group } = says;
  const expiresInMs = revive ? undefined : timeLeft(expires, first.get('expiration'), now);
  const wanted: PortableSend = { persistent, priority, expiresInMs, correlationId, replyTo, type, group };
  const known = Object.entries(wanted).filter(
    ([name, value]) => value !== undefined && profile.supports(name as keyof PortableSend),
  );
  const others: Record<string, string> = {};
  for (const [name, value] of first) {
    const option = PORTABLE[name];
    const isSaid = option !== undefined && (profile.supports(option) || option === 'expiresInMs');
    if (!isSaid && !OF_DELIVERY.test(name) && !OF_DUPLICATES.test(name) && !(revive && OF_DEATH.test(name)))
      others[name] = value;
  }
  const contentType = first.get('content-type');
  return {
    ...Object.fromEntries(known),
    ...(contentType !== undefined && { contentType }),
    as: first.has('content-length') ? 'bytes' : 'text', // how ActiveMQ and Artemis tell (C-56)
    headers: others,
  };
}

function timeLeft(expires: number | undefined, expiration: string | undefined, now: number): number | undefined {
  if (expires !== undefined) return expires > now ? expires - now : undefined;
  return /^[1-9]\d{0,12}$/.test(expiration ?? '') ? Number(expiration) : undefined;
}

/** Where a dead letter came from, in the words of the brokers that say so. */
export function originOf(message: Message): string | undefined {
  const { headers } = message;
  const queue = headers.get('x-first-death-queue'); // RabbitMQ; /amq/queue/ takes the queue as it is
  return headers.get('original-destination') ?? (queue === undefined ? undefined : `/amq/queue/${queue}`);
}
