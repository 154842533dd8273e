// `stompbox man`: the manual page of a verb, made from the program itself.

import type { Command, Option } from 'commander';
import { EXIT_CODES, WrongUsage } from '../exit-codes.ts';
import { examples, examplesFor, type House } from '../house.ts';

export function man(program: Command, house: House): void {
  const command = program
    .command('man')
    .description('print the manual page of a verb, or of the program')
    .argument('[verb]', 'the program itself unless given')
    .action(
      house.run(async ([name]) => {
        const verb = name === undefined ? program : program.commands.find((one) => one.name() === name);
        if (verb === undefined) throw new WrongUsage(`there is no verb ${name}`);
        await house.out.print(page(program, verb));
        return undefined;
      }),
    );
  examples(command, [
    ['stompbox man send | man -l -', 'read it at once'],
    ['stompbox man send > ~/.local/share/man/man1/stompbox-send.1', 'keep it, for "man stompbox-send"'],
  ]);
}

/** In the man macros, section 1. */
function page(program: Command, verb: Command): string {
  const isProgram = verb === program;
  const title = isProgram ? 'stompbox' : `stompbox-${verb.name()}`;
  const list = examplesFor(verb);
  const lines = [
    `.TH ${title.toUpperCase()} 1 "" "stompbox ${program.version() ?? ''}" "User Commands"`,
    '.SH NAME',
    `${roff(title)} \\- ${roff(verb.description())}`,
    '.SH SYNOPSIS',
    `.B ${roff(isProgram ? 'stompbox' : `stompbox ${verb.name()}`)}`,
    roff(isProgram ? '<verb> [options] ...' : verb.usage()),
    ...(verb.registeredArguments.length === 0 ? [] : ['.SH ARGUMENTS']),
    ...verb.registeredArguments.flatMap((one) => term(one.name(), one.description)),
    ...(isProgram ? ['.SH VERBS', ...program.commands.flatMap((one) => term(one.name(), one.description()))] : []),
    '.SH OPTIONS',
    ...verb.options.flatMap((option) => term(option.flags, sentenceOf(option))),
    ...(list.length === 0 ? [] : ['.SH EXAMPLES']),
    ...list.flatMap(([line, does]) => term(line, does)),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, meaning]) => term(String(code), meaning)),
  ];
  return `${lines.join('\n')}\n`;
}

function sentenceOf({ description, argChoices }: Option): string {
  return argChoices === undefined ? description : `${description} (${argChoices.join(', ')})`;
}

function term(name: string, text: string): readonly string[] {
  return ['.TP', `.B ${roff(name)}`, roff(text)];
}

/** Text that no macro and no escape is read from. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...').replaceAll('\n', ' ');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
