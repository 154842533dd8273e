// `stompbox doctor`: connects to any broker and explains what it found.

import type { Command } from 'commander';
import { type ConnectionFlags, connectionOptions, targetOf } from '../connecting.ts';
import { textOf } from '../doctor/render.ts';
import { runDoctor } from '../doctor/run.ts';
import { json } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { duration } from '../values.ts';

interface DoctorFlags extends ConnectionFlags {
  readonly idle: number;
  readonly patience: number;
  readonly json?: boolean;
}

export function doctor(program: Command, house: House): void {
  const command = program
    .command('doctor')
    .description('connect to a broker and explain it: version, dialect, heart-beats, receipts, limits, certificate')
    .argument('[url]', 'the broker')
    .option('--idle <time>', 'be silent for so long, to see whether something cuts the connection', duration, 0)
    .option('--patience <time>', 'how long one answer may take', duration, 2_000)
    .option('--json', 'the findings as JSON');
  connectionOptions(command).action(house.run<DoctorFlags>((words, flags) => examine(words, flags, house)));
  examples(command, [
    ['stompbox doctor stomp://localhost', 'a look at the broker on this machine'],
    ['stompbox doctor stomp+ssl://broker.example --ca ca.pem --login app', 'its certificate too'],
    ['stompbox doctor wss://broker.example/ws --idle 90s', 'does a proxy cut connections that are silent?'],
  ]);
}

async function examine(words: readonly string[], flags: DoctorFlags, house: House): Promise<number> {
  const { out } = house;
  const steps = out.progress('steps');
  const diagnosis = await runDoctor({
    ...(await targetOf(house, words, flags)),
    patienceMs: flags.patience,
    idleMs: flags.idle,
    progress: () => steps.add(),
  });
  if (flags.json) await out.print(`${json(diagnosis)}\n`);
  else for (const line of textOf(diagnosis, out)) out.say(line);
  return diagnosis.findings.some(({ level }) => level === 'problem') ? EXIT.refused : EXIT.done;
}
