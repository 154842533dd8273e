// What Tab offers: commands, and behind them what belongs there.

import { ACK_MODES } from '@stompbox/protocol';
import { printable } from '../escape.ts';
import { COMMANDS, type Kind } from './commands.ts';

/** What is known at the moment. */
export interface Known {
  readonly places: readonly string[];
  readonly subscribed: readonly string[];
  readonly held: { readonly ids: readonly string[] };
}

function offered(kind: Kind | undefined, known: Known): readonly string[] {
  switch (kind) {
    case 'destination':
      return known.places;
    case 'subscribed':
      return known.subscribed;
    case 'message-id':
      return known.held.ids;
    case 'ack-mode':
      return ACK_MODES;
    case 'switch':
      return ['on', 'off'];
    case 'command':
      return COMMANDS.flatMap(({ names }) => names);
    default:
      return [];
  }
}

/** As readline wants it: what fits, and what of the line it stands for. Only words that a terminal shows as they are (M-160). */
export function complete(line: string, known: Known): [string[], string] {
  const words = line.trimStart().split(/\s+/);
  const last = words.at(-1) ?? '';
  const command = COMMANDS.find(({ names }) => names.some((name) => name === words[0]));
  const kind = words.length === 1 ? 'command' : command?.kinds[words.length - 2];
  const fitting = offered(kind, known).filter(
    (word) => word.startsWith(last) && !/\s/.test(word) && printable(word) === word,
  );
  const [only, ...others] = [...new Set(fitting)].sort();
  if (only === undefined) return [[], last];
  return others.length === 0 ? [[`${only} `], last] : [[only, ...others], last];
}
