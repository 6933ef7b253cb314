package examples_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

// What make test has no time for: five minutes of activity in eight tabs.
var soak = flag.Bool("soak", false, "use the tabs for five minutes")

func TestMain(m *testing.M) { stand.Main(m) }

// kit builds the client kit, which the examples find where npm links it.
var kit sync.Once

// build builds the pages of a folder for a stand's server, and serves them on one of its origins.
func build(t *testing.T, s *stand.Stand, folder string, origin int) {
	t.Helper()
	bin := filepath.Join(stand.Root(), "node_modules")
	kit.Do(func() {
		s.Node(t, ".", filepath.Join(bin, "typescript", "bin", "tsc"), "-p", filepath.Join("..", "clients", "js"))
	})
	out := t.TempDir()
	s.Node(t, folder, filepath.Join(bin, "vite", "bin", "vite.js"), "build", "--outDir", out, "--emptyOutDir", "--logLevel", "warn")
	s.Serve(origin, out)
}

func TestTheRecipesOfApolloClientAndUrqlKeepPeopleSignedIn(t *testing.T) {
	t.Parallel() // as all here: they wait for tokens to expire most of the time
	dbtest.Each(t, func(t *testing.T, url string) {
		stand.Chromium(t)
		t.Parallel()
		s := stand.Start(t, stand.Options{DatabaseURL: url, Origins: 1, Env: []string{"ACCESS_TOKEN_TTL=3s"}})
		build(t, s, "recipes", 0)
		s.Node(t, ".", "--test", "--test-reporter=spec", "browser/recipes.test.mjs")
	})
}

func TestTheExamplesKeepPeopleSignedInWithEachDelivery(t *testing.T) {
	t.Parallel()
	activity := 10
	if *soak {
		activity = 300
	}
	for _, delivery := range []string{"BODY", "REFRESH_COOKIE", "COOKIES"} {
		t.Run(delivery, func(t *testing.T) {
			stand.Chromium(t)
			t.Parallel()
			s := stand.Start(t, stand.Options{
				Postgres: dbtest.PostgresServer(t),
				Origins:  3,
				Env:      []string{"ACCESS_TOKEN_TTL=3s", "REFRESH_GRACE=2s"},
				NodeEnv:  []string{"DELIVERY=" + delivery, "VITE_LATCHKEY_DELIVERY=" + delivery, "ACTIVITY=" + strconv.Itoa(activity)},
			})
			for origin, folder := range []string{"react", "urql", filepath.Join("browser", "page")} {
				build(t, s, folder, origin)
			}
			s.Node(t, ".", "--test", "--test-reporter=spec", "browser/examples.test.mjs")
		})
	}
}

// The example in Go is a module of its own, with its own tests: what it needs, the server does not.
func TestTheExampleInGoKeepsPeopleSignedIn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts servers, which -short leaves out")
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	cmd.Dir = "go"
	cmd.Env = append(os.Environ(), "LATCHKEY_TEST_POSTGRES="+dbtest.Postgres(t))
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
