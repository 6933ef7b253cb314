package main

import "fmt"

// The names of limits.
const (
	limitHello  = "net/http, answering a constant"
	limitGQLGen = "bare gqlgen, answering a constant"
	limitAnswer = pgbenchName + "SELECT 1"
	limitRead   = pgbenchName + "what me sends"
	limitRotate = pgbenchName + "what refreshToken sends"
	limitRevoke = pgbenchName + "what revokeSession sends"
	limitArgon2 = "argon2id, all cores"

	pgbenchName = "pgbench, prepared: "
)

// rate compares what was measured with its limits and targets. A target of a share stands for a figure on the machine where
// it was set, where bare gqlgen answered 29,300 requests a second, net/http 44,300, and pgbench made 11,400 rotations: there
// me is to reach 12,000, and revokeSession 7,000.
func (r *report) rate() {
	for _, one := range []struct {
		of, limit string
		target    float64
	}{
		{"me", limitGQLGen, 12_000. / 29_300}, {"me", limitHello, 12_000. / 44_300}, {"me", limitRead, 0},
		{"refresh", limitRotate, 0.4}, {"revoke", limitRotate, 7_000. / 11_400.}, {"revoke", limitRevoke, 0}, {"login", limitArgon2, 0.9},
	} {
		m, limit := r.find(one.of), r.find(one.limit)
		if m == nil || limit == nil || limit.Medians.PerSecond == 0 {
			continue
		}
		r.add(ratio{Name: one.of + " / " + one.limit, Value: m.Medians.PerSecond / limit.Medians.PerSecond, Target: one.target, Unit: "%"})
	}
	if m := r.find("refresh"); m != nil && m.Medians.Median > 0 {
		r.add(ratio{Name: "refresh: 99th percentile / median", Value: m.Medians.P99 / m.Medians.Median, Target: 5, AtMost: true, Unit: "×"})
	}
	if alone, loaded := r.find(besideAlone), r.find(besideLoaded); alone != nil && loaded != nil && alone.Medians.P99 > 0 {
		r.add(ratio{Name: "me: 99th percentile beside logins / alone", Value: loaded.Medians.P99 / alone.Medians.P99, Target: 3, AtMost: true, Unit: "×"})
	}
	for _, start := range r.Starts {
		r.add(ratio{Name: fmt.Sprintf("ready after exec, on %s", start.Database), Value: start.MedianTook, Target: 60, AtMost: true, Unit: "ms"})
		resident := ratio{Name: fmt.Sprintf("resident at start, on %s", start.Database), Value: start.MedianResident / (1 << 20), AtMost: true, Unit: "MB"}
		if start.Database == "SQLite" {
			resident.Target = 30
		}
		r.add(resident)
	}
}

func (r *report) add(one ratio) {
	one.Met = one.Value >= one.Target
	if one.AtMost {
		one.Met = one.Target == 0 || one.Value < one.Target
	}
	r.Ratios = append(r.Ratios, one)
}
