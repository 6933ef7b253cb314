package db

import "strings"

// padded returns the next power of two from a number of questions on: texts of statements that differ in their number of
// parameters are few, so that each can stay prepared.
func padded(count int) int {
	size := 1
	for size < count {
		size *= 2
	}
	return size
}

// bySize returns the statements for every size that padded can return, up to maxBatch.
func bySize(statement func(size int) string) map[int]string {
	statements := map[int]string{}
	for size := 1; size <= maxBatch; size *= 2 {
		statements[size] = statement(size)
	}
	return statements
}

// arguments are those of the statement for several questions. The last one fills it up.
func arguments[Question any](questions []Question, of func(Question) []any) []any {
	var all []any
	for i := range padded(len(questions)) {
		all = append(all, of(questions[min(i, len(questions)-1)])...)
	}
	return all
}

// repeated returns a text so many times, with commas between.
func repeated(text string, times int) string {
	return strings.TrimSuffix(strings.Repeat(text+", ", times), ", ")
}
