// `stompbox completion`: what a shell needs to complete verbs, flags and their choices; made from the program itself.

import type { Command, Option } from 'commander';
import { WrongUsage } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function completion(program: Command, house: House): void {
  const command = program
    .command('completion')
    .description('print the script that lets a shell complete verbs and flags')
    .argument('<shell>', SHELLS.join(', '))
    .action(
      house.run(async ([shell]) => {
        const known = SHELLS.find((one) => one === shell);
        if (known === undefined) throw new WrongUsage(`there is completion for ${SHELLS.join(', ')}`);
        await house.out.print(scriptFor(known, program));
        return undefined;
      }),
    );
  examples(command, [
    ['stompbox completion bash > ~/.local/share/bash-completion/completions/stompbox', 'from the next shell on'],
    ['stompbox completion zsh > ~/.zfunc/_stompbox', 'the same for zsh, with ~/.zfunc in fpath'],
    ['stompbox completion fish > ~/.config/fish/completions/stompbox.fish', 'the same for fish'],
  ]);
}

function scriptFor(shell: Shell, program: Command): string {
  switch (shell) {
    case 'bash':
      return bash(program);
    case 'zsh': // which runs what bash does
      return `#compdef stompbox\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`;
    case 'fish':
      return fish(program);
  }
}

function flagsOf(verb: Command): readonly string[] {
  return [...verb.options.flatMap(({ long }) => long ?? []), '--help'];
}

function bash(program: Command): string {
  const verbs = program.commands.map((verb) => verb.name());
  const cases = program.commands.map((verb) => `    ${verb.name()}) flags='${flagsOf(verb).join(' ')}' ;;`);
  const choices = program.commands.flatMap((verb) =>
    verb.options.filter(({ argChoices }) => argChoices !== undefined).map((option) => choiceCase(verb, option)),
  );
  return `${[
    '_stompbox() {',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is bash's
    '  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD-1]} flags=',
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W '${verbs.join(' ')} help' -- "$word"))`,
    '    return',
    '  fi',
    '  case "$verb $before" in',
    ...choices,
    '  esac',
    '  case "$verb" in',
    ...cases,
    '  esac',
    '  case "$word" in -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;; esac',
    '}',
    'complete -o default -F _stompbox stompbox',
  ].join('\n')}\n`;
}

function choiceCase(verb: Command, { long, argChoices = [] }: Option): string {
  const words = argChoices.join(' ');
  return `    '${verb.name()} ${long}') COMPREPLY=($(compgen -W '${words}' -- "$word")); return ;;`;
}

function fish(program: Command): string {
  const lines = program.commands.flatMap((verb) => [
    `complete -c stompbox -n __fish_use_subcommand -f -a ${verb.name()} -d ${quoted(verb.description())}`,
    ...verb.options.map((option) => fishOption(verb, option)),
  ]);
  return `${lines.join('\n')}\n`;
}

function fishOption(verb: Command, { short, long, description, argChoices, required }: Option): string {
  const parts = [`complete -c stompbox -n '__fish_seen_subcommand_from ${verb.name()}'`];
  if (short !== undefined) parts.push(`-s ${short.slice(1)}`);
  if (long !== undefined && long !== null) parts.push(`-l ${long.slice(2)}`);
  if (required) parts.push('-r');
  if (argChoices !== undefined) parts.push(`-f -a ${quoted(argChoices.join(' '))}`);
  parts.push(`-d ${quoted(description)}`);
  return parts.join(' ');
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
