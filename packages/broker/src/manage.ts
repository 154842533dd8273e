// The operators' door for a user: the verbs of `Inspection`, each as far as the user's `manage` rules allow. What may not be
// managed is not listed. Temporary queues are private to their connections and are never shown here.

import { quote } from '@stompbox/protocol';
import type { Identity } from './access.ts';
import type { Inspection } from './engine/engine.ts';
import { isTemporary } from './temporary.ts';

/** `Inspection` without the figures that tell of everybody's messages. */
export type Management = Omit<Inspection, 'bytes' | 'scheduled'>;

/** That user may not do that there; for operators. Clients on the wire get an ERROR that gives no reason (M-85). */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly user: string;
  readonly verb: 'manage';
  readonly destination: string;
  /** The rule that takes it back, or that none grants it. */
  readonly rule: string;
  constructor(user: string, verb: 'manage', destination: string, rule: string) {
    super(`${quote(user)} may not ${verb} ${quote(destination, 80)}: ${rule}`);
    this.user = user;
    this.verb = verb;
    this.destination = destination;
    this.rule = rule;
  }
}

/** What the door needs of its broker. */
export interface ManageOwner {
  readonly inspect: Inspection;
  mayManage(identity: Identity, destination: string): boolean;
  /** Why not; it is being refused. */
  refusesToManage(identity: Identity, destination: string): string;
}

export function managementOf(owner: ManageOwner, identity: Identity): Management {
  const { inspect } = owner;
  const refuse = (destination: string, why: string) => new AccessError(identity.name, 'manage', destination, why);
  const check = (destination: string): void => {
    if (!owner.mayManage(identity, destination))
      throw refuse(destination, owner.refusesToManage(identity, destination));
  };
  const checkQueue = (name: string): void => {
    if (isTemporary(name)) throw refuse(name, 'a temporary queue is private to its connection');
    check(`/queue/${name}`);
  };
  const mayManage = (destination: string): boolean => owner.mayManage(identity, destination);
  return {
    queues: () => inspect.queues().filter(({ name }) => !isTemporary(name) && mayManage(`/queue/${name}`)),
    durables: () => inspect.durables().filter(({ pattern }) => mayManage(pattern)),
    browse(queue, options) {
      checkQueue(queue);
      return inspect.browse(queue, options);
    },
    async purge(queue) {
      checkQueue(queue);
      return inspect.purge(queue);
    },
    async move(queue, to, options) {
      checkQueue(queue);
      if (to !== undefined) checkQueue(to);
      return inspect.move(queue, to, options);
    },
    async forgetDurable(name) {
      const durable = inspect.durables().find((one) => one.name === name);
      if (durable === undefined) return false;
      check(durable.pattern);
      return inspect.forgetDurable(name);
    },
  };
}
