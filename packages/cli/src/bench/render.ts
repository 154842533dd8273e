// What was measured, for people and as JSON.

import { number } from '../progress.ts';
import type { Percentiles } from './histogram.ts';
import type { BenchPlan, Flow, Measured } from './run.ts';

/** The JSON of --json. Milliseconds, bytes, messages. */
export function reportOf(plan: BenchPlan, { failure, ...measured }: Measured): object {
  const { name: _, idleMs: __, sizes, kind, producers, consumers, confirm, ack, rate } = plan;
  const { sent, received, expected, drained, confirmMs, latencyMs } = measured;
  return {
    kind,
    producers,
    consumers,
    sizes,
    receipts: confirm,
    ack,
    rate: rate ?? null,
    complete: failure === undefined && received.messages >= expected,
    sent: flowOf(sent),
    received: flowOf(received),
    expected,
    drained,
    confirmMs: confirmMs === undefined ? null : rounded(confirmMs),
    latencyMs: latencyMs === undefined ? null : rounded(latencyMs),
  };
}

function flowOf(flow: Flow): object {
  return { ...flow, ms: round(flow.ms), perSecond: Math.round(perSecond(flow.messages, flow.ms)) };
}

function rounded({ p50, p90, p99, max }: Percentiles): Percentiles {
  return { p50: round(p50), p90: round(p90), p99: round(p99), max: round(max) };
}

function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Lines, all of our own words. */
export function linesOf(plan: BenchPlan, measured: Measured): string[] {
  const { sent, received, drained, confirmMs, latencyMs } = measured;
  const { producers, consumers, sizes, kind, confirm, ack, rate } = plan;
  const setting = [
    counted(producers, 'producer'),
    counted(consumers, 'consumer'),
    `${sizes.map(number).join(' and ')} bytes`,
    kind,
    confirm ? 'receipts' : 'no receipts',
    ...(consumers > 0 ? [`ack ${ack}`] : []),
    ...(rate === undefined ? [] : [`${number(rate)}/s wanted`]),
  ];
  return [
    setting.join(', '),
    flowLine(confirm ? 'confirmed' : 'sent', sent),
    ...(consumers > 0 ? [flowLine('received', received)] : []),
    ...(confirmMs === undefined ? [] : [timesLine('receipt after', confirmMs)]),
    ...(latencyMs === undefined ? [] : [timesLine('received after', latencyMs)]),
    ...(drained > 0 ? [`${'drained'.padEnd(NAME)}${number(drained)} messages, after the measuring`] : []),
  ];
}

const NAME = 16;

function counted(count: number, what: string): string {
  return `${number(count)} ${what}${count === 1 ? '' : 's'}`;
}

function flowLine(name: string, { messages, bytes, ms }: Flow): string {
  const rate = `${number(Math.round(perSecond(messages, ms)))}/s`;
  const volume = `${(perSecond(bytes, ms) / 1_000_000).toFixed(2)} MB/s`;
  return `${name.padEnd(NAME)}${number(messages)} messages in ${(ms / 1_000).toFixed(2)} s: ${rate}, ${volume}`;
}

function timesLine(name: string, { p50, p90, p99, max }: Percentiles): string {
  return `${name.padEnd(NAME)}p50 ${inMs(p50)}, p90 ${inMs(p90)}, p99 ${inMs(p99)}, max ${inMs(max)}`;
}

function inMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : number(Math.round(ms))} ms`;
}

function perSecond(amount: number, ms: number): number {
  return ms === 0 ? 0 : (amount * 1_000) / ms;
}
