// What a check can find. It returns where the broker did right, and throws one of these where it did not or could not be
// asked; anything else that it throws is a fault of ours or of the network, and told as such.

import type { Heard } from './line.ts';

/** How a broker departs from a rule; what is documented of a broker names which of these it does. */
export type Way =
  | 'mute-close' // it closed where an ERROR was due first
  | 'error-open' // it said ERROR and stayed open
  | 'several-errors' // more than one ERROR for one mistake
  | 'accepted' // it took what should have been refused
  | 'no-answer' // nothing came where something was due
  | 'refused' // it said ERROR, or closed, where it should have gone on
  | 'otherwise'; // it answered, with something else

export class Departure extends Error {
  override readonly name = 'Departure';
  readonly way: Way;
  constructor(way: Way, message: string) {
    super(message);
    this.way = way;
  }
}

/** The check does not apply to this broker, and the message says why. */
export class NotAsked extends Error {
  override readonly name = 'NotAsked';
}

/** For sentences: what was heard instead. */
export function describe(heard: Heard): string {
  switch (heard.is) {
    case 'silence':
      return 'nothing came in time';
    case 'closed':
      return 'the connection was closed';
    case 'unreadable':
      return `what came is no STOMP: ${heard.error.message}`;
    case 'frame':
      return heard.frame.is('ERROR') ? 'ERROR' : `a ${heard.frame.command} frame`;
  }
}

/** `heard` where something else was due. */
export function instead(due: string, heard: Heard): Departure {
  if (heard.is === 'silence') return new Departure('no-answer', `${due} did not come`);
  const refused = heard.is === 'closed' || (heard.is === 'frame' && heard.frame.is('ERROR'));
  return new Departure(refused ? 'refused' : 'otherwise', `instead of ${due}: ${describe(heard)}`);
}
