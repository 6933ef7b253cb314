package check

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// wantMemory fails unless Go's soft limit leaves some of the hard one, as its stacks and a burst of hashes need.
func wantMemory(t *testing.T, soft string, hard int64) {
	t.Helper()
	limit, err := resource.ParseQuantity(strings.TrimSuffix(soft, "B"))
	if err != nil {
		t.Fatalf("GOMEMLIMIT is %q: %v", soft, err)
	}
	if share := float64(limit.Value()) / float64(hard); share < 0.5 || share > 0.9 {
		t.Errorf("GOMEMLIMIT is %.2f of the memory", share)
	}
}

func TestTheServerCollectsGarbageBeforeItIsKilled(t *testing.T) {
	project := compose(t)
	wantMemory(t, composeSettings(t)["GOMEMLIMIT"], int64(project.Services["latchkey"].MemLimit))
	for _, container := range containers(t) {
		wantMemory(t, kubernetesSettings(t)["GOMEMLIMIT"], container.Resources.Limits.Memory().Value())
		if container.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s hashes on every core of the node", container.Name)
		}
	}
	unit := parsedUnit(t)
	hard, err := resource.ParseQuantity(unit["MemoryMax"] + "i")
	if err != nil {
		t.Fatal(err)
	}
	wantMemory(t, unitSettings(t)["GOMEMLIMIT"], hard.Value())
}
