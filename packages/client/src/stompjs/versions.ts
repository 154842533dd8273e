// The STOMP versions a client offers.

export class Versions {
  static readonly V1_0 = '1.0';
  static readonly V1_1 = '1.1';
  static readonly V1_2 = '1.2';
  static readonly default: Versions = new Versions([Versions.V1_2, Versions.V1_1, Versions.V1_0]);

  readonly versions: readonly string[];

  constructor(versions: readonly string[]) {
    this.versions = versions;
  }

  /** For `accept-version`. */
  supportedVersions(): string {
    return this.versions.join(',');
  }

  /** The WebSocket subprotocols (W-01). */
  protocolVersions(): string[] {
    return this.versions.map((version) => `v${version.replace('.', '')}.stomp`);
  }
}
