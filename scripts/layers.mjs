// Who may import whom, and the check of it.
//
// The check reads sources as text, so that it needs nothing installed: comments are blanked, string contents set aside,
// and what is left is searched for imports. Type-only imports count like any other: an arrow is an arrow.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/**
 * The table of design.md, section 2, by folder under packages/.
 *
 *   imports   packages of ours that its src may import
 *   types     packages of ours that its src may import types from, and nothing else
 *   uses      packages of others that its src may import
 *   testImports, testUses  packages of ours, and of others, that its tests may import besides
 *   web       files in src that run in browsers, with all they reach: no `node:`, no package of others
 *   node      files in src that do not, where web is 'all'
 *   ambient   may print, exit, and read argv and the environment
 */
const PACKAGES = {
  protocol: { imports: [], uses: [], web: 'all' },
  transport: { imports: [], uses: ['ws'], web: ['index.ts', 'websocket.ts', 'dial-browser.ts'] },
  client: { imports: ['protocol', 'transport'], uses: [], web: 'all', node: ['diagnostics.ts', 'outbox-file.ts'] },
  opentelemetry: {
    imports: [],
    uses: ['@opentelemetry/api'],
    testImports: ['client', 'broker', 'transport'],
    testUses: ['@opentelemetry/context-async-hooks', '@opentelemetry/core', '@opentelemetry/sdk-trace-base'],
  },
  broker: { imports: ['protocol', 'transport'], uses: ['lmdb', 'yaml'], testUses: ['esbuild'] },
  jetstream: { imports: ['broker'], uses: [] },
  console: { imports: ['client'], types: ['broker'], uses: [], web: 'all' },
  cli: {
    imports: ['protocol', 'transport', 'client', 'broker', 'jetstream', 'console'],
    uses: ['commander', 'picocolors'],
    ambient: true,
  },
  testkit: { imports: ['protocol', 'transport'], uses: ['fast-check'], testUses: ['esbuild'], ambient: true },
};

/** What every package's tests may import besides. */
const TESTS = { imports: ['testkit'], uses: ['fast-check', 'vitest'] };

const AMBIENT = /(?<![.\w])(?:console\s*\.|process\s*\.\s*(?:env|exit|exitCode|argv|stdin|stdout|stderr)\b)/g;
const SOURCE = /\.(?:[cm]?[jt]s|[jt]sx)$/;

/** Every broken rule of the tree under `root`, as "file:line: sentence". */
export function checkLayers(root) {
  const tree = readTree(root);
  return [...tree.strangers, ...arrows(tree), ...ambient(tree), ...webReach(tree), ...cycles(tree)];
}

// ---------------------------------------------------------------------------------------------------- reading the tree

function readTree(root) {
  const packages = new Map(); // by the name that imports use
  const strangers = [];
  for (const folder of folders(join(root, 'packages'))) {
    if (!(folder in PACKAGES)) {
      strangers.push(`packages/${folder}:1: the table in scripts/layers.mjs does not know this package`);
      continue;
    }
    const manifest = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8'));
    packages.set(manifest.name, { folder, exports: manifest.exports ?? {} });
  }

  const files = new Map();
  for (const path of [...sources(root, 'packages'), ...sources(root, 'tests'), ...sources(root, 'bench')]) {
    const [top, folder, part] = path.split('/');
    const owner = top === 'packages' ? folder : undefined;
    if (owner !== undefined && !(owner in PACKAGES)) continue;
    const { code, strings } = mask(readFileSync(join(root, path), 'utf8'));
    files.set(path, { path, owner, isTest: part === 'test', code, imports: importsOf(code, strings) });
  }
  for (const file of files.values()) {
    for (const found of file.imports) Object.assign(found, resolve(found.specifier, file, packages, files));
  }
  return { files, strangers };
}

function entries(path) {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function folders(path) {
  const inside = entries(path).filter((entry) => entry.isDirectory());
  return inside.map((entry) => entry.name);
}

function sources(root, path) {
  return entries(join(root, path)).flatMap((entry) => {
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : sources(root, inner);
    return SOURCE.test(entry.name) ? [inner] : [];
  });
}

/** Where an import leads: to files of ours, to the platform or to others. */
function resolve(specifier, file, packages, files) {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file.path), specifier);
    return { kind: 'relative', target, leadsTo: files.has(target) ? [target] : [] };
  }
  if (specifier.startsWith('node:')) return { kind: 'node' };
  const [, name, subpath] = /^((?:@[^/]+\/)?[^/]+)(?:\/(.+))?$/.exec(specifier) ?? [];
  const target = packages.get(name);
  if (target === undefined) return { kind: 'others', name: name ?? specifier };
  const door = target.exports[subpath === undefined ? '.' : `./${subpath}`];
  const sourceOf = (condition) => `packages/${target.folder}/${sourceBehind(door, condition)}`;
  const leadsTo = door === undefined ? [] : [...new Set(['node', 'browser'].map(sourceOf))];
  return { kind: 'ours', package: target.folder, door, leadsTo, web: sourceOf('browser') };
}

/** The source behind an entry of `exports`, for one more condition than `default`. */
function sourceBehind(door, condition) {
  if (typeof door === 'string') return door.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts');
  return sourceBehind(door?.[condition] ?? door?.default ?? '', condition);
}

// ------------------------------------------------------------------------------------------------------------ the rules

function* arrows({ files }) {
  for (const file of files.values()) {
    if (file.owner === undefined) continue; // tests/ and bench/ may import everything
    const table = PACKAGES[file.owner];
    const imports = [
      ...table.imports,
      ...(file.isTest ? [...TESTS.imports, ...(table.testImports ?? []), file.owner] : []),
    ];
    const uses = [...table.uses, ...(file.isTest ? [...TESTS.uses, ...(table.testUses ?? [])] : [])];
    const say = ({ line }, sentence) => `${file.path}:${line}: ${sentence}`;

    for (const found of file.imports) {
      if (found.kind === 'relative' && !found.target.startsWith(`packages/${file.owner}/`)) {
        yield say(found, `${file.owner} -> ${found.target}: import another package by its name`);
      } else if (found.kind === 'ours') {
        const arrow = `${file.owner} -> ${found.package}`;
        const isTypes = found.isType && table.types?.includes(found.package);
        if (!imports.includes(found.package) && !isTypes) {
          yield say(found, `${arrow} is forbidden: ${file.owner} may import ${list(imports)}`);
        } else if (found.door === undefined) {
          yield say(found, `${arrow}: '${found.specifier}' is an inside; package.json does not export it`);
        }
      } else if (found.kind === 'others' && !uses.includes(found.name)) {
        yield say(found, `${file.owner} -> ${found.name} is forbidden: ${file.owner} may use ${list(uses)}`);
      }
    }
  }
}

function* ambient({ files }) {
  for (const { path, owner, isTest, code } of files.values()) {
    if (owner === undefined || isTest || PACKAGES[owner].ambient) continue;
    for (const { 0: found, index } of code.matchAll(AMBIENT)) {
      yield `${path}:${lineAt(code, index)}: ${owner} is a library and may not touch ${found.replace(/\s|\.\s*$/g, '')}`;
    }
  }
}

/** What runs in a browser may reach no `node:` and nobody else's package. */
function* webReach({ files }) {
  const said = new Set();
  for (const [owner, { web, node = [] }] of Object.entries(PACKAGES)) {
    const source = `packages/${owner}/src/`;
    const isWeb = (file) => (web === 'all' ? !node.includes(file) : web?.includes(file));
    const isRoot = (path) => path.startsWith(source) && isWeb(path.slice(source.length));
    const ways = new Map([...files.keys()].filter(isRoot).map((path) => [path, path]));
    for (const [path, way] of ways) {
      // `ways` grows while we walk it
      for (const found of files.get(path)?.imports ?? []) {
        if (found.kind === 'node' || found.kind === 'others') {
          const place = `${path}:${found.line}`;
          if (!said.has(place)) yield `${place}: runs in browsers and must not reach ${found.specifier} (${way})`;
          said.add(place);
        }
        const next = found.kind === 'ours' ? [found.web] : (found.leadsTo ?? []);
        for (const target of next) if (!ways.has(target)) ways.set(target, `${way} -> ${target}`);
      }
    }
  }
}

/** One line for each place where files import each other in a circle. */
function* cycles({ files }) {
  const done = new Set();
  const trail = [];
  function* visit(path) {
    if (done.has(path)) return;
    const start = trail.findIndex((step) => step.path === path);
    if (start >= 0) {
      const circle = trail.slice(start);
      const [first] = circle;
      yield `${first.path}:${first.line}: import cycle: ${[...circle.map((step) => step.path), path].join(' -> ')}`;
      return;
    }
    for (const { leadsTo = [], line } of files.get(path)?.imports ?? []) {
      for (const target of leadsTo) {
        trail.push({ path, line });
        yield* visit(target);
        trail.pop();
      }
    }
    done.add(path);
  }
  for (const path of files.keys()) yield* visit(path);
}

function list(names) {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

// --------------------------------------------------------------------------------------------------------- reading text

function lineAt(code, index) {
  return code.slice(0, index).split('\n').length;
}

function importsOf(code, strings) {
  const patterns = [
    /\b(?:import|export)\b(\s+type\b)?[^'"`;]*?\bfrom\s*(?=['"])/g, // import … from 'x', export … from 'x'
    /\bimport\s*()(?=['"])/g, // import 'x'
    /\bimport\s*\(\s*()(?=['"`])/g, // import('x')
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => {
      const quote = match.index + match[0].length;
      return { specifier: strings.get(quote), line: lineAt(code, quote), isType: Boolean(match[1]) };
    }),
  );
}

const BEFORE_REGEX = /(?:^|[([{,;=:!&|?+\-*%~^>]|\b(?:return|typeof|case|in|of|throw|void|await|yield|else))\s*$/;

/** The code with comments, string contents and regular expressions blanked, and the strings by where they begin. */
function mask(text) {
  const strings = new Map();
  const braces = []; // for each open `${` of a template, how many braces are open in it
  let code = '';
  let at = 0;
  const take = (end) => {
    code += text.slice(at, end);
    at = end;
  };
  const blank = (end) => {
    code += text.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  const upTo = (pattern) => {
    pattern.lastIndex = at;
    return pattern.exec(text) ? pattern.lastIndex : text.length;
  };
  const template = () => {
    blank(upTo(/(?:\\.|(?!\$\{)[^`\\])*/sy));
    if (text[at] === '$') {
      braces.push(0);
      take(at + 2);
    } else take(at + 1);
  };

  while (at < text.length) {
    const char = text[at];
    if (text.startsWith('//', at)) blank(upTo(/[^\n]*/y));
    else if (text.startsWith('/*', at)) blank(upTo(/\/\*.*?\*\//sy));
    else if (char === '"' || char === "'") {
      const start = at;
      take(at + 1);
      blank(upTo(char === '"' ? /(?:\\.|[^"\\\n])*/sy : /(?:\\.|[^'\\\n])*/sy));
      strings.set(start, text.slice(start + 1, at));
      take(at + 1);
    } else if (char === '`') {
      const start = at;
      take(at + 1);
      template();
      strings.set(start, text.slice(start + 1, at - 1));
    } else if (char === '/' && BEFORE_REGEX.test(code.slice(-200))) {
      blank(upTo(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y));
    } else {
      if (char === '{' && braces.length > 0) braces[braces.length - 1]++;
      const closes = char === '}' && braces.length > 0;
      take(at + 1);
      if (closes && braces[braces.length - 1]-- === 0) {
        braces.pop();
        template();
      }
    }
  }
  return { code, strings };
}
