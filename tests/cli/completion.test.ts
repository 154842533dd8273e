// Completion scripts and manual pages, which follow from the program.

import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { cli } from './support.ts';

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

describe('completion', () => {
  /** What bash offers for the last of the words. */
  async function offers(...words: string[]): Promise<string[]> {
    const { out } = await cli(['completion', 'bash']);
    const line = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _stompbox; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', `${out}\n${line}`], { encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout.trim().split('\n');
  }

  test.skipIf(!has('bash'))('bash completes verbs, their flags, and the choices of a flag', async () => {
    expect(await offers('stompbox', 'se')).toEqual(['send']);
    expect(await offers('stompbox', 'listen', '--pre')).toEqual(['--prefetch']);
    expect(await offers('stompbox', 'listen', '--ack', 'client-')).toEqual(['client-individual']);
    expect(await offers('stompbox', 'send', '--no-')).toEqual(['--no-confirm', '--no-persistent']);
  });

  test('zsh runs what bash does; fish has a line for each flag', async () => {
    expect((await cli(['completion', 'zsh'])).out).toMatch(/^#compdef stompbox\n/);
    expect((await cli(['completion', 'fish'])).out).toContain(
      "complete -c stompbox -n '__fish_seen_subcommand_from listen' -l prefetch -r -d",
    );
  });

  test('another shell is wrong usage', async () => {
    expect((await cli(['completion', 'cmd'])).code).toBe(EXIT.usage);
  });
});

describe('man', () => {
  test('has the options, the examples and the exit codes of a verb', async () => {
    const { out } = await cli(['man', 'send']);
    expect(out).toContain('.TH STOMPBOX-SEND 1');
    expect(out).toContain('\\-\\-no\\-confirm');
    expect(out).toContain('stompbox send /queue/hello hi');
    expect(out).toContain('.B 130');
  });

  test('of the program lists the verbs; one that is not there is wrong usage', async () => {
    expect((await cli(['man'])).out).toMatch(/\.SH VERBS\n\.TP\n\.B broker\n/);
    expect((await cli(['man', 'nothing'])).code).toBe(EXIT.usage);
  });

  test.skipIf(!has('groff'))('is read by groff without a complaint', async () => {
    const { out } = await cli(['man', 'send']);
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tascii', '-ww'], { input: out, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toContain('queue:name and topic:name are right on every broker');
  });
});
