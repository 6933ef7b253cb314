import react from '@vitejs/plugin-react';
import { defineConfig, loadEnv, type Plugin } from 'vite';

export default defineConfig(({ mode }) => {
  const { VITE_LATCHKEY_URL = '' } = loadEnv(mode, import.meta.dirname);
  return {
    base: './',
    plugins: [react(), contentSecurityPolicy(VITE_LATCHKEY_URL)],
    server: { port: 5173, strictPort: true },
    preview: { port: 5173, strictPort: true },
  };
});

// The page loads what it was built with, and talks to Latchkey alone. Only what is built: in development Vite puts
// scripts and styles of its own into the page. A server that can should send the policy as a header, with frame-ancestors.
function contentSecurityPolicy(url: string): Plugin {
  const latchkey = URL.canParse(url) ? new URL(url).origin : "'self'";
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${latchkey}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
    ],
  };
}
