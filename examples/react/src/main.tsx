import { ApolloProvider } from '@apollo/client/react';
import { SessionProvider } from '@latchkey/client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { client, session } from './session';
import './styles/base.css';
import './styles/ui.css';
import './styles/screens.css';
import { ErrorBoundary } from './ui/ErrorBoundary';

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <ErrorBoundary>
      <SessionProvider session={session}>
        <ApolloProvider client={client}>
          <App />
        </ApolloProvider>
      </SessionProvider>
    </ErrorBoundary>
  </StrictMode>,
);
