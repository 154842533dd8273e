// The suite on Node, Deno or Bun: `program <settings as JSON>`. Each line on stdout is an outcome; after the last one the process
// must end by itself.

import process from 'node:process';
import * as stompbox from '@stompbox/client';
import { reactNativeSocket } from './react-native.ts';
import { type Control, runSuite } from './suite.ts';

export interface ProgramSettings {
  readonly url: string;
  /** Where `POST /cut`, `/down`, … are heard. */
  readonly control: string;
  readonly reactNative: boolean;
}

const { url, control, reactNative }: ProgramSettings = JSON.parse(process.argv[2] ?? '{}');
const command: Control = async (verb) => {
  const { status } = await fetch(`${control}/${verb}`, { method: 'POST' });
  if (status !== 204) throw new Error(`${verb} answered ${status}`);
};
const options = reactNative ? { webSocket: { factory: await reactNativeSocket() } } : {};
await runSuite(
  { stompbox, url, options, control: command },
  (outcome) => void process.stdout.write(`${JSON.stringify(outcome)}\n`),
);
