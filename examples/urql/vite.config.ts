import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// strictPort: the server takes pages of the origins in its ALLOWED_ORIGINS only, so that another port is no help.
const server = { port: 5173, strictPort: true };

export default defineConfig({ plugins: [react()], server, preview: server });
