package verify_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"latchkey/verify"
)

// A service that greets whoever has a live access token.
func Example() {
	verifier, err := verify.New(verify.Options{
		Issuer:     "https://auth.example.com", // PUBLIC_URL of Latchkey
		Audience:   "https://api.example.com",  // AUDIENCE of Latchkey
		ServiceKey: os.Getenv("SERVICE_KEY"),   // one of its SERVICE_KEYS
		FailClosed: false,                      // while it is not known which sessions ended, tokens are good until they expire
	})
	if err != nil {
		log.Fatal(err)
	}
	go verifier.Run(context.Background())
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims := verify.ClaimsOf(r.Context())
		_, _ = fmt.Fprintln(w, "hello", claims.Subject, claims.Roles)
	})
	log.Fatal(http.ListenAndServe("localhost:8081", verifier.Middleware(hello)))
}
