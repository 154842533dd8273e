// Every key of the configuration file, once: what it takes, its default, and the sentence that documents it. From this
// table follow the types, the checks (`config.ts`), docs/configuration.md (scripts/configuration.mjs) and what the
// command line offers as flags. Limits have a table of their own, in `limits.ts`.

import { type BrokerLimits, LIMITS } from './limits.ts';
import type { Rule } from './rules.ts';

/** How much there is of it. Integers with a unit may be written with one: `10s`, `64KiB`. */
export type Unit = 'ms' | 'bytes';

export const SETTINGS = {
  listen: {
    type: 'urls',
    default: ['tcp://127.0.0.1:61613'],
    say: 'Where to listen: `tcp://`, `stomp+ssl://`, `stomp+unix://`, `ws://`, `wss://`. Addresses beyond loopback need `users`, `certificates` or `open`.',
  },
  open: {
    type: 'boolean',
    default: false,
    say: 'Listen beyond loopback although anybody may come in.',
  },
  server: {
    type: 'text',
    default: undefined,
    say: 'What CONNECTED says in `server`; the name and version of the broker unless given, nothing if empty.',
  },
  requireHost: {
    type: 'boolean',
    default: false,
    say: 'Refuse a CONNECT of STOMP 1.1 or later without `host`, as the specification has it.',
  },
  tls: {
    say: 'For `stomp+ssl://` and `wss://`. PEM files; they are read again on reload.',
    keys: {
      cert: { type: 'file', default: undefined, say: 'The certificate of this broker, and the chain behind it.' },
      key: { type: 'file', default: undefined, say: 'Its private key.' },
      ca: { type: 'file', default: undefined, say: 'Who signs the certificates of clients.' },
      requestClientCertificate: {
        type: 'choice',
        choices: [false, true, 'optional'],
        default: false,
        say: 'Whether clients must show a certificate signed by `ca`; with `optional` they may.',
      },
    },
  },
  webSocket: {
    say: 'For `ws://` and `wss://`.',
    keys: {
      path: { type: 'text', default: '/stomp', say: 'The path to answer on; one in the URL wins.' },
      origins: {
        type: 'origins',
        default: 'same',
        say: "Whose pages may connect: `same` as the broker's own, `any`, or a list such as `[https://app.example]`.",
      },
      compress: {
        type: 'boolean',
        default: false,
        say: 'Accept permessage-deflate; it costs memory for every connection.',
      },
    },
  },
  users: {
    type: 'file',
    default: undefined,
    say: 'The file of users: a line `login:hash` or `login:hash:group,group` for each.',
  },
  certificates: {
    type: 'logins',
    default: undefined,
    say: 'The login that a client certificate stands for, by its common name. Needs `tls.requestClientCertificate`.',
  },
  rules: {
    type: 'rules',
    default: undefined,
    say: 'Who may do what where. Everything is allowed without any; with rules, what none of them grants is denied.',
  },
  data: {
    type: 'directory',
    default: 'stompbox-data',
    say: 'The directory where messages live; `false` keeps them in memory only.',
  },
  whenFull: {
    type: 'choice',
    choices: ['refuse', 'wait', 'drop-oldest'],
    default: 'refuse',
    say: 'What becomes of a message for which its queue has no room: its producer gets an ERROR, or waits until there is room, or the messages next in line are given up (`limits.maxQueueMessages`, `limits.maxQueueBytes`).',
  },
  deadLetters: {
    say: 'Messages that were rejected, expired, or delivered too often.',
    keys: {
      prefix: {
        type: 'text',
        default: 'dlq.',
        say: "Stands before a queue's name in the name of its dead letter queue.",
      },
    },
  },
  log: {
    say: 'What the broker tells about itself.',
    keys: {
      level: {
        type: 'choice',
        choices: ['debug', 'info', 'warn', 'error'],
        default: 'info',
        say: 'The least important that is still told.',
      },
    },
  },
} as const;

interface Types {
  boolean: boolean;
  integer: number;
  text: string;
  /** A path, absolute after reading. */
  file: string;
  directory: string | false;
  urls: readonly string[];
  origins: 'same' | 'any' | readonly string[];
  logins: Readonly<Record<string, string>>;
  rules: readonly Rule[];
}

type ValueOf<O> = O extends { readonly type: 'choice'; readonly choices: readonly (infer C)[] }
  ? C
  : O extends { readonly type: infer T extends keyof Types }
    ? Types[T] | (O extends { readonly default: undefined } ? undefined : never)
    : never;

type ValuesOf<T> = {
  readonly [K in keyof T]: T[K] extends { readonly keys: infer Keys } ? ValuesOf<Keys> : ValueOf<T[K]>;
};

/** A configuration file as read: complete, checked, paths absolute. */
export interface Configuration extends ValuesOf<typeof SETTINGS> {
  readonly limits: BrokerLimits;
}

/** A key, for documentation and for the command line. */
export interface Setting {
  /** With its section: `tls.cert`. */
  readonly name: string;
  readonly type: keyof Types | 'choice';
  readonly default: unknown;
  readonly say: string;
  readonly unit?: Unit;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly (string | boolean)[];
}

/** Keys that belong together. */
export interface Section {
  /** Empty for the keys outside of sections. */
  readonly name: string;
  readonly say: string;
  readonly settings: readonly Setting[];
}

/** The table, sections one behind the other, the limits last. */
export const SECTIONS: readonly Section[] = sections();

function sections(): Section[] {
  const alone: Setting[] = [];
  const together: Section[] = [];
  for (const [name, entry] of Object.entries(SETTINGS)) {
    if (!('keys' in entry)) alone.push({ name, ...entry });
    else {
      const keys = Object.entries<Omit<Setting, 'name'>>(entry.keys);
      together.push({ name, say: entry.say, settings: keys.map(([key, one]) => ({ name: `${name}.${key}`, ...one })) });
    }
  }
  const limits = Object.entries(LIMITS).map(([key, limit]): Setting => {
    const unit = key.endsWith('Ms') ? 'ms' : key.endsWith('Bytes') ? 'bytes' : undefined;
    return { name: `limits.${key}`, type: 'integer', ...(unit && { unit }), ...limit };
  });
  return [
    { name: '', say: '', settings: alone },
    ...together,
    { name: 'limits', say: 'What exceeds one gets an ERROR that names it.', settings: limits },
  ];
}
