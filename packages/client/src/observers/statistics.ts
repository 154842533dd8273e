// What has happened, counted.

import type { Command, Frame } from '@stompbox/protocol';
import type { EventName, Events, Observer } from './observer.ts';

/** Counts since it was made or last reset. */
export interface Counts {
  /** Connections that reached CONNECTED. */
  readonly connections: number;
  /** Connections that ended, and attempts that came as far as a channel. */
  readonly disconnects: number;
  /** Attempts that found no channel. */
  readonly failedDials: number;
  /** ERROR frames. */
  readonly errors: number;
  /** MESSAGE frames. */
  readonly messages: number;
  /** SEND frames. */
  readonly messagesSent: number;
  readonly acks: number;
  readonly nacks: number;
  readonly receipts: number;
  readonly unexpectedReceipts: number;
  readonly framesSent: number;
  readonly framesReceived: number;
  /** Bytes of bodies, not of whole frames; streamed bodies are not among them. */
  readonly bodyBytesSent: number;
  readonly bodyBytesReceived: number;
  readonly heartBeatsSent: number;
  readonly heartBeatsReceived: number;
  readonly heartBeatsLost: number;
  /** Times that reading was paused, since readers were slow. */
  readonly pauses: number;
}

type Counting = { -readonly [Name in keyof Counts]: number };

const SENT: { readonly [C in Command]?: keyof Counts } = { SEND: 'messagesSent', ACK: 'acks', NACK: 'nacks' };

/** Counts what it sees; hang it on as many connections as you like, and they are counted together. */
export interface Statistics extends Pick<Observer, EventName> {
  /** The counts of now; later ones do not change it. */
  snapshot(): Counts;
  reset(): void;
  /** A line for each count that is not zero. */
  toString(): string;
}

export function statistics(): Statistics {
  const counts = none();
  const one = <Event extends EventName>(name: keyof Counts): ((...told: Events[Event]) => void) => {
    return () => void counts[name]++;
  };
  return {
    dialFailed: one('failedDials'),
    connected: one('connections'),
    closed: one('disconnects'),
    error: one('errors'),
    receipt: one('receipts'),
    unexpectedReceipt: one('unexpectedReceipts'),
    heartBeatLost: one('heartBeatsLost'),
    paused: one('pauses'),
    heartBeat: (direction) => void counts[direction === 'sent' ? 'heartBeatsSent' : 'heartBeatsReceived']++,
    frameSent: ({ command, body }: Frame) => {
      counts.framesSent++;
      counts.bodyBytesSent += body.length;
      const name = SENT[command];
      if (name !== undefined) counts[name]++;
    },
    frameReceived: ({ command, body }: Frame) => {
      counts.framesReceived++;
      counts.bodyBytesReceived += body.length;
      if (command === 'MESSAGE') counts.messages++;
    },
    snapshot: () => ({ ...counts }),
    reset: () => void Object.assign(counts, none()),
    toString: () => {
      const said = Object.entries(counts).filter(([, count]) => count > 0);
      return said.map(([name, count]) => `${inWords(name)}: ${count}`).join('\n');
    },
  };
}

function none(): Counting {
  return {
    connections: 0,
    disconnects: 0,
    failedDials: 0,
    errors: 0,
    messages: 0,
    messagesSent: 0,
    acks: 0,
    nacks: 0,
    receipts: 0,
    unexpectedReceipts: 0,
    framesSent: 0,
    framesReceived: 0,
    bodyBytesSent: 0,
    bodyBytesReceived: 0,
    heartBeatsSent: 0,
    heartBeatsReceived: 0,
    heartBeatsLost: 0,
    pauses: 0,
  };
}

function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
