// `stompbox passwd`: the users of a broker, in the file that its configuration names.

import { readUsers, removeUser, writeUser } from '@stompbox/broker';
import type { Command } from 'commander';
import { json, printable } from '../escape.ts';
import { EXIT, WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import { readLine } from '../input.ts';
import { askSecret, canAsk } from '../prompt.ts';

interface PasswdFlags {
  readonly groups?: string;
  readonly remove?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

export function passwd(program: Command, house: House): void {
  const command = program
    .command('passwd')
    .description('add, change, remove and list the users of a broker')
    .argument('<file>', 'the file of users; it is made where it is not there')
    .argument('[login]', 'whose; the passcode is asked for, or read from the first line of standard input')
    .option('-g, --groups <names>', 'the groups the user is in, with commas between; none if empty')
    .option('-r, --remove', 'take the user out')
    .option('--list', 'who is in the file')
    .option('--json', 'the list as JSON lines')
    .action(house.run<PasswdFlags>((words, flags) => users(words, flags, house)));
  examples(command, [
    ['stompbox passwd users ann', 'add ann, or change her passcode'],
    ['echo s3cret | stompbox passwd users app --groups producers,ops', 'the same from a script'],
    ['stompbox passwd users --list', 'who there is, in which groups'],
    ['stompbox passwd users --remove ann', 'take her out'],
  ]);
}

async function users(words: readonly string[], flags: PasswdFlags, house: House): Promise<number | undefined> {
  const [file = '', login] = words;
  const { out } = house;
  if (flags.list) {
    if (login !== undefined || flags.remove) throw new WrongUsage('--list takes the file alone');
    for (const user of await readUsers(file)) {
      const groups = user.groups.length === 0 ? '' : `  ${out.dim(user.groups.map(printable).join(', '))}`;
      out.say(flags.json ? json({ login: user.login, groups: user.groups }) : `${printable(user.login)}${groups}`);
    }
    return;
  }
  if (login === undefined) throw new WrongUsage('whose passcode? stompbox passwd <file> <login>, or --list');
  if (flags.remove) {
    if (await removeUser(file, login)) {
      out.say(`${printable(login)} is no user any more.`);
      return;
    }
    out.warn(`there is no user ${login} in ${file}`);
    return EXIT.refused;
  }
  const groups = flags.groups?.split(',').filter((name) => name !== '');
  const passcode = await newPasscode(login, house);
  try {
    await writeUser(file, login, passcode, groups === undefined ? {} : { groups });
  } catch (error) {
    if (error instanceof RangeError) throw new WrongUsage(error.message, { cause: error });
    throw error;
  }
  out.say(`${printable(login)} can log in where the broker uses this file; it reads it again at SIGHUP.`);
  return;
}

async function newPasscode(login: string, house: House): Promise<string> {
  if (!canAsk(house.world)) return await readLine(house);
  const first = await askSecret(`New passcode of ${printable(login)}: `, house.world);
  if ((await askSecret('Once more: ', house.world)) !== first)
    throw new WrongUsage('the two differ; nothing was changed');
  return first;
}
