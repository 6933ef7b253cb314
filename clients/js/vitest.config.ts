import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    fileParallelism: false, // they share a server, whose answers they cut and whose requests they count
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
