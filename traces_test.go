package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

// otlpCollector takes traces as OTLP over HTTP has it, and keeps them.
type otlpCollector struct {
	*httptest.Server
	mu    sync.Mutex
	raw   []byte
	spans []*traces.Span
	about string
}

func newCollector(t *testing.T) *otlpCollector {
	t.Helper()
	c := &otlpCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		raw, err := io.ReadAll(body)
		var request collector.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(raw, &request)); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		leaks.Scan("trace", raw)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, raw...)
		for _, resource := range request.ResourceSpans {
			c.about = fmt.Sprint(attributes(resource.Resource.Attributes))
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func attributes(from []*common.KeyValue) map[string]string {
	found := map[string]string{}
	for _, attribute := range from {
		found[attribute.Key] = attribute.Value.GetStringValue()
	}
	return found
}

// below returns the names of the spans whose parent a span is, in order.
func (c *otlpCollector) below(parent *traces.Span) []string {
	var names []string
	for _, span := range c.spans {
		if bytes.Equal(span.ParentSpanId, parent.SpanId) && bytes.Equal(span.TraceId, parent.TraceId) {
			names = append(names, span.Name)
		}
	}
	return names
}

func TestTracesShowWhatARequestDidAndNothingThatItSent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		c := newCollector(t)
		p := start(t, databaseURL, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "LOG_FORMAT=text", "LOG_LEVEL=debug", "METRICS_LISTEN=127.0.0.1:0")
		first := p.signUp(t)
		const traceID = "0af7651916cd43dd8448eb211c80319c"
		body := `{"query":"mutation ($t: String) { refreshToken(input: {refreshToken: $t}) { ... on AuthSuccess { accessToken } } }","variables":{"t":"` + first["refreshToken"].(string) + `"}}`
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/graphql?password="+url.QueryEscape(password), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
		request.Header.Set("Tracestate", "canary=canary")
		request.Header.Set("Cookie", "canary-cookie=1; __Host-latchkey-device=canary-device")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		want(t, "answered with its trace", strings.HasPrefix(response.Header.Get("Traceparent"), "00-"+traceID+"-"), true)
		p.ask(t, `mutation { result: login(input: {email: "ada@example.com", password: "canary-password"}) { ... on AuthFailure { code } } }`, "")
		p.ask(t, `mutation { result: login(input: {email: "ada@example.com", password: "`+password+`", deviceName: "canary-name"}) `+tokens+` }`, "")
		if response, err := http.Get(p.url + "/canary-path"); err == nil {
			_ = response.Body.Close()
		}
		metrics := regexp.MustCompile(`msg=metrics url=(\S+)`).FindStringSubmatch(p.output())[1]
		scraped, err := http.Get(metrics)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(scraped.Body)
		_ = scraped.Body.Close()
		leaks.Scan("metrics", text)
		want(t, "read", err, nil)
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-p.exited; err != nil {
			t.Fatalf("%v: %s", err, p.output())
		}

		c.mu.Lock()
		defer c.mu.Unlock()
		for _, canary := range []string{"canary", password, "ada@example.com", first["refreshToken"].(string), first["accessToken"].(string)} {
			want(t, "traced: "+canary[:5], bytes.Contains(c.raw, []byte(canary)), false)
			want(t, "measured: "+canary[:5], bytes.Contains(text, []byte(canary)), false)
			want(t, "logged: "+canary[:5], strings.Contains(p.output(), canary), false)
		}
		want(t, c.about, strings.Contains(c.about, "service.name:latchkey"), true)
		var ours *traces.Span
		for _, span := range c.spans {
			if hex.EncodeToString(span.TraceId) == traceID && hex.EncodeToString(span.ParentSpanId) == "b7ad6b7169203331" {
				ours = span
			}
		}
		if ours == nil {
			t.Fatal("no span of the trace that the client named")
		}
		want(t, "the request", ours.Name, "/graphql")
		want(t, "its id", attributes(ours.Attributes)["latchkey.request_id"], response.Header.Get("X-Request-Id"))
		want(t, "below it", fmt.Sprint(c.below(ours)), "[Mutation.refreshToken]")
		for _, span := range c.spans {
			if bytes.Equal(span.ParentSpanId, ours.SpanId) {
				want(t, "below that", fmt.Sprint(c.below(span)), "[statement]")
				want(t, "outcome", attributes(span.Attributes)["latchkey.outcome"], "ok")
			}
		}
		names := map[string]bool{}
		for _, span := range c.spans {
			names[span.Name] = true
		}
		want(t, "names", fmt.Sprint(slices.Sorted(maps.Keys(names))), "[/graphql Mutation.login Mutation.refreshToken Mutation.signUp no such path statement]")
		want(t, "in the log", strings.Contains(p.output(), "traceId="+traceID) && strings.Contains(p.output(), "requestId="+response.Header.Get("X-Request-Id")), true)
	})
}

func TestACollectorThatIsAwayOrHangsHoldsNobodyUp(t *testing.T) {
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Close() }()
	for _, collector := range []string{"127.0.0.1:1", hanging.Addr().String()} {
		endsAtOnce(t, collector)
	}
}

func endsAtOnce(t *testing.T, collector string) {
	t.Helper()
	p := start(t, dbtest.SQLite(t), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector, "OTEL_EXPORTER_OTLP_HEADERS=Authorization Bearer canary-key")
	p.signUp(t)
	told := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-p.exited; err != nil {
		t.Fatalf("%v: %s", err, p.output())
	}
	want(t, p.output(), strings.Contains(p.output(), "msg=\"traces not sent\""), true)
	want(t, "its key is shown", strings.Contains(p.output(), "canary"), false)
	want(t, "stopped soon", time.Since(told) < 5*time.Second, true)
}
