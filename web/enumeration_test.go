package web_test

import (
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aclements/go-moremath/stats"
	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

var soak = flag.Bool("soak", false, "take many samples, for minutes")

// strangers are those whom a login must not tell apart.
var strangers = []string{"nobody@example.com", "disabled@example.com", email}

// tryAll sends a login of each stranger with a wrong password, rounds times in turn, and returns how long each took.
// What is answered must be the same to the letter.
func tryAll(t *testing.T, s *server, rounds int) map[string][]float64 {
	t.Helper()
	took := map[string][]float64{}
	var first string
	for round := range rounds {
		for i := range strangers {
			stranger := strangers[(round+i)%len(strangers)] // nobody always comes first, or after the same one
			request := s.request(t, withVariables(loginMutation, `{"input":{"email":"`+stranger+`","password":"`+wrongPassword+`"}}`))
			began := time.Now()
			a := s.do(t, request)
			took[stranger] = append(took[stranger], float64(time.Since(began)))
			var headers []string
			for name, values := range a.Header {
				if name != "Date" && name != "X-Request-Id" {
					headers = append(headers, name+": "+strings.Join(values, ", "))
				}
			}
			slices.Sort(headers)
			shown := http.StatusText(a.Status) + "\n" + strings.Join(headers, "\n") + "\n" + a.Body
			if first == "" {
				first = shown
			}
			want(t, stranger, shown, first)
		}
	}
	return took
}

func withStrangers(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		unlimited := authtest.Settings()
		unlimited.LoginLimit, unlimited.LoginIPLimit = auth.Limit{}, auth.Limit{}
		s := startServer(t, url, &server{settings: &unlimited})
		s.signUp(t)
		disabled := s.signUpAs(t, "disabled@example.com")
		if _, err := s.service.DisableUser(t.Context(), auth.Actor{}, uuid.MustParse(disabled.User.ID)); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// It is coarse: that of the work which an unknown user would save, a hash, is most of the time.
func TestAnAnswerDoesNotTellWhetherThereIsAnAccount(t *testing.T) {
	withStrangers(t, func(t *testing.T, s *server) {
		took := tryAll(t, s, 15)
		known := stats.Sample{Xs: took[email]}.Quantile(0.5)
		for stranger, times := range took {
			if median := (stats.Sample{Xs: times}).Quantile(0.5); median < known/1.5 || median > known*1.5 {
				t.Errorf("%s: a median of %s, beside %s", stranger, time.Duration(median), time.Duration(known))
			}
		}
	})
}

// A difference that is there shows in every one of three trials; one that is not, in all three once in a million.
func TestTheTimeOfAnAnswerDoesNotTellWhetherThereIsAnAccount(t *testing.T) {
	if !*soak {
		t.Skip("takes minutes; `make soak` does it")
	}
	withStrangers(t, func(t *testing.T, s *server) {
		tryAll(t, s, 20) // to warm up
		seen := map[string]int{}
		for range 3 {
			took := tryAll(t, s, 200)
			for i, one := range strangers {
				other := strangers[(i+1)%len(strangers)]
				u, err := stats.MannWhitneyUTest(took[one], took[other], stats.LocationDiffers)
				if err != nil {
					t.Fatal(err)
				}
				a, b := (stats.Sample{Xs: took[one]}).Quantile(0.5), (stats.Sample{Xs: took[other]}).Quantile(0.5)
				t.Logf("%s and %s: medians %s and %s, p = %.3f", one, other, time.Duration(a), time.Duration(b), u.P)
				if u.P < 0.01 || a/b > 1.05 || b/a > 1.05 {
					seen[one+" and "+other]++
				}
			}
		}
		for pair, times := range seen {
			if times == 3 {
				t.Errorf("%s can be told apart", pair)
			}
		}
	})
}
