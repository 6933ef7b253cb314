interface ImportMetaEnv {
  readonly VITE_LATCHKEY_URL: string;
  readonly VITE_LATCHKEY_DELIVERY: import('@latchkey/client').TokenDelivery;
}
