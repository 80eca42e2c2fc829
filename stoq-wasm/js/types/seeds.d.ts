// Announcements of who holds a content.

/** How much copies of a content matter. */
export type SeedPriority = 'low' | 'normal' | 'high' | 'critical';

/** Who holds, or shall hold, a content. */
export interface Seed {
  /** Which content: 32 bytes. */
  readonly content: Uint8Array;
  /** Copies that are wanted, from 0 to 255; 0 if none are (any more). */
  readonly replication: number;
  /** How much they matter. Default: `normal`. */
  readonly priority?: SeedPriority;
  /** The nodes, at most 255; perhaps none. The same place does not stand there twice. */
  readonly nodes: readonly SeedNode[];
}

/** One node of a {@link Seed}. */
export interface SeedNode {
  /** Who: text that begins with `stoq1`. */
  readonly id: string;
  /** The IP address, of either version. Whoever announces it may write any; check it before you connect. */
  readonly address: string;
  /** The UDP port there, from 1 to 65 535. */
  readonly port: number;
  /** How often it was there when it was needed, in percent, from 0 to 100. */
  readonly reliability: number;
}

/**
 * What is to be known of an announced content. It is announced first, may change, and in the end it has expired (nothing was
 * said of it for ten minutes) or was dropped (others needed its place: 256 are remembered, in at most 1 MiB); then it may be
 * announced again. What changes faster than it is read is told once.
 */
export type SeedEvent =
  | { readonly kind: 'announced' | 'changed', readonly seed: Required<Seed> }
  | { readonly kind: 'expired' | 'dropped', readonly content: Uint8Array };
