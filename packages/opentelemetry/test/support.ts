// The real SDK, spans kept in memory; and a broker in memory with connections to it.

import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { createBroker } from '@stompbox/broker';
import { Connection, type ConnectionOptions } from '@stompbox/client';
import { memoryPair } from '@stompbox/transport';
import { onTestFinished } from 'vitest';

/** Tracing as an application sets it up, for this test. Answers the spans that have ended, in that order. */
export function sdk(): () => ReadableSpan[] {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  onTestFinished(() => {
    trace.disable();
    context.disable();
    propagation.disable();
  });
  return () => exporter.getFinishedSpans();
}

/** A broker in memory, closed with the test, and how to connect to it. */
export async function broker(): Promise<{
  readonly connect: (options?: ConnectionOptions) => Promise<Connection>;
  readonly channel: () => ReturnType<typeof memoryPair>['a'];
}> {
  const running = await createBroker({});
  onTestFinished(async () => {
    await running.close({ timeoutMs: 0 });
  });
  const channel = (): ReturnType<typeof memoryPair>['a'] => {
    const { a, b } = memoryPair();
    running.serve(b);
    return a;
  };
  return { channel, connect: (options = {}) => Connection.over(channel(), options) };
}

/** A promise, and how to resolve it. */
export function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: (value) => settle(value) };
}

/** The error a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error,
  );
}
