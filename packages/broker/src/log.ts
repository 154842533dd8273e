// What the broker tells about itself: events, not sentences. `EVENTS` says which there are, how important each is, and
// which fields it has. There is no field for a header, a body or a passcode, what is not in the table is dropped, and
// texts are cut, freed of control characters and of the user part of URLs: so no secret has a way into a log.
//
// Nothing is printed here. A logger is one method, passed in; one that throws is its owner's problem and is told once.

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const EVENTS = {
  'broker-started': { level: 'info', fields: ['urls', 'server'], say: 'Every listener is bound.' },
  'broker-stopping': { level: 'info', fields: ['connections'], say: 'No new connections; those there are told to go.' },
  'broker-stopped': {
    level: 'info',
    fields: ['ms', 'cut', 'unsettled', 'unflushed'],
    say: 'How long it took, how many connections were cut, how many deliveries nobody settled, how many messages were not flushed.',
  },
  'configuration-reloaded': { level: 'info', fields: ['what'], say: 'Users, rules or certificates were read again.' },
  'configuration-warning': { level: 'warn', fields: ['warning'], say: 'It works and should not be so.' },
  'reload-failed': { level: 'error', fields: ['what', 'error'], say: 'What was there before stays in force.' },
  'store-opened': {
    level: 'info',
    fields: ['path', 'messages', 'bytes', 'ms'],
    say: 'The messages of before are back.',
  },
  'store-failed': { level: 'error', fields: ['error'], say: 'Something could not be kept; its producer was told.' },
  'store-damaged': { level: 'error', fields: ['error'], say: 'A message that cannot be read is set aside.' },
  'store-recovered': { level: 'info', fields: ['ms'], say: 'The store keeps messages again.' },
  'connection-opened': { level: 'debug', fields: ['connection', 'transport', 'remote'], say: 'Before CONNECT.' },
  'connection-refused': {
    level: 'warn',
    fields: ['remote', 'limit', 'suppressed'],
    say: 'A limit on connections closed it at once. At most once a second; `suppressed` is how many were not told of.',
  },
  'connection-failed': {
    level: 'debug',
    fields: ['error'],
    say: 'It never became one: a failed TLS handshake, a refused upgrade.',
  },
  'connection-closed': {
    level: 'debug',
    fields: ['connection', 'remote', 'identity', 'ms', 'received', 'delivered', 'error'],
    say: 'Whoever ended it.',
  },
  'login-accepted': {
    level: 'info',
    fields: ['connection', 'remote', 'identity', 'version'],
    say: 'CONNECTED was sent.',
  },
  // What was shown as login is not here: people type passcodes into the wrong field.
  'login-refused': {
    level: 'warn',
    fields: ['connection', 'remote', 'delayMs'],
    say: 'And how long the next try waits.',
  },
  'login-failed': { level: 'error', fields: ['connection', 'remote', 'error'], say: 'The authenticator threw.' },
  'access-refused': {
    level: 'warn',
    fields: ['connection', 'identity', 'verb', 'destination'],
    say: 'A rule was missing, or took it back.',
  },
  'client-error': {
    level: 'info',
    fields: ['connection', 'remote', 'identity', 'code', 'error'],
    say: 'A client got an ERROR. What it says is told unless it may quote the client.',
  },
  'limit-reached': {
    level: 'warn',
    fields: ['limit', 'connection', 'identity', 'error'],
    say: 'And refused something.',
  },
  'slow-consumer': {
    level: 'warn',
    fields: ['connection', 'identity', 'error'],
    say: 'A subscriber was given up.',
  },
  'dead-letter': {
    level: 'info',
    fields: ['destination', 'message', 'reason', 'deliveries'],
    say: 'A message will not be delivered again.',
  },
  'dead-letters-dropped': {
    level: 'warn',
    fields: ['queue', 'messages'],
    say: 'A queue of dead letters was full: the oldest were given up.',
  },
  'subscription-deleted': { level: 'info', fields: ['destination', 'subscription'], say: 'A durable one.' },
  fault: { level: 'error', fields: ['error'], say: 'Something failed inside the broker.' },
} as const;

export type LogEvent = keyof typeof EVENTS;
type Field<E extends LogEvent> = (typeof EVENTS)[E]['fields'][number];

/** What may be said in a field. An error becomes its message and those of its causes, without stacks. */
export type LogValue = string | number | boolean | bigint | readonly string[] | Error | undefined;
export type FieldsOf<E extends LogEvent> = { readonly [F in Field<E>]?: F extends 'error' ? unknown : LogValue };

/** What a logger gets: plain values, fit to be printed. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Passed in by whoever owns the output. Called synchronously: keep it short. */
export interface Logger {
  log(level: LogLevel, event: LogEvent, fields: LogFields): void;
}

/** Tells an event. */
export type Log = <E extends LogEvent>(event: E, fields?: FieldsOf<E>) => void;

export interface LogOptions {
  /** The least important that is told; `info` unless given. */
  readonly level?: LogLevel;
  /** Hears of the first time the logger throws. */
  readonly onFault?: (error: unknown) => void;
}

/** The broker's way to its logger. */
export function logTo(logger: Logger, { level = 'info', onFault }: LogOptions = {}): Log {
  const least = LOG_LEVELS.indexOf(level);
  let told = false;
  return (event, fields) => {
    const { level: own } = EVENTS[event];
    if (LOG_LEVELS.indexOf(own) < least) return;
    try {
      logger.log(own, event, clean(event, fields));
    } catch (error) {
      if (!told) onFault?.(error);
      told = true;
    }
  };
}

/** Tells nobody. */
export const SILENT: Log = () => {};

/** A logger that writes a JSON object a line: `{"time":"…","level":"info","event":"broker-started",…}`. */
export function jsonLines(write: (line: string) => void, now: () => number = Date.now): Logger {
  return {
    log(level, event, fields) {
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, event, ...fields })}\n`);
    },
  };
}

const MAX_TEXT = 512;
const MAX_ITEMS = 32;
const MAX_CAUSES = 5;

function clean(event: LogEvent, fields: Readonly<Record<string, unknown>> = {}): LogFields {
  const cleaned: Record<string, string | number | boolean | readonly string[]> = {};
  for (const name of EVENTS[event].fields) {
    if (!Object.hasOwn(fields, name)) continue;
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) cleaned[name] = value;
    else if (Array.isArray(value)) cleaned[name] = value.slice(0, MAX_ITEMS).map((item) => cleanText(plain(item)));
    else cleaned[name] = cleanText(name === 'error' || value instanceof Error ? reasons(value) : plain(value));
  }
  return cleaned;
}

// Control characters would forge lines, and turn texts around on a terminal.
function cleanText(text: string): string {
  const open = text.replace(/\/\/[^/\s?#]*@/g, '//***@'); // first: a cut could hide the @
  const short = open.length > MAX_TEXT ? `${open.slice(0, MAX_TEXT)}…` : open;
  return short.replace(
    /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// What is no text is not looked into: objects hold anything.
function plain(value: unknown): string {
  return typeof value === 'object' || typeof value === 'function' ? `[${typeof value}]` : String(value);
}

/** The message of an error and those of its causes. */
export function reasons(error: unknown): string {
  const all: string[] = [];
  for (let cause = error; cause !== undefined && all.length < MAX_CAUSES; ) {
    all.push(cause instanceof Error ? `${cause.name}: ${cause.message}` : plain(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return all.join(' <- ');
}
