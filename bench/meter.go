package main

// processor is how many seconds of processor time were used, by whom.
type processor struct{ Servers, Database, Load float64 }

func (p processor) minus(before processor) processor {
	return processor{p.Servers - before.Servers, p.Database - before.Database, p.Load - before.Load}
}

// processor returns what was used until now. The database's is that of all its processes, also of those that ended. Where
// the system does not tell, it is 0.
func (b *bench) processor() processor {
	var used processor
	for _, s := range b.servers {
		own, _ := processorOf(s.pid())
		used.Servers += own
	}
	if postmaster, err := b.postgres.PID(); err == nil {
		used.Database = processorOfAll(postmaster)
	}
	used.Load = processorOfThis()
	return used
}

// resident returns how many bytes of all servers are in memory.
func (b *bench) resident() int64 {
	var total int64
	for _, s := range b.servers {
		total += residentOf(s.pid())
	}
	return total
}
