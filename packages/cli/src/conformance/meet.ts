// The first meeting: is there a broker, does it let us in, who is it, which versions does it speak.

import { type Dial, detectProfile, type ProfileName } from '@stompbox/client';
import { type Frame, StompError, VERSIONS, type Version } from '@stompbox/protocol';
import { formatEndpoint, parseEndpoint } from '@stompbox/transport';
import type { DialOptions } from '@stompbox/transport/dial';
import { type Heard, Line, type LineOptions } from './line.ts';
import { describe } from './verdict.ts';

/** How a broker is reached and who we are to it. */
export interface Target {
  /** One endpoint; credentials in it count where none are given. */
  readonly url: string;
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
  /** The `host` header of CONNECT. Unless given, the host of the URL is tried, then `/`, RabbitMQ's usual one. */
  readonly host?: string | undefined;
  /** How to dial. */
  readonly dial?: DialOptions | undefined;
  /** Opens channels instead of the usual dialling: for tests. */
  readonly open?: Dial | undefined;
  /** How long one answer may take. Milliseconds, 2,000 unless given. */
  readonly patienceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Met {
  readonly url: string;
  /** The URL without credentials. */
  readonly shown: string;
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  readonly host: string;
  readonly line: LineOptions;
  readonly connected: Frame<'CONNECTED'>;
  readonly server: string | undefined;
  readonly broker: ProfileName;
  readonly versions: readonly Version[];
}

/** Nobody could be asked: the broker answered, but not with CONNECTED. */
export class NotLetIn extends StompError {
  override readonly name = 'NotLetIn';
  readonly code = 'not-let-in';
  /** It said ERROR; otherwise what is there may be no STOMP broker. */
  readonly isRefusal: boolean;
  constructor(message: string, isRefusal: boolean) {
    super(message);
    this.isRefusal = isRefusal;
  }
}

/**
 * Connects once for each version. Rejects with a TransportError where the broker cannot be reached, with NotLetIn where
 * it refuses us, and with the signal's reason.
 */
export async function meet(target: Target): Promise<Met> {
  const endpoint = parseEndpoint(target.url);
  const shown = formatEndpoint(endpoint);
  const login = target.login ?? endpoint.login;
  const passcode = target.passcode ?? endpoint.passcode;
  const { signal } = target;
  const line: LineOptions = {
    timeoutMs: 10_000,
    ...target.dial,
    ...(signal === undefined ? {} : { signal }),
    patienceMs: target.patienceMs ?? 2_000,
    open: target.open,
  };
  const who = `${login === undefined ? '' : `login:${login}\n`}${passcode === undefined ? '' : `passcode:${passcode}\n`}`;
  const named = 'host' in endpoint ? endpoint.host : 'localhost';
  const hosts = target.host === undefined ? [named, '/'] : [target.host];

  let refusals = '';
  let isRefusal = false;
  for (const host of hosts) {
    signal?.throwIfAborted();
    const answer = await hello(target.url, line, `accept-version:1.0,1.1,1.2\nhost:${host}\n${who}`);
    if (answer.is !== 'frame' || !answer.frame.is('CONNECTED')) {
      isRefusal ||= answer.is === 'frame' && answer.frame.is('ERROR');
      refusals += `${refusals === '' ? '' : '; '}host:${host}: ${refusalOf(answer)}`;
      continue;
    }
    const versions: Version[] = [];
    for (const version of VERSIONS) {
      const one = await hello(target.url, line, `accept-version:${version}\nhost:${host}\n${who}`);
      if (one.is === 'frame' && one.frame.is('CONNECTED') && (one.frame.get('version') ?? '1.0') === version) {
        versions.push(version);
      }
    }
    const connected = answer.frame;
    const server = connected.get('server');
    const broker = detectProfile(server).name;
    return { url: target.url, shown, login, passcode, host, line, connected, server, broker, versions };
  }
  throw new NotLetIn(
    isRefusal
      ? `${shown} does not let us in (${refusals}); check login, passcode and host`
      : `${shown} does not answer as a STOMP broker does (${refusals})`,
    isRefusal,
  );
}

async function hello(url: string, options: LineOptions, head: string): Promise<Heard> {
  const line = await Line.open(url, options);
  try {
    line.say(`CONNECT\n${head}\n\0`);
    return await line.next(Math.max(options.patienceMs, 5_000));
  } finally {
    line.drop();
  }
}

function refusalOf(answer: Heard): string {
  if (answer.is === 'frame' && answer.frame.is('ERROR'))
    return `ERROR ${JSON.stringify(answer.frame.get('message') ?? '')}`;
  return describe(answer);
}
