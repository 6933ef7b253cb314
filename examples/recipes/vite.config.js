// Builds both pages. VITE_LATCHKEY_URL is that of the server's GraphQL, in whose ALLOWED_ORIGINS the page's origin must be:
//
//   ALLOWED_ORIGINS=http://localhost:5173 go run .
//   VITE_LATCHKEY_URL=http://localhost:8080/graphql npx vite examples/recipes      and open /apollo.html or /urql.html
import { defineConfig } from 'vite';

export default defineConfig({
  build: { rolldownOptions: { input: ['apollo.html', 'urql.html'].map((page) => `${import.meta.dirname}/${page}`) } },
});
