// Reads what `node --cpu-prof` wrote.

import { readFileSync } from 'node:fs';

/** The functions that the time went to, each by itself, as text: `name 12.3 %`. */
export function hottest(file, most) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
  const byId = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const spent = new Map();
  let all = 0;
  samples.forEach((id, k) => {
    const name = byId.get(id);
    const time = Math.max(0, timeDeltas[k]);
    spent.set(name, (spent.get(name) ?? 0) + time);
    all += time;
  });
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, time]) => `${name} ${((time / all) * 100).toFixed(1)} %`);
}

function nameOf({ functionName, url, lineNumber }) {
  const file = url.slice(url.lastIndexOf('/') + 1);
  const name = functionName || '(anonymous)';
  return file === '' ? name : `${name} (${file}:${lineNumber + 1})`;
}
