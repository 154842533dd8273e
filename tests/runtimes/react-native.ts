// A WebSocket as React Native has it: a text frame ends at its first NUL, on its way out and on its way in; what is binary is
// whole, and comes as an ArrayBuffer if one asks for that and as nothing usable if not; nothing tells how much is buffered.

import type { WebSocketLike, WebSocketLikeEvent } from '@stompbox/transport';

type Listener = (event: WebSocketLikeEvent) => void;

/** Makes such sockets, and makes this look like React Native. */
export async function reactNativeSocket(): Promise<(url: string, protocols: string[]) => WebSocketLike> {
  Object.defineProperty(globalThis, 'navigator', { value: { product: 'ReactNative' } });
  const { WebSocket } = await import('ws');
  return (url, protocols) => {
    const socket = new WebSocket(url, protocols);
    socket.binaryType = 'arraybuffer';
    const wrapped = new Map<Listener, Listener>();
    const native: WebSocketLike = {
      binaryType: 'blob',
      bufferedAmount: 0,
      get protocol() {
        return socket.protocol;
      },
      send: (data) => socket.send(typeof data === 'string' ? cut(data) : data),
      close: (code, reason) => socket.close(code, reason),
      addEventListener(type, listener) {
        const told: Listener = (event) => {
          const { data } = event;
          const usable = typeof data === 'string' ? cut(data) : native.binaryType === 'arraybuffer' ? data : undefined;
          listener(type === 'message' ? { type, data: usable } : event);
        };
        wrapped.set(listener, told);
        socket.addEventListener(type, told as never);
      },
      removeEventListener(type, listener) {
        const told = wrapped.get(listener);
        if (told !== undefined) socket.removeEventListener(type, told as never);
      },
    };
    return native;
  };
}

function cut(text: string): string {
  const [whole = ''] = text.split('\0', 1);
  return whole;
}
