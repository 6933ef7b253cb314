package check

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// cluster is what the kustomization makes.
type cluster struct {
	Namespace  corev1.Namespace
	Settings   corev1.ConfigMap
	Deployment appsv1.Deployment
	Service    corev1.Service
	Disruption policyv1.PodDisruptionBudget
	Network    networkingv1.NetworkPolicy
}

func kubernetes(t *testing.T) *cluster {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), deploy+"/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	var c cluster
	missing := map[string]any{
		"v1 Namespace": &c.Namespace, "v1 ConfigMap": &c.Settings, "apps/v1 Deployment": &c.Deployment, "v1 Service": &c.Service,
		"policy/v1 PodDisruptionBudget": &c.Disruption, "networking.k8s.io/v1 NetworkPolicy": &c.Network,
	}
	for _, object := range made.Resources() {
		kind := object.GetApiVersion() + " " + object.GetKind()
		into, ok := missing[kind]
		if !ok {
			t.Fatalf("there is a %s, or a second one, of which this test does not know", kind)
		}
		delete(missing, kind)
		content, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		strict, err := json.UnmarshalStrict(content, into)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, err := range strict {
			t.Errorf("%s: %v", kind, err)
		}
		if namespace := object.GetNamespace(); namespace != "latchkey" && kind != "v1 Namespace" {
			t.Errorf("%s is in the namespace %q", kind, namespace)
		}
	}
	for kind := range missing {
		t.Errorf("there is no %s", kind)
	}
	return &c
}

func pod(t *testing.T) corev1.PodSpec {
	t.Helper()
	return kubernetes(t).Deployment.Spec.Template.Spec
}

// containers returns the one that migrates and the one that serves.
func containers(t *testing.T) []corev1.Container {
	t.Helper()
	spec := pod(t)
	if len(spec.InitContainers) != 1 || len(spec.Containers) != 1 {
		t.Fatalf("%d containers before %d", len(spec.InitContainers), len(spec.Containers))
	}
	return []corev1.Container{spec.InitContainers[0], spec.Containers[0]}
}

func kubernetesSettings(t *testing.T) settings {
	t.Helper()
	c := kubernetes(t)
	given := settings(c.Settings.Data)
	for _, container := range containers(t) {
		if len(container.EnvFrom) != 1 || container.EnvFrom[0].ConfigMapRef == nil || container.EnvFrom[0].ConfigMapRef.Name != c.Settings.Name {
			t.Errorf("%s does not have the settings of %s", container.Name, c.Settings.Name)
		}
		for _, variable := range container.Env {
			if variable.ValueFrom != nil {
				t.Errorf("%s: %s is a variable, and its secret would be seen in the environment", container.Name, variable.Name)
			}
			given[variable.Name] = variable.Value
		}
	}
	return given
}

func TestTwoServersRunAndOneStays(t *testing.T) {
	c := kubernetes(t)
	spec := c.Deployment.Spec
	if spec.Replicas == nil || *spec.Replicas != 2 {
		t.Error("there are not two replicas")
	}
	rolling := spec.Strategy.RollingUpdate
	if spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || rolling == nil || rolling.MaxUnavailable == nil || rolling.MaxUnavailable.String() != "0" {
		t.Error("a roll-out takes servers away before new ones are ready")
	}
	if least := c.Disruption.Spec.MinAvailable; least == nil || least.String() != "1" {
		t.Errorf("minAvailable: %v", least)
	}
	spread := []string{}
	for _, constraint := range pod(t).TopologySpreadConstraints {
		if matches(t, constraint.LabelSelector, spec.Template.Labels) {
			spread = append(spread, constraint.TopologyKey)
		}
	}
	if !slices.Contains(spread, "kubernetes.io/hostname") {
		t.Errorf("both may run on one node: spread over %q", spread)
	}
}

func matches(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return !parsed.Empty() && parsed.Matches(labels.Set(of))
}

func TestEverySelectorFindsTheServers(t *testing.T) {
	c := kubernetes(t)
	of := c.Deployment.Spec.Template.Labels
	for name, selector := range map[string]*metav1.LabelSelector{
		"Deployment":          c.Deployment.Spec.Selector,
		"PodDisruptionBudget": c.Disruption.Spec.Selector,
		"NetworkPolicy":       &c.Network.Spec.PodSelector,
		"Service":             {MatchLabels: c.Service.Spec.Selector},
	} {
		if !matches(t, selector, of) {
			t.Errorf("the %s selects %v, and the pods are %v", name, selector, of)
		}
	}
}

func text[N int32 | int64](number N) string { return strconv.FormatInt(int64(number), 10) }

// ports returns the numbers of the server's ports by their names.
func ports(t *testing.T) map[string]int32 {
	t.Helper()
	named := map[string]int32{}
	for _, port := range containers(t)[1].Ports {
		named[port.Name] = port.ContainerPort
	}
	return named
}

func TestTheServerIsAskedWhetherItLivesAndIsReady(t *testing.T) {
	server := containers(t)[1]
	for path, probe := range map[string]*corev1.Probe{"/healthz": server.LivenessProbe, "/readyz": server.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || ports(t)[probe.HTTPGet.Port.StrVal] != 8080 {
			t.Errorf("nothing asks %s: %v", path, probe)
		}
	}
	if start := server.StartupProbe; start == nil || start.HTTPGet == nil || start.HTTPGet.Path != "/healthz" || ports(t)[start.HTTPGet.Port.StrVal] != 8080 {
		t.Errorf("nothing waits for the start: %v", start)
	}
	// /readyz waits two seconds for the database.
	if ready := server.ReadinessProbe; ready != nil && ready.TimeoutSeconds <= 2 {
		t.Errorf("the answer that the database is away is not waited for: %d s", ready.TimeoutSeconds)
	}
	service := kubernetes(t).Service.Spec.Ports
	if len(service) != 1 || ports(t)[service[0].TargetPort.StrVal] != 8080 {
		t.Errorf("the Service goes to %v", service)
	}
	for name, variable := range map[string]string{"http": "LISTEN", "metrics": "METRICS_LISTEN"} {
		if listen := kubernetesSettings(t)[variable]; listen != ":"+text(ports(t)[name]) {
			t.Errorf("%s is %s, and the port %s is %d", variable, listen, name, ports(t)[name])
		}
	}
}

func TestThePodHasNoRightsAndTimeToStop(t *testing.T) {
	spec := pod(t)
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("the server gets a token for the cluster")
	}
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Error("the pod shares something of the node")
	}
	who := spec.SecurityContext
	switch {
	case who == nil || who.RunAsNonRoot == nil || !*who.RunAsNonRoot || who.RunAsUser == nil || who.RunAsGroup == nil:
		t.Fatal("the pod may run as root")
	case text(*who.RunAsUser)+":"+text(*who.RunAsGroup) != imageUser(t):
		t.Errorf("the pod runs as %d:%d, and the image as %s", *who.RunAsUser, *who.RunAsGroup, imageUser(t))
	case who.FSGroup == nil || *who.FSGroup != *who.RunAsGroup:
		t.Error("the server cannot read its secrets")
	case who.SeccompProfile == nil || who.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Error("the pod may make any system call")
	}
	for _, container := range containers(t) {
		rights := container.SecurityContext
		if rights == nil || rights.ReadOnlyRootFilesystem == nil || !*rights.ReadOnlyRootFilesystem ||
			rights.AllowPrivilegeEscalation == nil || *rights.AllowPrivilegeEscalation || rights.Privileged != nil ||
			rights.Capabilities == nil || !slices.Equal(rights.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(rights.Capabilities.Add) > 0 {
			t.Errorf("%s has rights that it does not need", container.Name)
		}
	}
	if level := kubernetes(t).Namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace allows %q", level)
	}
	if spec.TerminationGracePeriodSeconds == nil {
		t.Fatal("no terminationGracePeriodSeconds")
	}
	wantTimeToStop(t, kubernetesSettings(t), time.Duration(*spec.TerminationGracePeriodSeconds)*time.Second)
}

func TestEachVersionMigratesBeforeItServes(t *testing.T) {
	both := containers(t)
	if !slices.Equal(both[0].Args, []string{"migrate"}) || len(both[1].Args) > 0 || both[0].Image != both[1].Image {
		t.Errorf("%s %q comes before %s %q", both[0].Image, both[0].Args, both[1].Image, both[1].Args)
	}
	if migrate := kubernetesSettings(t)["MIGRATE"]; migrate != "off" {
		t.Errorf("the servers migrate too: %q", migrate)
	}
}

func TestSecretsAreFilesThatNobodyCommitted(t *testing.T) {
	spec := pod(t)
	if len(spec.Volumes) != 1 || spec.Volumes[0].Secret == nil || spec.Volumes[0].Secret.SecretName != "latchkey" {
		t.Fatalf("volumes: %v", spec.Volumes)
	}
	readme := readFile(t, deploy+"/README.md")
	if !strings.Contains(readme, "create secret generic latchkey ") {
		t.Error("README.md does not say how the secret is made")
	}
	for _, container := range containers(t) {
		if len(container.VolumeMounts) != 1 || container.VolumeMounts[0].Name != spec.Volumes[0].Name || !container.VolumeMounts[0].ReadOnly {
			t.Fatalf("%s mounts %v", container.Name, container.VolumeMounts)
		}
		at := container.VolumeMounts[0].MountPath + "/"
		files := 0
		for _, variable := range container.Env {
			name, ok := strings.CutPrefix(variable.Value, at)
			if !strings.HasSuffix(variable.Name, "_FILE") {
				continue
			}
			files++
			if !ok || !strings.Contains(readme, "--from-file="+name) {
				t.Errorf("%s: nothing makes the %s %s", container.Name, variable.Name, variable.Value)
			}
		}
		if files != 2 {
			t.Errorf("%s reads %d secrets", container.Name, files)
		}
		if !strings.Contains(readme, "sslrootcert="+at+"postgres-ca.crt") || !strings.Contains(readme, "--from-file=postgres-ca.crt") {
			t.Error("the certificate of README.md's database-url is not in the secret")
		}
	}
}

func TestTheNetworkIsClosedButForWhatIsNeeded(t *testing.T) {
	policy := kubernetes(t).Network.Spec
	if !slices.Equal(policy.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}) {
		t.Errorf("policyTypes: %v", policy.PolicyTypes)
	}
	monitoring := map[string]string{"kubernetes.io/metadata.name": "monitoring"}
	from, to := map[string]bool{}, map[string]bool{} // the ports, and whether for everybody
	for _, rule := range policy.Ingress {
		allowed(t, from, rule.Ports, rule.From, monitoring)
	}
	for _, rule := range policy.Egress {
		allowed(t, to, rule.Ports, rule.To, monitoring)
	}
	wantPorts(t, "ingress", from, map[string]bool{"TCP " + text(ports(t)["http"]): true, "TCP " + text(ports(t)["metrics"]): false})
	wantPorts(t, "egress", to, map[string]bool{"UDP 53": true, "TCP 53": true, "TCP 5432": true, "TCP 4318": false})
}

func allowed(t *testing.T, into map[string]bool, through []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer, monitoring map[string]string) {
	t.Helper()
	if len(through) == 0 {
		t.Error("a rule allows every port")
	}
	for _, peer := range peers {
		if peer.IPBlock != nil || peer.PodSelector != nil || !matches(t, peer.NamespaceSelector, monitoring) {
			t.Errorf("a rule is for %v", peer)
		}
	}
	for _, port := range through {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		into[string(protocol)+" "+port.Port.String()] = len(peers) == 0
	}
}

func wantPorts(t *testing.T, direction string, got, want map[string]bool) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s is %v, want %v (true: for everybody)", direction, got, want)
	}
}
