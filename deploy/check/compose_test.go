package check

import (
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func composed(t *testing.T, environment types.Mapping) (*types.Project, error) {
	t.Helper()
	folder, err := filepath.Abs(deploy)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
		Environment: environment,
	})
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := composed(t, types.Mapping{"PUBLIC_URL": "https://auth.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func environment(service types.ServiceConfig) settings {
	given := settings{}
	for name, value := range service.Environment {
		if value != nil {
			given[name] = *value
		}
	}
	return given
}

func composeSettings(t *testing.T) settings {
	t.Helper()
	return environment(compose(t).Services["latchkey"])
}

func TestComposeAsksForThePublicURL(t *testing.T) {
	if _, err := composed(t, nil); err == nil || !strings.Contains(err.Error(), "PUBLIC_URL") {
		t.Errorf("without PUBLIC_URL: %v", err)
	}
}

func TestNoServiceHasMoreRightsThanItNeeds(t *testing.T) {
	project := compose(t)
	for name, service := range project.Services {
		if !service.ReadOnly {
			t.Errorf("%s writes to its root file system", name)
		}
		if service.Privileged || !slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.CapAdd) > 0 {
			t.Errorf("%s is privileged, or has capabilities", name)
		}
		if !slices.Equal(service.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s may gain privileges: %q", name, service.SecurityOpt)
		}
		if service.Build == nil && !somebody.MatchString(service.User) || service.Build != nil && service.User != "" {
			t.Errorf("%s runs as %q", name, service.User)
		}
		if service.Pid != "" || service.Ipc != "" || service.NetworkMode == "host" || service.UseAPISocket || len(service.Devices) > 0 {
			t.Errorf("%s shares something of the host", name)
		}
		if service.Restart != "unless-stopped" {
			t.Errorf("%s does not come back", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s to the world", name, port.Published)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind && (!volume.ReadOnly || !strings.HasPrefix(volume.Source, project.WorkingDir+"/")) {
				t.Errorf("%s mounts %s of the host", name, volume.Source)
			}
		}
	}
}

func TestEveryServiceIsCheckedAndWaitsForWhatItNeeds(t *testing.T) {
	services := compose(t).Services
	for name, service := range services {
		switch check := service.HealthCheck; {
		case service.Build != nil: // the image has one: see TestTheImageRunsAsNobodyAndChecksItsHealth
			if check != nil {
				t.Errorf("%s has a second health check beside that of its image", name)
			}
		case check == nil || check.Disable || len(check.Test) < 2 || check.Test[0] != "CMD":
			t.Errorf("%s is not checked", name)
		}
	}
	for name, needs := range map[string]string{"latchkey": "pgbouncer", "pgbouncer": "postgres"} {
		if services[name].DependsOn[needs].Condition != types.ServiceConditionHealthy {
			t.Errorf("%s does not wait until %s is healthy", name, needs)
		}
	}
	// The server that initialises the database listens on the socket only.
	if test := services["postgres"].HealthCheck.Test; !slices.Contains(test, "127.0.0.1") {
		t.Errorf("PostgreSQL seems healthy while it is being initialised: %q", test)
	}
	grace := services["latchkey"].StopGracePeriod
	if grace == nil {
		t.Fatal("latchkey has no stop_grace_period")
	}
	wantTimeToStop(t, composeSettings(t), time.Duration(*grace))
}

func TestNoPasswordStandsInCompose(t *testing.T) {
	project := compose(t)
	for name, service := range project.Services {
		mounted := []string{}
		for _, secret := range service.Secrets {
			mounted = append(mounted, "/run/secrets/"+path.Base(secret.Target))
		}
		for variable, value := range environment(service) {
			switch {
			case strings.HasSuffix(variable, "_FILE"):
				if !slices.Contains(mounted, value) {
					t.Errorf("%s: %s is %s, which is not one of its secrets", name, variable, value)
				}
			case regexp.MustCompile(`SECRET|PASSWORD|KEY|TOKEN`).MatchString(variable):
				t.Errorf("%s: %s stands in plain text", name, variable)
			default:
				if parsed, err := url.Parse(value); err == nil {
					if _, has := parsed.User.Password(); has {
						t.Errorf("%s: %s has a password in it", name, variable)
					}
				}
			}
		}
	}
	hidden := strings.Split(readFile(t, deploy+"/.gitignore"), "\n")
	if !slices.Contains(hidden, "/secrets/") || !slices.Contains(hidden, "/.env") {
		t.Errorf("git sees the secrets: %q", hidden)
	}
	for name, secret := range project.Secrets {
		if want := filepath.Join(project.WorkingDir, "secrets", name); secret.File != want || secret.Content != "" || secret.Environment != "" {
			t.Errorf("the secret %s is not in secrets/%s", name, name)
		}
		if !strings.Contains(readFile(t, deploy+"/README.md"), "> secrets/"+name+"\n") {
			t.Errorf("README.md does not say how secrets/%s is made", name)
		}
	}
	if len(project.Secrets) != 3 {
		t.Errorf("%d secrets", len(project.Secrets))
	}
}

// mount returns the volume that a service has at a path, and whether only to read.
func mount(t *testing.T, service types.ServiceConfig, target string) (volume string, readOnly bool) {
	t.Helper()
	for _, one := range service.Volumes {
		if strings.TrimPrefix(one.Target, "/var") == target { // /var/run is a link
			return one.Source, one.ReadOnly
		}
	}
	t.Errorf("%s has nothing at %s", service.Name, target)
	return "", false
}

func TestTheDatabasesAreReachedOverSocketsOnly(t *testing.T) {
	project := compose(t)
	latchkey, pgbouncer, postgres := project.Services["latchkey"], project.Services["pgbouncer"], project.Services["postgres"]
	for _, service := range []types.ServiceConfig{pgbouncer, postgres} {
		if service.NetworkMode != "none" || len(service.Ports) > 0 {
			t.Errorf("%s has a network", service.Name)
		}
	}
	ini := settings{}
	for line := range strings.Lines(readFile(t, deploy+"/pgbouncer.ini")) {
		if name, value, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, ";") {
			ini[name] = strings.TrimSpace(value)
		}
	}
	if ini["pool_mode"] != "transaction" || ini["listen_addr"] != "" {
		t.Errorf("pgbouncer.ini: pool_mode %q, listen_addr %q", ini["pool_mode"], ini["listen_addr"])
	}
	asked, err := url.Parse(composeSettings(t)["DATABASE_URL"])
	if err != nil || asked.Host != "" || asked.Query().Get("host") != ini["unix_socket_dir"] {
		t.Errorf("latchkey asks %v, and PgBouncer listens in %s", asked, ini["unix_socket_dir"])
	}
	port := asked.Query().Get("port")
	if port == "" {
		port = "5432"
	}
	if port != ini["listen_port"] {
		t.Errorf("latchkey asks port %s, and PgBouncer listens on %s", port, ini["listen_port"])
	}
	for _, pair := range []struct {
		asks, answers types.ServiceConfig
		folder        string
	}{
		{latchkey, pgbouncer, ini["unix_socket_dir"]},
		{pgbouncer, postgres, strings.TrimPrefix(ini["latchkey"], "host=")},
	} {
		from, readOnly := mount(t, pair.asks, pair.folder)
		to, _ := mount(t, pair.answers, pair.folder)
		if from != to || !readOnly {
			t.Errorf("%s does not share %s with %s, or writes there", pair.asks.Name, pair.folder, pair.answers.Name)
		}
		for name, service := range project.Services {
			if name != pair.asks.Name && name != pair.answers.Name && slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Source == from }) {
				t.Errorf("%s reaches the socket of %s", name, pair.answers.Name)
			}
		}
		if volume := project.Volumes[from]; volume.DriverOpts["type"] != "tmpfs" || !strings.Contains(volume.DriverOpts["o"], "mode=1777") {
			t.Errorf("the users of %s and %s cannot both use %s: %v", pair.asks.Name, pair.answers.Name, from, volume.DriverOpts)
		}
	}
}

func TestTheProxyOfTheMachineIsTrusted(t *testing.T) {
	project := compose(t)
	gateways := []string{}
	for name := range project.Services["latchkey"].Networks {
		for _, pool := range project.Networks[name].Ipam.Config {
			gateways = append(gateways, pool.Gateway)
		}
	}
	if trusted := composeSettings(t)["TRUSTED_PROXIES"]; !slices.Equal(gateways, []string{trusted}) {
		t.Errorf("requests come from %q, and %q is trusted", gateways, trusted)
	}
}
