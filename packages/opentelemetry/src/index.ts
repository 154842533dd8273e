export type { ReadHeaders } from './context.ts';
export { instrument } from './instrument.ts'; // a client -> the same, traced
export { type ReadMessage, Telemetry, type TelemetryOptions, type WrittenOptions } from './telemetry.ts'; // by hand
