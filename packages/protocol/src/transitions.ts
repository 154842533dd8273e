// Who may say what, when. One table for both roles: `client` holds what a client may
// say in that state and the state it leads to, `server` the same for a server. A
// session checks what it sends against its own column and what it receives against
// the other one.
//
//   opening ─CONNECT─► connecting ─CONNECTED─► connected ─DISCONNECT─► disconnecting
//      └──────ERROR───────┴──────────ERROR────────┴──────────ERROR──────────┴─► closed

import type { ClientCommand, Command, ServerCommand } from './frame.ts';

export type Role = 'client' | 'server';
export type State = 'opening' | 'connecting' | 'connected' | 'disconnecting' | 'closed';

interface Moves {
  readonly client: Partial<Record<ClientCommand, State>>;
  readonly server: Partial<Record<ServerCommand, State>>;
}

export const TRANSITIONS: Readonly<Record<State, Moves>> = {
  opening: {
    client: { CONNECT: 'connecting', STOMP: 'connecting' }, // N-01, N-02
    server: { ERROR: 'closed' },
  },
  connecting: {
    client: {}, // N-19: nothing before CONNECTED
    server: { CONNECTED: 'connected', ERROR: 'closed' },
  },
  connected: {
    client: {
      SEND: 'connected',
      SUBSCRIBE: 'connected',
      UNSUBSCRIBE: 'connected',
      ACK: 'connected',
      NACK: 'connected',
      BEGIN: 'connected',
      COMMIT: 'connected',
      ABORT: 'connected',
      DISCONNECT: 'disconnecting',
    },
    server: { MESSAGE: 'connected', RECEIPT: 'connected', ERROR: 'closed' },
  },
  disconnecting: {
    client: {}, // E-02
    server: { MESSAGE: 'disconnecting', RECEIPT: 'disconnecting', ERROR: 'closed' }, // what was under way may still arrive
  },
  closed: { client: {}, server: {} },
};

/** The state that `command`, said by `speaker`, leads to; undefined where it may not be said. */
export function move(state: State, speaker: Role, command: Command): State | undefined {
  const moves: Partial<Record<Command, State>> = TRANSITIONS[state][speaker];
  return moves[command];
}
