import type { TokenDelivery } from '@latchkey/client';

declare global {
  // What the page can be told when it is built: see README.md.
  interface ImportMetaEnv {
    readonly VITE_LATCHKEY_URL?: string;
    readonly VITE_LATCHKEY_DELIVERY?: TokenDelivery;
  }
}
