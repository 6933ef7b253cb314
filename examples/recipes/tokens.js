// The tokens are where the documentation of both clients has them, in localStorage. Every script of the page can read them
// there. Latchkey can keep them where none can, in cookies: see "Delivery" in docs/http.md.
export const accessToken = () => localStorage.getItem('token');
export const refreshToken = () => localStorage.getItem('refreshToken');

export function keepTokens({ accessToken, refreshToken }) {
  localStorage.setItem('token', accessToken);
  localStorage.setItem('refreshToken', refreshToken);
  window.dispatchEvent(new Event('tokens'));
}

export function forgetTokens() {
  localStorage.removeItem('token');
  localStorage.removeItem('refreshToken');
  window.dispatchEvent(new Event('tokens'));
}
