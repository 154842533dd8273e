// Conformance 2.1: which version two peers speak.

import { chosen, GRAMMARS, negotiate, ProtocolError, VERSIONS, type Version } from '@stompbox/protocol';
import { describe, expect, test } from 'vitest';

describe('N-05, N-06: the highest version in common', () => {
  test.each<[string | undefined, Version | undefined]>([
    [undefined, '1.0'],
    ['1.0', '1.0'],
    ['1.1', '1.1'],
    ['1.2', '1.2'],
    ['1.0,1.1,1.2', '1.2'],
    ['1.2,1.1,1.0', '1.2'],
    ['1.0,1.1,2.0', '1.1'],
    ['1.1,1.1', '1.1'],
    ['1.10', undefined],
    ['1.10,1.1', '1.1'],
    ['1.20', undefined],
    ['11.2', undefined],
    ['1', undefined],
    ['2.0', undefined],
    ['1.3', undefined],
    ['9.9', undefined],
    ['', undefined],
    [',', undefined],
    ['1.2,', '1.2'],
    [',1.2', '1.2'],
    ['foo', undefined],
    ['1.2;1.1', undefined],
    ['1.2\n', undefined],
    ['v1.2', undefined],
    ['1.2.0', undefined],
    ['１.２', undefined],
    ['01.2', undefined],
    ['__proto__', undefined],
  ])('%j gives %s', (accept, expected) => {
    expect(negotiate(accept)).toBe(expected);
  });

  test.each<[string, readonly Version[], Version | undefined]>([
    ['1.0,1.1,1.2', ['1.0'], '1.0'],
    ['1.0,1.1,1.2', ['1.1', '1.0'], '1.1'],
    ['1.2', ['1.0', '1.1'], undefined],
    ['1.0,1.2', ['1.1'], undefined],
    ['1.2', [], undefined],
  ])('%s against a server of %j gives %s', (accept, supported, expected) => {
    expect(negotiate(accept, supported)).toBe(expected);
  });

  test('no accept-version is 1.0, which a server may not speak', () => {
    expect(negotiate(undefined, ['1.1', '1.2'])).toBeUndefined();
  });
});

test.each<[string, Version | undefined, Version | undefined]>([
  ['1.1, 1.2', '1.2', '1.1'],
  [' 1.2', '1.2', undefined],
  ['1.2\t', '1.2', undefined],
  ['1.1 ,1.2', '1.2', '1.2'],
  ['1. 2', undefined, undefined],
  ['1.1\u00a0', undefined, undefined],
  ['1.1 1.2', undefined, undefined],
  ['1.1,1.1', '1.1', '1.1'],
  ['', undefined, undefined],
  ['1.2;1.1', undefined, undefined],
])('N-09, X-26: %j gives %s, and strictly %s', (accept, forgiving, strict) => {
  expect(negotiate(accept)).toBe(forgiving);
  expect(negotiate(accept, VERSIONS, { strict: true })).toBe(strict);
});

describe('N-07, N-08: what the server chose', () => {
  test.each<[string | undefined, readonly Version[], Version]>([
    [undefined, ['1.0', '1.1', '1.2'], '1.0'],
    ['1.0', ['1.0'], '1.0'],
    ['1.1', ['1.0', '1.1', '1.2'], '1.1'],
    ['1.2', ['1.2'], '1.2'],
  ])('%s of %j is %s', (version, offered, expected) => {
    expect(chosen(version, offered)).toBe(expected);
  });

  test.each<[string | undefined, readonly Version[]]>([
    [undefined, ['1.1', '1.2']],
    ['1.2', ['1.1']],
    ['9', ['1.0', '1.1', '1.2']],
    ['', ['1.0']],
    ['1.2 ', ['1.2']],
    ['1.1,1.2', ['1.1', '1.2']],
  ])('%s of %j is an error', (version, offered) => {
    expect(() => chosen(version, offered)).toThrow(ProtocolError);
    expect(() => chosen(version, offered)).toThrow(expect.objectContaining({ code: 'version-mismatch', rule: 'N-08' }));
  });
});

test('the versions ascend, and each has its grammar', () => {
  expect([...VERSIONS].sort()).toEqual(VERSIONS);
  for (const version of VERSIONS) expect(GRAMMARS[version].version).toBe(version);
});
