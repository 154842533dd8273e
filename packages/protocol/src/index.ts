export * from './decoder.ts';
export * from './encoder.ts';
export * from './errors.ts';
export * from './frame.ts';
export * from './headers.ts';
export * from './heart-beat.ts';
export * from './version.ts';
