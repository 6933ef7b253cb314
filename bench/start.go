package main

import (
	"path/filepath"
	"time"
)

// startFigures are what starts on an existing database showed.
type startFigures struct {
	Database string    `json:"database"`
	Took     []float64 `json:"took"`     // milliseconds from exec until /readyz says so
	Resident []int64   `json:"resident"` // bytes, a moment later

	MedianTook     float64 `json:"medianTook"`
	MedianResident float64 `json:"medianResident"`
}

// aMoment is how long a server stands idle before its memory is looked at.
const aMoment = 300 * time.Millisecond

// measureStarts starts a server again and again, beside those that run.
func (b *bench) measureStarts(database, url string) (startFigures, error) {
	f := startFigures{Database: database}
	for i := range b.starts + 1 {
		s, err := startServer(b.ctx, b.program, b.folder, url, b.env...)
		if err != nil {
			return f, err
		}
		if i > 0 { // the first one migrates, or has to fetch its program from the disk
			time.Sleep(aMoment)
			f.Took = append(f.Took, s.took.Seconds()*1000)
			f.Resident = append(f.Resident, residentOf(s.pid()))
		}
		s.stop()
	}
	f.MedianTook = medianOf(f.Took, func(took float64) float64 { return took })
	f.MedianResident = medianOf(f.Resident, func(bytes int64) float64 { return float64(bytes) })
	return f, nil
}

// measureAllStarts measures them on both databases.
func (b *bench) measureAllStarts() error {
	if b.starts == 0 {
		return nil
	}
	b.report.doing("timing %d starts on each database", b.starts)
	for _, one := range []struct{ name, url string }{
		{"SQLite", "sqlite:" + filepath.Join(b.folder, "latchkey.db")}, {"PostgreSQL", b.postgres.URL()},
	} {
		f, err := b.measureStarts(one.name, one.url)
		if err != nil {
			return err
		}
		b.report.Starts = append(b.report.Starts, f)
		b.report.say("\n%s: ready %s after exec, then %s resident (medians of %d)", one.name, inMilliseconds(f.MedianTook), megabytes(int64(f.MedianResident)), b.starts)
	}
	b.report.say("\n")
	return nil
}
