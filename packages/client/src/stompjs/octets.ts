// What a socket's message event carries, as octets.

const ENCODER = new TextEncoder();

/** `appendNul`: React Native cuts text messages at NUL, so the last one is put back (P16). */
export function octetsOf(data: string | ArrayBuffer | Uint8Array, appendNul: boolean): Uint8Array {
  const octets =
    typeof data === 'string' ? ENCODER.encode(data) : data instanceof Uint8Array ? data : new Uint8Array(data);
  if (!appendNul || octets[octets.length - 1] === 0) return octets;
  const whole = new Uint8Array(octets.length + 1);
  whole.set(octets);
  return whole;
}
