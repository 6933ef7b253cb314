// Package deploy_test asserts that the alerts and the dashboard ask for what Latchkey exports, and say what it means.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	graphql "github.com/vektah/gqlparser/v2/ast"
)

const (
	alertsFile    = "prometheus/alerts.yaml"
	dashboardFile = "grafana/latchkey.json"
)

var (
	wholeName     = regexp.MustCompile(`^latchkey_[a-z0-9_]+$`)
	name          = regexp.MustCompile(`\blatchkey_[a-z0-9_]+`)
	histogramPart = regexp.MustCompile(`_(bucket|sum|count)$`)
	selector      = regexp.MustCompile(`\b(latchkey_[a-z0-9_]+)\{([^}]*)\}`)
	matcher       = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	grouping      = regexp.MustCompile(`\b(?:by|without|on|ignoring) \(([^)]*)\)`)
	legendLabel   = regexp.MustCompile(`\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}`)
)

func TestAlertsAndDashboardAskForMetricsThatExist(t *testing.T) {
	exported := exportedMetrics(t)
	for _, text := range texts(t) {
		for _, used := range name.FindAllString(text.content, -1) {
			if !exported[used] && !exported[histogramPart.ReplaceAllString(used, "")] {
				t.Errorf("%s asks for %s, which nobody exports", text.where, used)
			}
		}
	}
}

func TestTheDashboardShowsEveryMetric(t *testing.T) {
	shown := map[string]bool{}
	for _, panel := range readDashboard(t).all() {
		for _, target := range panel.Targets {
			for _, used := range name.FindAllString(target.Expr, -1) {
				shown[used], shown[histogramPart.ReplaceAllString(used, "")] = true, true
			}
		}
	}
	for _, exported := range slices.Sorted(maps.Keys(exportedMetrics(t))) {
		if !shown[exported] {
			t.Errorf("no panel shows %s", exported)
		}
	}
}

func TestEveryLabelAndValueThatIsAskedForExists(t *testing.T) {
	known := knownLabels(t)
	everywhere := []string{"job", "instance", "le", "severity"}
	all := slices.Clone(everywhere)
	for _, labels := range known {
		for label := range labels {
			all = append(all, label)
		}
	}
	for _, text := range texts(t) {
		for _, found := range selector.FindAllStringSubmatch(text.content, -1) {
			metric := histogramPart.ReplaceAllString(found[1], "")
			for _, match := range matcher.FindAllStringSubmatch(found[2], -1) {
				label, values := match[1], match[3]
				if slices.Contains(everywhere, label) {
					continue
				}
				have, ok := known[metric][label]
				if !ok {
					t.Errorf("%s: %s has no label %s", text.where, metric, label)
					continue
				}
				for value := range strings.SplitSeq(values, "|") {
					if have != nil && !slices.Contains(have, value) {
						t.Errorf("%s: %s of %s is never %q", text.where, label, metric, value)
					}
				}
			}
		}
		for _, found := range grouping.FindAllStringSubmatch(text.content, -1) {
			for label := range strings.FieldsFuncSeq(found[1], func(r rune) bool { return r == ',' || r == ' ' }) {
				if !slices.Contains(all, label) {
					t.Errorf("%s groups by %s, which no metric has", text.where, label)
				}
			}
		}
		for _, found := range legendLabel.FindAllStringSubmatch(text.content, -1) {
			if !slices.Contains(all, found[1]) {
				t.Errorf("%s shows the label %s, which no metric has", text.where, found[1])
			}
		}
	}
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	seen := map[int]string{}
	for _, panel := range readDashboard(t).all() {
		if panel.Title == "" {
			t.Errorf("panel %d has no title", panel.ID)
		}
		if other, taken := seen[panel.ID]; taken || panel.ID == 0 {
			t.Errorf("panel %q has the id %d, as %q has", panel.Title, panel.ID, other)
		}
		seen[panel.ID] = panel.Title
		if panel.LibraryPanel != nil {
			t.Errorf("panel %q is a library panel, which is not in this file", panel.Title)
		}
		if panel.Type == "row" {
			continue
		}
		if panel.Description == "" {
			t.Errorf("panel %q has no description", panel.Title)
		}
		if panel.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %q has no unit", panel.Title)
		}
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", panel.Title)
		}
		if panel.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q does not ask the data source that was chosen", panel.Title)
		}
	}
}

func TestEveryAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	for _, alert := range readAlerts(t) {
		for _, want := range []string{"severity", "summary", "description"} {
			if !strings.Contains(alert.content, " "+want+": ") {
				t.Errorf("%s has no %s", alert.where, want)
			}
		}
		if severity := following(alert.content, "severity: "); severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", alert.where, severity)
		}
	}
}

func TestEveryAlertIsTestedToFireAndToBeSilent(t *testing.T) {
	tests := strings.Split(read(t, "prometheus/alerts_test.yaml"), "\n  - name: ")[1:]
	for _, alert := range readAlerts(t) {
		has := func(prefix string, firing bool) bool {
			return slices.ContainsFunc(tests, func(test string) bool {
				return strings.HasPrefix(test, `"`+prefix) && strings.Contains(test, `ALERTS{alertname="`+alert.where+`",alertstate="firing"`) == firing
			})
		}
		if !has(alert.where+" fires: ", true) {
			t.Errorf("no test has %s fire", alert.where)
		}
		if !has(alert.where+" is silent: ", false) {
			t.Errorf("no test has %s be silent", alert.where)
		}
	}
}

func TestPrometheusUnderstandsEveryExpressionOfTheDashboard(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed: scripts/promtool.sh does that")
		}
		t.Skip("promtool is not installed: scripts/promtool.sh does that, or says how to")
	}
	// What Grafana puts in. What it must have left out stops promtool.
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h", "$instance", ".*")
	rules, dashboard := "groups:\n- name: dashboard\n  rules:\n", readDashboard(t)
	count := 0
	add := func(expression string) {
		quoted, err := json.Marshal(grafana.Replace(expression))
		if err != nil {
			t.Fatal(err)
		}
		count++
		rules += fmt.Sprintf("  - record: dashboard:%d\n    expr: %s\n", count, quoted)
	}
	for _, panel := range dashboard.all() {
		for _, target := range panel.Targets {
			add(target.Expr)
		}
	}
	for _, annotation := range dashboard.Annotations.List {
		if annotation.Expr != "" {
			add(annotation.Expr)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nof these:\n%s", err, output, rules)
	}
}

// exportedMetrics returns the names of the metrics of the server and of package verify: all string literals of theirs
// that can be one.
func exportedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{"../web", "../verify"} {
		before := len(found)
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "node_modules" {
				return fs.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil && wholeName.MatchString(text) {
						found[text] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == before {
			t.Fatalf("%s names no metric", folder)
		}
	}
	return found
}

// knownLabels returns the labels of the metrics and what each may be; nil: anything.
func knownLabels(t *testing.T) map[string]map[string][]string {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&graphql.Source{Name: "schema.graphqls", Input: read(t, "../schema.graphqls")})
	if err != nil {
		t.Fatal(err)
	}
	fields := []string{"introspection"}
	for _, definition := range []*graphql.Definition{schema.Query, schema.Mutation} {
		for _, field := range definition.Fields {
			fields = append(fields, field.Name)
		}
	}
	enum := func(name string) (values []string) {
		for _, value := range schema.Types[name].EnumValues {
			values = append(values, value.Name)
		}
		return values
	}
	failures := slices.Concat(enum("AuthFailureCode"), enum("AdminFailureCode"))
	errors := []string{"UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT", "RATE_LIMITED", "UNAVAILABLE", "INTERNAL_SERVER_ERROR"}
	kinds := slices.Concat(failures, errors[1:], enum("SessionEndReason"), []string{
		"UNAUTHENTICATED:TOKEN_MISSING", "UNAUTHENTICATED:TOKEN_EXPIRED", "UNAUTHENTICATED:TOKEN_INVALID", "UNAUTHENTICATED:SESSION_ENDED",
		"BAD_REQUEST", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "OPERATION_TOO_LARGE",
	})
	pools := []string{"write", "read"}
	return map[string]map[string][]string{
		"latchkey_operations_total":                       {"field": fields, "outcome": slices.Concat([]string{"ok"}, failures, errors)},
		"latchkey_operation_duration_seconds":             {"field": fields},
		"latchkey_refreshes_total":                        {"outcome": {"rotated", "retried", "reuse", "rolled_back", "ended", "invalid"}},
		"latchkey_refusals_total":                         {"kind": kinds},
		"latchkey_throttled_total":                        {"budget": {"account", "device", "password", "address"}},
		"latchkey_database_connections":                   {"pool": pools, "state": {"in_use", "idle"}},
		"latchkey_database_connections_max":               {"pool": pools},
		"latchkey_database_connection_waits_total":        {"pool": pools},
		"latchkey_database_connection_wait_seconds_total": {"pool": pools},
		"latchkey_key_age_seconds":                        {"kind": {"signing", "refresh"}},
		"latchkey_build_info":                             {"version": nil, "go_version": nil},
		"latchkey_verify_requests_total":                  {"outcome": {"ok", "missing", "expired", "ended", "invalid", "unavailable"}},
	}
}

// text is something in which metrics stand.
type text struct{ where, content string }

// texts are the files of Prometheus and what the dashboard asks for.
func texts(t *testing.T) []text {
	t.Helper()
	files, err := filepath.Glob("prometheus/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files of Prometheus", err)
	}
	var all []text
	for _, file := range files {
		all = append(all, text{file, read(t, file)})
	}
	dashboard := readDashboard(t)
	for _, panel := range dashboard.all() {
		where := "panel " + strconv.Quote(panel.Title)
		all = append(all, text{"the description of " + where, panel.Description})
		for _, target := range panel.Targets {
			all = append(all, text{where, target.Expr}, text{where, target.LegendFormat})
		}
	}
	for _, variable := range dashboard.Templating.List {
		all = append(all, text{"variable " + variable.Name, string(variable.Query)})
	}
	return all
}

type dashboard struct {
	Panels      []panel `json:"panels"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name  string          `json:"name"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID           int             `json:"id"`
	Type         string          `json:"type"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	LibraryPanel json.RawMessage `json:"libraryPanel"`
	Datasource   struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
	Panels []panel `json:"panels"` // of a row that is folded
}

// all returns the rows and the panels, those in rows too.
func (d *dashboard) all() []panel {
	var all []panel
	for _, panel := range d.Panels {
		all = append(append(all, panel), panel.Panels...)
	}
	return all
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	var answer dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &answer); err != nil {
		t.Fatal(err)
	}
	return &answer
}

// readAlerts returns the alerts, each with its name for where it stands.
func readAlerts(t *testing.T) []text {
	t.Helper()
	var alerts []text
	for _, alert := range strings.Split(read(t, alertsFile), "- alert: ")[1:] {
		where, content, _ := strings.Cut(alert, "\n")
		alerts = append(alerts, text{where, content})
	}
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	return alerts
}

// following returns the rest of the line after a word.
func following(content, word string) string {
	_, rest, _ := strings.Cut(content, word)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
