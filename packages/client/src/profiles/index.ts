// Which profile: by the `server` that CONNECTED names (P-01).

import { activemq } from './activemq.ts';
import { artemis } from './artemis.ts';
import { generic } from './generic.ts';
import type { Profile, ProfileName } from './profile.ts';
import { rabbitmq } from './rabbitmq.ts';
import { spring } from './spring.ts';
import { stompbox } from './stompbox.ts';

export { type MessageAttributes, messageAttributes } from './attributes.ts';
export { queue, topic } from './destination.ts';
export {
  type HeaderRecord,
  nameOf,
  type PortableDestination,
  type PortableOption,
  type PortableSend,
  type PortableSubscribe,
  type Profile,
  type ProfileName,
  type ReplyAddress,
  type Resolved,
  type SubscribeContext,
  type To,
  UnsupportedByBroker,
} from './profile.ts';

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  rabbitmq,
  activemq,
  artemis,
  spring,
  stompbox,
  generic,
};

const SERVERS: Readonly<Record<string, Profile>> = {
  rabbitmq,
  activemq,
  'activemq-artemis': artemis,
  stompbox,
};

/** `RabbitMQ/3.10.8` is RabbitMQ. Spring's simple broker does not name itself: it is `generic` unless chosen. */
export function detectProfile(server: string | undefined): Profile {
  const [, product = ''] = /^\s*([^/\s]+)/.exec(server ?? '') ?? [];
  return Object.hasOwn(SERVERS, product.toLowerCase()) ? (SERVERS[product.toLowerCase()] ?? generic) : generic;
}
