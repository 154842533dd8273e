import { describe, expect, test } from 'vitest';
import { TransportError } from '../src/channel.ts';
import { type Endpoint, formatEndpoint, type Purpose, parseEndpoint, toEndpoint } from '../src/endpoint.ts';

const tcp = (host: string, port: number): Endpoint => ({ transport: 'tcp', host, port });
const tls = (host: string, port: number): Endpoint => ({ transport: 'tls', host, port });
const ws = (secure: boolean, host: string, port: number, path: string, query?: string): Endpoint => ({
  ...({ transport: 'websocket', secure, host, port, path } as const),
  ...(query === undefined ? {} : { query }),
});

//  URL, what it means, how it is printed
const GOOD: readonly (readonly [string, Endpoint, string])[] = [
  ['stomp://broker', tcp('broker', 61613), 'stomp://broker:61613'],
  ['tcp://127.0.0.1:61000', tcp('127.0.0.1', 61000), 'stomp://127.0.0.1:61000'],
  ['tcp://broker/', tcp('broker', 61613), 'stomp://broker:61613'],
  ['tcp://broker:', tcp('broker', 61613), 'stomp://broker:61613'],
  ['STOMP://Broker.Example:1', tcp('broker.example', 1), 'stomp://broker.example:1'],
  ['tcp://[::1]:65535', tcp('::1', 65535), 'stomp://[::1]:65535'],
  ['tcp://[2001:DB8:0::1]', tcp('2001:db8::1', 61613), 'stomp://[2001:db8::1]:61613'],
  ['tcp://bücher.example', tcp('xn--bcher-kva.example', 61613), 'stomp://xn--bcher-kva.example:61613'],
  ['stomp+ssl://broker', tls('broker', 61614), 'stomp+ssl://broker:61614'],
  ['stomps://broker:1', tls('broker', 1), 'stomp+ssl://broker:1'],
  ['ssl://broker', tls('broker', 61614), 'stomp+ssl://broker:61614'],
  ['ws://broker', ws(false, 'broker', 80, '/'), 'ws://broker/'],
  ['ws://broker:15674/ws', ws(false, 'broker', 15674, '/ws'), 'ws://broker:15674/ws'],
  ['wss://broker/stomp', ws(true, 'broker', 443, '/stomp'), 'wss://broker/stomp'],
  ['wss://broker:80/stomp', ws(true, 'broker', 80, '/stomp'), 'wss://broker:80/stomp'],
  ['ws://[::1]:8080/a%20b', ws(false, '::1', 8080, '/a%20b'), 'ws://[::1]:8080/a%20b'],
  ['ws://broker/s?token=hush', ws(false, 'broker', 80, '/s', 'token=hush'), 'ws://broker/s'],
  ['stomp+unix:///run/box.sock', { transport: 'unix', path: '/run/box.sock' }, 'stomp+unix:///run/box.sock'],
  ['stomp+unix:/run/a%20b', { transport: 'unix', path: '/run/a b' }, 'stomp+unix:///run/a%20b'],
];

describe('a URL is read', () => {
  test.each(GOOD)('%s', (url, endpoint, printed) => {
    expect(parseEndpoint(url)).toEqual(endpoint);
    expect(formatEndpoint(endpoint)).toBe(printed);
    expect(formatEndpoint(parseEndpoint(printed))).toBe(printed);
  });
});

//  URL, what the sentence must say
const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /begins with its scheme, one of stomp: tcp: stomp\+ssl: stomps: ssl: ws: wss: stomp\+unix:/],
  ['127.0.0.1:61613', /begins with its scheme/],
  ['localhost:61613', /scheme "localhost:" is none of stomp: tcp: .* stomp\+unix:/],
  ['http://broker', /scheme "http:" is none of/],
  ['amqp://broker', /scheme "amqp:" is none of/],
  ['__proto__://broker', /begins with its scheme/],
  ['constructor://broker', /scheme "constructor:" is none of/],
  ['failover:(tcp://a,tcp://b)', /failover: is a list of endpoints, for a Client/],
  ['multicast://default', /multicast: is not understood yet/],
  ['tcp:broker:61613', /wants \/\/ before the host/],
  ['tcp://', /host is missing/],
  ['tcp://:61613', /host is missing/],
  ['tcp://[]:61613', /host is missing/],
  ['tcp://::1:61613', /looks like IPv6, which is written in brackets/],
  ['tcp://[::zz]', /host "\[::zz\]" is neither a name nor an address/],
  ['tcp://[::1', /neither a name nor an address|brackets/],
  ['tcp://999.1.1.1', /host "999.1.1.1" is neither/],
  ['tcp://a<b', /host "a<b" is neither/],
  ['tcp://broker:x', /port "x" is not a number/],
  ['tcp://broker:-1', /port "-1" is not a number/],
  ['tcp://broker:123456', /port "123456" is not a number up to 65535/],
  ['tcp://broker:65536', /port 65536 is not between 1 and 65535/],
  ['tcp://broker:0', /port 0 is not between 1 and 65535; 0 means any free port and only a listener/],
  ['tcp://broker/queue/a', /path \("\/queue\/a"\) means nothing here/],
  ['tcp://broker?heart-beat=1', /query/],
  ['stomp+ssl://broker#x', /fragment/],
  ['ws://broker/stomp#x', /fragment/],
  [' tcp://broker', /cannot hold " " \(at position 0\)/],
  ['tcp://bro\nker', /cannot hold "\\n"/],
  ['tcp://broker\u0000', /cannot hold "\\u0000"/],
  ['tcp://us%zzer@broker', /user holds a %/],
  ['stomp+unix://host/run/x', /has no host, but a path/],
  ['stomp+unix:run/x', /path "run\/x" is not absolute/],
  ['stomp+unix://', /path "" is not absolute/],
  ['stomp+unix:///run/', /names no file/],
  ['stomp+unix:///run/x?y', /query/],
  ['stomp+unix:///run/%00', /cannot hold NUL/],
];

describe('a URL is refused with a sentence', () => {
  test.each(BAD)('%j', (url, sentence) => {
    expect(refusal(url)).toMatch(sentence);
  });

  test('and with the code bad-url', () => {
    expect(() => parseEndpoint('nonsense')).toThrow(
      expect.objectContaining({ code: 'bad-url', name: 'TransportError' }),
    );
  });
});

test('port 0 is for listening only, in a URL and in data', () => {
  expect(parseEndpoint('tcp://127.0.0.1:0', 'listen')).toEqual(tcp('127.0.0.1', 0));
  expect(toEndpoint(tcp('127.0.0.1', 0), 'listen')).toEqual(tcp('127.0.0.1', 0));
  expect(() => toEndpoint(tcp('127.0.0.1', 0), 'dial')).toThrow(TransportError);
  expect(() => toEndpoint(tcp('127.0.0.1', 1.5), 'listen')).toThrow(TransportError);
});

describe('credentials', () => {
  test('are decoded, up to the last @', () => {
    expect(parseEndpoint('tcp://us%40er:p%3Ass@w@broker')).toMatchObject({
      login: 'us@er',
      passcode: 'p:ss@w',
      host: 'broker',
    });
    expect(parseEndpoint('wss://app@broker')).toMatchObject({ login: 'app' });
    expect(parseEndpoint('wss://app@broker')).not.toHaveProperty('passcode');
    expect(parseEndpoint('stomp+unix://a:b@/run/x')).toMatchObject({ login: 'a', passcode: 'b', path: '/run/x' });
  });

  test('are never printed', () => {
    for (const url of ['tcp://app:hush@broker', 'wss://app:hush@broker/x?token=hush', 'stomp+unix://app:hush@/run/x']) {
      expect(formatEndpoint(parseEndpoint(url))).not.toMatch(/app|hush/);
    }
  });

  test.each([
    'tcp://app:hush@',
    'tcp://app:hush@broker:99999',
    'tcp://app:hush@broker/path',
    'tcp://app:hush@broker?a=hush',
    'tcp://app:hu%zzsh@broker',
    'ws://app:hush@broker#hush',
    'stomp+unix://app:hush@host/x',
    'tcp://app:hush@::1',
    'tcp://app:hush@[zz]',
  ])('are not repeated when %s is refused', (url) => {
    expect(refusal(url)).not.toMatch(/app|hush|zzsh/);
  });
});

function refusal(url: string, purpose?: Purpose): string {
  try {
    parseEndpoint(url, purpose);
  } catch (error) {
    expect(error).toBeInstanceOf(TransportError);
    return String(error) + String(error instanceof Error && error.cause);
  }
  throw new Error(`${url} was accepted`);
}
