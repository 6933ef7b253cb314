package main

import "fmt"

// planMix asks for the mix once, and watches the servers' memory.
func planMix(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	done := make(chan struct{})
	watched := make(chan []memorySample, 1)
	go func() { watched <- b.watchMemory(done) }()
	b.report.doing("asking for the mix over %d connections for %s: %s", b.connections, b.duration, mixInWords)
	f, err := b.measureOperation("mix", b.connections)
	close(done)
	b.report.Memory = <-watched
	if err != nil {
		b.report.showMemory()
		return err
	}
	m := b.measurement("mix", b.connections)
	m.add(f)
	rate := "as fast as it goes"
	if b.settings.rate > 0 {
		rate = fmt.Sprintf("%s requests fall due a second", thousands(b.settings.rate))
	}
	b.report.showOperations("mix, "+rate, []shown{{fmt.Sprintf("mix, %d connections", b.connections), m}})
	b.report.showMemory()
	return b.judgeMemory()
}
